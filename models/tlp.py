"""The Traffic Light Protocol, 1.0 and 2.0, as an order from open to closed.

Marking ids: TLP 2.0 from OASIS' extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d,
TLP 1.0 from the STIX 2.1 specification, section 7.2.1.4.
"""

from collections.abc import Iterable, Iterator, Mapping
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
        return _RANKS[self]

    @property
    def marking_id(self) -> str:
        """The id of the TLP 2.0 marking definition."""
        return f"marking-definition--{_TLP2[self]}"


_RANKS = {tlp: rank for rank, tlp in enumerate(Tlp)}
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
Levels = Mapping[str, Tlp | None]
"""Marking id to its level; None for a marking that says nothing of TLP, such as a copyright.

A marking whose id is missing is not known: its definition may come later, on another page.
"""
MARKINGS: dict[str, Tlp | None] = {
    **{f"marking-definition--{key}": tlp for key, tlp in _TLP1.items()},
    **{tlp.marking_id: tlp for tlp in Tlp},
}
"""The standard's own."""


def tightest(levels: Iterable[Tlp], default: Tlp) -> Tlp:
    """The most closed of the levels; ``default`` where there are none."""
    return max(levels, key=lambda tlp: tlp.rank, default=default)


def effective_tlp(content: Mapping[str, object], default: Tlp, markings: Levels = MARKINGS) -> Tlp:
    """The tightest of an object's TLP markings, those of single properties included.

    An object that has none as a whole counts as ``default``, even where a property is marked; so
    does, at the least, one with a marking that is not known (yet): it may be anything.
    """
    whole, parts, known = _levels(content, markings)
    least = [] if known else [default]
    return tightest([tightest(whole, default), *parts, *least], default)


def marked_anew(content: Mapping[str, object], held: Tlp, markings: Levels) -> Tlp:
    """The level of an object that was given ``held`` before all of its markings were known.

    The default that it was given then is in ``held``; it still counts where the object has no
    TLP marking as a whole, and until all are known.
    """
    whole, parts, known = _levels(content, markings)
    return tightest([*whole, *parts, *([] if whole and known else [held])], held)


def marks(content: Mapping[str, object]) -> Iterator[str]:
    """The ids of an object's markings, those of single properties included."""
    yield from _texts(content.get("object_marking_refs"))
    yield from _granular(content)


def marking_levels(contents: Iterable[object]) -> dict[str, Tlp | None]:
    """Levels by marking id: the standard's, and those that the given objects define.

    A definition under one of the standard's ids cannot redefine it; of two that differ, the
    tighter counts.
    """
    found: dict[str, Tlp | None] = {}
    for content in contents:
        if isinstance(content, dict) and content.get("type") == "marking-definition":
            level, marking_id = _defined(content), content.get("id")
            if isinstance(marking_id, str):
                both = [one for one in (level, found.get(marking_id)) if one is not None]
                found[marking_id] = max(both, key=lambda tlp: tlp.rank, default=None)
    return {**found, **MARKINGS}


def _defined(content: Mapping[str, object]) -> Tlp | None:
    name: object = None
    extensions, definition = content.get("extensions"), content.get("definition")
    if isinstance(extensions, dict) and isinstance(extensions.get(TLP2_EXTENSION), dict):
        name = extensions[TLP2_EXTENSION].get("tlp_2_0")
    elif content.get("definition_type") == "tlp" and isinstance(definition, dict):
        name = {"white": "clear", "amber": "amber+strict"}.get(
            str(definition.get("tlp")).casefold(), definition.get("tlp")
        )
    try:
        return Tlp(str(name).casefold())
    except ValueError:
        return None


def _levels(content: Mapping[str, object], markings: Levels) -> tuple[list[Tlp], list[Tlp], bool]:
    """Levels of the whole object, of its properties, and whether all of its markings are known."""
    refs, granular = _texts(content.get("object_marking_refs")), _granular(content)
    known = all(ref in markings for ref in (*refs, *granular))
    whole = [level for ref in refs if (level := markings.get(ref)) is not None]
    parts = [level for ref in granular if (level := markings.get(ref)) is not None]
    return whole, parts, known


def _granular(content: Mapping[str, object]) -> list[str]:
    granular = content.get("granular_markings")
    found = [
        marking.get("marking_ref")
        for marking in (granular if isinstance(granular, list) else ())
        if isinstance(marking, dict)
    ]
    return _texts(found)


def _texts(values: object) -> list[str]:
    return [v for v in values if isinstance(v, str)] if isinstance(values, list) else []
