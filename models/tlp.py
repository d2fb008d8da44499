"""The Traffic Light Protocol, 1.0 and 2.0, as an order from open to closed.

Marking ids: TLP 2.0 from OASIS' extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d,
TLP 1.0 from the STIX 2.1 specification, section 7.2.1.4.
"""

from collections.abc import Iterable
from enum import StrEnum

TLP2_EXTENSION = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"


class Tlp(StrEnum):
    """How far a piece of intelligence may travel."""

    CLEAR = "clear"
    GREEN = "green"
    AMBER = "amber"
    AMBER_STRICT = "amber+strict"
    RED = "red"

    @property
    def rank(self) -> int:
        """0 for the most open, 4 for the most closed."""
        return list(Tlp).index(self)

    @property
    def marking_id(self) -> str:
        """The id of the TLP 2.0 marking definition."""
        return f"marking-definition--{_TLP2[self]}"


_TLP2 = {
    Tlp.CLEAR: "94868c89-83c2-464b-929b-a1a8aa3c8487",
    Tlp.GREEN: "bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    Tlp.AMBER: "55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    Tlp.AMBER_STRICT: "939a9414-2ddd-4d32-a0cd-375ea402b003",
    Tlp.RED: "e828b379-4e03-4974-9ac4-e53a884c97c1",
}
# TLP 1 AMBER did not say whether clients were included: the tighter reading is the safe one.
_TLP1 = {
    "613f2e26-407d-48c7-9eca-b8e91df99dc9": Tlp.CLEAR,
    "34098fce-860f-48ae-8e50-ebd3cc5e41da": Tlp.GREEN,
    "f88d31f6-486f-44da-b317-01333bde0b82": Tlp.AMBER_STRICT,
    "5e57c739-391a-4eb3-b6be-7d15ca92d5ed": Tlp.RED,
}
MARKINGS: dict[str, Tlp] = {
    **{f"marking-definition--{key}": tlp for key, tlp in _TLP1.items()},
    **{tlp.marking_id: tlp for tlp in Tlp},
}


def tightest(levels: Iterable[Tlp], default: Tlp) -> Tlp:
    """The most closed of the levels; ``default`` where there are none."""
    return max(levels, key=lambda tlp: tlp.rank, default=default)


def marking_definition(level: Tlp) -> dict[str, object]:
    """The TLP 2.0 marking definition of a level, as OASIS publishes it."""
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": level.marking_id,
        "created": "2022-10-01T00:00:00.000Z",
        "name": f"TLP:{level.upper()}",
        "extensions": {
            TLP2_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": level.value}
        },
    }
