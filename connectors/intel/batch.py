"""What the intel sources hand on: checked objects and what was set aside, in one value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from huntonce.connectors.intel.checks import check_object, marking_levels
from huntonce.models.intel import IntelObject
from huntonce.models.setaside import PAYLOAD_LIMIT, InputKind, SetAside
from huntonce.models.tlp import Tlp

_HINT = "ask the producer to correct it; everything else of the same delivery was taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntelBatch:
    """One page or file of intel; see the port of the same name."""

    objects: tuple[IntelObject, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    cursor: str | None = None


@dataclass(slots=True)
class Intake:
    """Checks one delivery after another from one source.

    Attributes:
        markings: TLP markings defined so far; a definition counts for all later deliveries too.
    """

    source: str
    default_tlp: Tlp
    markings: dict[str, Tlp] = field(default_factory=dict)

    def take(
        self, bodies: Iterable[bytes], *, source: str = "", first: int = 1
    ) -> tuple[tuple[IntelObject, ...], tuple[SetAside, ...]]:
        """The valid objects of a delivery, and one refusal for each of the others.

        Args:
            bodies: JSON of one object each.
            source: Where the delivery is from, if not the intake's own source.
            first: Number of the first object, for the place of a refusal.
        """
        parsed = [(body, *_parse(body)) for body in bodies]
        self.markings.update(marking_levels(content for _, content, _ in parsed))
        objects: list[IntelObject] = []
        refused: list[SetAside] = []
        for number, (body, content, fault) in enumerate(parsed, start=first):
            answer = fault or check_object(
                content, body, default_tlp=self.default_tlp, markings=self.markings
            )
            if isinstance(answer, str):
                place = f"object {number} {_label(content)}".rstrip()
                refused.append(refusal(source or self.source, place, answer, body, hint=_HINT))
            else:
                objects.append(answer)
        return tuple(objects), tuple(refused)


def refusal(source: str, place: str, reason: str, payload: bytes = b"", hint: str = "") -> SetAside:
    """Intel that was set aside, with as much of its bytes as is kept."""
    return SetAside(
        kind=InputKind.INTEL,
        source=source,
        place=place,
        reason=reason,
        hint=hint,
        payload=payload[:PAYLOAD_LIMIT],
    )


def _parse(body: bytes) -> tuple[object, str]:
    try:
        return orjson.loads(body), ""
    except orjson.JSONDecodeError as error:
        return None, f"not valid JSON: {error}"


def _label(content: object) -> str:
    if not isinstance(content, Mapping):
        return ""
    label = str(content.get("id") or content.get("type") or "")[:300]
    return "".join(one if one.isprintable() else "?" for one in label)
