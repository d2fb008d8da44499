"""Drift: where the store of rules and the SIEMs differ from what is recorded here.

A rule that operators switched off is told apart from drift: that is theirs to do. What could not
be looked at is said, and is never taken for a place without drift.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import yaml

from huntonce.models.detecting import canonical_sha256
from huntonce.models.detection import (
    OFF,
    ON,
    ON_DUTY,
    SWITCHED_OFF,
    Detection,
    DetectionState,
    HeldRule,
)
from huntonce.models.errors import DomainError, HuntonceError
from huntonce.models.ids import digest
from huntonce.models.ports import DetectionStore, ReadableStore, SwitchedStore
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import rule_of


class Sort(StrEnum):
    """What a line says."""

    DRIFT = "drift"
    SWITCH = "switch"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftLine:
    """Something that is not the same in two places, or could not be compared.

    Attributes:
        detection: Short id; "" where a store holds a rule that we do not know, or was not seen.
        part: rule, filters, certificate, fixtures, hunt, queries, deployment, switch or store.
        where: Name of the store or SIEM.
        why: changed (its meaning), layout (its text only), missing, unknown, not deployed,
            still there; off or switched off; or why it could not be looked at.
    """

    detection: str
    rule_id: str
    part: str
    where: str
    why: str
    sort: Sort = Sort.DRIFT


def read_back(kit: Kit, rule_id: str) -> Mapping[str, str] | None:
    """What the store of rules holds of a rule now.

    Raises:
        DomainError: The store cannot be read back.
    """
    if not isinstance(kit.rules, ReadableStore):
        raise DomainError(f"{kit.rules.name} cannot be read back, so drift cannot be seen")
    return kit.rules.kept(rule_id)


def drift(kit: Kit) -> tuple[DriftLine, ...]:
    """Where the store of rules, and each SIEM that rules are deployed to, differ from the record.

    How operators have their switches is recorded as it is seen.

    Raises:
        DomainError: The store of rules cannot be read back.
        ConnectorError: It cannot be read. A SIEM that cannot is a line of its own.
    """
    if not isinstance(kit.rules, ReadableStore):
        raise DomainError(f"{kit.rules.name} cannot be read back, so drift cannot be seen")
    with kit.open_unit() as unit:
        known = {
            detection.rule_id: (detection, _expected(rule_of(unit, detection)))
            for detection in unit.detections.list()
        }
    lines = [*_waiting(known), *_compared(kit.rules.name, kit.rules, known)]
    for name in kit.targets:
        lines += _at_siem(kit, name, known)
    return tuple(lines)


_Known = Mapping[str, tuple[Detection, Mapping[str, str]]]


def _waiting(known: _Known) -> Iterator[DriftLine]:
    for detection, _ in known.values():
        for place in detection.deployments:
            if place.desired != place.observed:
                yield DriftLine(
                    detection=detection.id,
                    rule_id=detection.rule_id,
                    part="deployment",
                    where=place.siem,
                    why=f"{place.desired}, not {place.observed or 'there'}",
                )


def _at_siem(kit: Kit, name: str, known: _Known) -> list[DriftLine]:
    """The lines of one SIEM; one that says why, where it cannot be looked at."""
    try:
        store = kit.targets[name]
        held = store.held() if isinstance(store, SwitchedStore) else None
        if not isinstance(store, ReadableStore) and held is None:
            return [_unseen(name, "its rules cannot be read back")]
        lines = list(_compared(name, store, known, held))
    except HuntonceError as error:
        return [_unseen(name, f"could not look: {error}")]
    if held is not None:
        lines += _switches(kit, name, held)
    return lines


def _unseen(name: str, why: str) -> DriftLine:
    return DriftLine(detection="", rule_id="", part="store", where=name, why=why, sort=Sort.UNSEEN)


def _compared(
    where: str, store: DetectionStore, known: _Known, held: Sequence[HeldRule] | None = None
) -> Iterator[DriftLine]:
    """What a store has against the record; by its own marks where it has no texts to read."""
    marks = None if held is None else {rule.rule_id: rule for rule in held}
    readable = store if isinstance(store, ReadableStore) else None
    ids = set(readable.rules() if readable else ()) | set(marks or ())
    for rule_id, (detection, expected) in known.items():

        def line(part: str, why: str, of: Detection = detection) -> DriftLine:
            return DriftLine(detection=of.id, rule_id=of.rule_id, part=part, where=where, why=why)

        if detection.state not in ON_DUTY:
            if rule_id in ids and detection.state is not DetectionState.DEPRECATED:
                yield line("rule", "still there")
            continue
        kept = readable.kept(rule_id) if readable else None
        if kept is None and (readable or rule_id not in ids):
            if any(d.siem == where and d.there for d in detection.deployments):
                yield line("rule", "missing")
            continue
        changed = [(part, why) for part, why in _parts(expected, kept or {}) if why]
        yield from (line(part, why) for part, why in changed)
        if marks and rule_id in marks and not marks[rule_id].untouched and not changed:
            yield line("queries", "changed")
    for rule_id in sorted(ids - set(known)):
        yield DriftLine(detection="", rule_id=rule_id, part="rule", where=where, why="unknown")


def _parts(expected: Mapping[str, str], kept: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Part to how it differs; a store without texts has none."""
    for part in sorted({*expected, *kept}) if kept else ():
        yield part, _differs(part, expected.get(part), kept.get(part))


def _switches(kit: Kit, where: str, held: Sequence[HeldRule]) -> list[DriftLine]:
    """Rules on duty that are off at a SIEM; what is seen of each switch is recorded."""
    lines = []
    with kit.open_unit() as unit:
        for rule in held:
            detection = unit.detections.by_key(rule.rule_id)
            if detection is None or detection.state not in ON_DUTY:
                continue
            places = {d.siem: d for d in detection.deployments}
            place = places.get(where)
            if place is None:
                continue
            was = place.observed
            seen = ON if rule.enabled else SWITCHED_OFF if was in {ON, SWITCHED_OFF} else OFF
            if place.there and seen != was:
                places[where] = replace(place, desired=seen, observed=seen)
                unit.detections.save(
                    replace(detection, deployments=tuple(places.values())),
                    actor=kit.actor,
                    why=f"seen {seen} at {where}, by its operators",
                )
            if seen != ON:
                lines.append(
                    DriftLine(
                        detection=detection.id,
                        rule_id=rule.rule_id,
                        part="switch",
                        where=where,
                        why="off" if seen == OFF else seen,
                        sort=Sort.SWITCH,
                    )
                )
        unit.commit()
    return lines


def _expected(payload: Mapping[str, object]) -> dict[str, str]:
    found = {"rule": str(payload["rule"])}
    filters = payload["filters"]
    if isinstance(filters, Iterable) and filters:
        found["filters"] = "---\n".join(f"{str(text).rstrip()}\n" for text in filters)
    for part in ("certificate", "fixtures", "hunt"):
        if payload[part]:
            found[part] = json.dumps(payload[part])
    return found


def _differs(part: str, expected: str | None, found: str | None) -> str:
    """How a part differs; "" where it does not."""
    if expected is None or found is None:
        return "unknown" if expected is None else "missing"
    if expected.rstrip() == found.rstrip():
        return ""
    meant, held = _meaning(part, expected), _meaning(part, found)
    if meant != held or held is None:
        return "changed"
    return "layout" if part == "rule" else ""


def _meaning(part: str, text: str) -> str | None:
    """Hash of what a part says; None where a person made something unreadable of it."""
    try:
        if part in {"rule", "filters"}:
            return digest([canonical_sha256(one) for one in text.split("---\n")])
        return digest(json.loads(text))
    except (ValueError, yaml.YAMLError, RecursionError):
        return None
