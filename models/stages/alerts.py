"""Alerts of promoted detections: kept as they come, and judged by people."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from huntonce.models.alert import Alert, AlertState
from huntonce.models.detection import Detection
from huntonce.models.errors import DomainError
from huntonce.models.finding import EventRef
from huntonce.models.keeping import UnitOfWork
from huntonce.models.ports import Siem
from huntonce.models.query import EVENT_COLUMNS
from huntonce.models.stages.kit import Kit
from huntonce.models.windows import Window


def raise_alert(unit: UnitOfWork, kit: Kit, detection: Detection, alert: Alert) -> int:
    """Keep the alert of a day; returns how many of its events no earlier run had seen.

    A later run never takes events back: what was raised was raised. More of them open it again,
    for nobody has judged those.
    """
    known = unit.alerts.by_key(alert.key)
    if known is None:
        unit.alerts.add(alert, actor=kit.actor, why=f"{detection.id} fired on {alert.siem}")
        return alert.count
    if alert.count <= known.count:
        return 0
    more = alert.count - known.count
    unit.alerts.save(
        replace(alert, id=known.id), actor=kit.actor, why=f"{more} more events of {detection.id}"
    )
    return more


def events_of(siem: Siem, detection: Detection, alert: Alert) -> tuple[EventRef, ...]:
    """The events of an alert that the SIEM still has and the rule, as it is now, still finds."""
    window = Window(alert.first, alert.last + timedelta(microseconds=1))
    rule = "\n---\n".join([detection.rule, *detection.filters])
    table = siem.search_rule(rule, window).table
    known = set(alert.uids)
    rows = table.select([name for name, _ in EVENT_COLUMNS]).to_pylist()
    return tuple(EventRef(**row, role="alert") for row in rows if row["uid"] in known)


def judge(kit: Kit, names: Sequence[str], *, real: bool, by: str, why: str) -> tuple[Alert, ...]:
    """Record what a person says of alerts, all of them or none; a judgement can be corrected.

    Raises:
        DomainError: No name or reason is given, or there is no such alert.
    """
    if not by.strip() or not why.strip():
        raise DomainError("a judgement needs who made it, and why", hint="--by NAME --why TEXT")
    state = AlertState.TRUE if real else AlertState.FALSE
    judged = []
    with kit.open_unit() as unit:
        for name in dict.fromkeys(name.upper() for name in names):
            alert = unit.alerts.get(name)
            if alert is None:
                raise DomainError(f"no alert {name}", hint="huntonce detections alerts lists them")
            changed = replace(alert, state=state, judged_by=by.strip(), why=why.strip())
            judged.append(unit.alerts.save(changed, actor=by.strip(), why=why.strip()))
        unit.commit()
    return tuple(judged)
