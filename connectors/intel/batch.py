"""What the intel sources hand on: checked objects and what was set aside, in one value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import orjson

from huntonce.connectors.intel.checks import MAX_OBJECT_BYTES, check_object
from huntonce.connectors.intel.selection import Selection
from huntonce.connectors.intel.stix20 import is_stix20, upgrade
from huntonce.models.intel import IntelObject
from huntonce.models.setaside import PAYLOAD_LIMIT, InputKind, SetAside
from huntonce.models.tlp import MARKINGS, Tlp, marking_levels

_HINT = (
    "ask the producer to correct it; it is kept (huntonce intel quarantine), and the rest of the"
    " delivery was taken"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntelBatch:
    """One page or file of intel; see the port of the same name.

    Attributes:
        skipped: Objects that the source's filters kept out.
        digest: Hash of the delivery's bytes; "" where it cannot come again as it is.
        unread: Objects of a delivery that was known to be held whole and so was not read.
    """

    objects: tuple[IntelObject, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    cursor: str | None = None
    skipped: int = 0
    digest: str = ""
    unread: int = 0


@dataclass(slots=True)
class Intake:
    """Checks one delivery after another from one source.

    Attributes:
        markings: TLP markings defined so far; a definition counts for all later deliveries too.
        selection: What is wanted of a delivery.
        skipped: Objects of the last delivery that were not wanted.
    """

    source: str
    default_tlp: Tlp
    markings: dict[str, Tlp | None] = field(default_factory=dict)
    selection: Selection = field(default_factory=Selection)
    skipped: int = 0

    def take(
        self, bodies: Iterable[bytes], *, source: str = "", first: int | None = 1
    ) -> tuple[tuple[IntelObject, ...], tuple[SetAside, ...]]:
        """The valid objects of a delivery, and one refusal for each of the others.

        STIX 2.0 is upgraded; an observed-data of 2.0 becomes several objects.

        Args:
            bodies: JSON of one object each.
            source: Where the delivery is from, if not the intake's own source.
            first: Number of the first object, for the place of a refusal; None where numbers
                say nothing, because the same object comes under another one next time.
        """
        parsed = [(body, *_parse(body)) for body in bodies]
        self.markings.update(marking_levels(content for _, content, _ in parsed))
        objects: list[IntelObject] = []
        refused: list[SetAside] = []
        self.skipped = 0
        everything = self.selection == Selection()
        for number, (body, content, fault) in enumerate(parsed, start=first or 0):
            answer = fault or self._check(content, body)
            if isinstance(answer, str):
                count = "object" if first is None else f"object {number}"
                place = f"{count} {_label(content)}".rstrip()
                refused.append(refusal(source or self.source, place, answer, body, hint=_HINT))
                continue
            for one in answer:
                if everything or self.selection.wants(one):
                    objects.append(one)
                else:
                    self.skipped += 1
        return tuple(objects), tuple(refused)

    def _check(self, content: object, body: bytes) -> list[IntelObject] | str:
        if not is_stix20(content) or len(body) > MAX_OBJECT_BYTES or not isinstance(content, dict):
            answer = self._check_one(content, body)
            return answer if isinstance(answer, str) else [answer]
        done = []
        try:
            upgraded = upgrade(content)
            bodies = [orjson.dumps(one) for one in upgraded]
        except (RecursionError, ValueError, TypeError) as error:
            return f"is STIX 2.0 and cannot be brought to 2.1: {error}"[:300]
        for one, text in zip(upgraded, bodies, strict=True):
            answer = self._check_one(one, text)
            if isinstance(answer, str):
                which = "" if one.get("id") == content.get("id") else f" ({_label(one)} in it)"
                return f"{answer}{which} (STIX 2.0, brought to 2.1)"
            done.append(replace(answer, original=body))
        return done

    def _check_one(self, content: object, body: bytes) -> IntelObject | str:
        return check_object(
            content, body, default_tlp=self.default_tlp, markings=self.markings or MARKINGS
        )


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
