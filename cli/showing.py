"""What ``huntonce show`` says of one thing."""

from typing import TYPE_CHECKING, Any

from huntonce.cli import views
from huntonce.models.errors import DomainError
from huntonce.models.stages.alerts import events_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from huntonce.flows.bootstrap import Home
    from huntonce.models.desk import AtDesk
    from huntonce.models.finding import EventRef

Described = tuple[dict[str, Any], str, "tuple[EventRef, ...]"]


def describe(home: "Home", item: str) -> Described:
    """The document of one thing, its rule text where it has one, and its events.

    Raises:
        DomainError: Nothing has that id.
    """
    prefix = item.split("-", 1)[0]
    describers = {"F": _finding, "GAP": _gap, "D": _detection, "ALERT": _alert, "CASE": _case,
                  "H": _hypothesis, "HUNT": _hunt}  # fmt: skip
    describer = describers.get(prefix)
    found = describer(home, item) if describer else None
    if found is None:
        raise DomainError(f"nothing has the id {item!r}", hint="ids look like F-1, GAP-2, HUNT-3")
    return found


def _finding(home: "Home", item: str) -> Described | None:
    with home.store.unit() as unit:
        value = unit.findings.get(item)
    if value is None:
        return None
    document = views.finding(value)
    originals = _originals(home, value.events)
    document["originals"] = {uid: originals[uid] for uid in sorted(originals)}
    return document, "", value.events


def _originals(home: "Home", events: "Sequence[EventRef]") -> dict[str, str]:
    """The events as they are held, from the lake, then from the SIEMs that were hunted in."""
    found = dict(home.siem().originals(events))
    if len(found) == len(events):
        return found
    with home.store.unit() as unit:
        names = {run.siem for run in unit.hunts.list()} - {"lake"}
    for name in sorted(names & set(home.settings.siems)):
        left = [event for event in events if event.uid not in found]
        found |= home.siem(name).originals(left) if left else {}
    return found


def _gap(home: "Home", item: str) -> Described | None:
    with home.store.unit() as unit:
        value = unit.gaps.get(item)
    return (views.gap(value), "", ()) if value is not None else None


def _detection(home: "Home", item: str) -> Described | None:
    with home.store.unit() as unit:
        value = unit.detections.get(item)
    if value is None:
        return None
    fixtures = value.certificate.fixtures if value.certificate else ()
    return views.detection(value, whole=True), value.rule, fixtures


def _alert(home: "Home", item: str) -> Described | None:
    """An alert; its events are asked for again, for the store keeps only which they were."""
    from huntonce.cli.alertviews import alert_rows

    with home.store.unit() as unit:
        value = unit.alerts.get(item)
        if value is None:
            return None
        (document,) = [row for row in alert_rows(unit, value.rule_id) if row["id"] == item]
        detection = unit.detections.by_key(value.rule_id)
    refs = events_of(home.siem(value.siem), detection, value) if detection else ()
    originals = home.siem(value.siem).originals(refs)
    document["originals"] = {uid: originals[uid] for uid in sorted(originals)}
    document["gone"] = value.count - len(refs)
    return document, "", refs


def _case(home: "Home", item: str) -> Described | None:
    with home.store.unit() as unit:
        value = unit.cases.get(item)
    return (views.case(value), "", value.events) if value is not None else None


def _hypothesis(home: "Home", item: str) -> Described | None:
    with home.store.unit() as unit:
        value = unit.hypotheses.get(item)
    return (views.hypothesis(value), "", ()) if value is not None else None


def _hunt(home: "Home", item: str) -> Described | None:
    with home.store.unit() as unit:
        value = unit.hunts.get(item)
    if value is None:
        return None
    document = {
        "id": value.id,
        "hypothesis": value.hypothesis_id,
        "technique": value.technique_id,
        "siem": value.siem,
        "window": [value.start.isoformat(), value.end.isoformat()],
        "state": value.state.value,
        "ledger": value.ledger,
        "verdict": value.verdict.value if value.verdict else None,
        "why": value.why,
        "power": views.power(value.power),
        "findings": list(value.finding_ids),
        "gaps": list(value.gap_ids),
        "detections": list(value.detection_ids),
        "cases": list(value.case_ids),
        "outcomes": list(value.outcomes),
        "queries": [views.check(check) for check in value.checks],
    }
    return document, "", ()


def at_desk_rows(value: "AtDesk") -> list[tuple[str, str]]:
    """How a ticket or case stands at its desk, in lines for a person; none where none told."""
    facts = (value.status, f"with {value.assignee}" if value.assignee else "", value.url)
    rows = [("there", ", ".join(one for one in facts if one))]
    rows += [("", f"{one.author} {one.at[:16]}: {one.text}") for one in value.comments[-3:]]
    return [row for row in rows if row[1]]
