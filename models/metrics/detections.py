"""Numbers of detections: promoted, what they cover that nothing covered, and what they said."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from huntonce.models.alert import Alert, AlertState, cases_of, verdicts
from huntonce.models.detection import guard_of
from huntonce.models.entity import Kind
from huntonce.models.metrics.number import Number, Table, counted
from huntonce.models.metrics.records import PROMOTED, Period, Records, hours
from huntonce.models.transition import Transition

LATELY = timedelta(minutes=10)
"""A period that ended so long ago at most ends now."""
_NOT_RECORDED = Number(value=None)


def promoted_at(life: Sequence[Transition]) -> datetime | None:
    """When a detection first left the draft state; None where it never did."""
    return next((row.at for row in life if row.after in PROMOTED), None)


def detection_numbers(records: Records, period: Period) -> Mapping[str, Number]:
    """The numbers of detections by name."""
    lives = records.of(Kind.DETECTION)
    return {
        "detections_promoted": counted(
            d for d, life in lives.items() if period.has(promoted_at(life))
        ),
        "detections_retired": counted(
            d
            for d, life in lives.items()
            if (known := [row for row in life if period.over(row.at)])
            and known[-1].after == "retired"
            and period.has(known[-1].at)
        ),
        "techniques_newly_guarded": counted(t for t, _, _ in _new(records, period)),
        **_standing(records, period),
        **_alerts(records, period),
        **_saved(records, period),
    }


def detection_tables(records: Records, period: Period) -> Mapping[str, Table]:
    """Techniques that nothing covered before, and the sources that detections feed on."""
    feeding: dict[str, list[str]] = defaultdict(list)
    for detection in records.detections:
        if detection.state.value in PROMOTED:
            for atom in detection.atoms:
                feeding[atom].append(detection.id)
    return {
        "techniques_newly_guarded": Table(
            columns=("technique", "detection", "since"),
            rows=tuple((t, d, f"{at:%Y-%m-%d}") for t, d, at in _new(records, period)),
        ),
        "detections_by_source": Table(
            columns=("source", "detections", "which"),
            rows=tuple(
                (atom, float(len(ids)), ", ".join(ids))
                for atom, ids in sorted(feeding.items(), key=lambda i: (-len(i[1]), i[0]))
            ),
        ),
    }


def _new(records: Records, period: Period) -> Sequence[tuple[str, str, datetime]]:
    """Technique, detection and time of each promotion that covered what no other did then."""
    lives = records.of(Kind.DETECTION)
    spans = sorted(
        (at, d.id, _retired(lives[d.id]), d.technique_ids)
        for d in records.detections
        if d.id in lives and (at := promoted_at(lives[d.id])) is not None
    )
    until: dict[str, list[datetime | None]] = defaultdict(list)
    found = []
    for at, detection, retired, techniques in spans:
        for technique in techniques:
            covered = any(end is None or end > at for end in until[technique])
            if not covered and period.has(at):
                found.append((technique, detection, at))
            until[technique].append(retired)
    return found


def _retired(life: Sequence[Transition]) -> datetime | None:
    return life[-1].at if life[-1].after == "retired" else None


def _standing(records: Records, period: Period) -> Mapping[str, Number]:
    """What only the things as they stand say: nothing of the past."""
    if period.end is not None and period.end < records.now - LATELY:
        names = ("guarding", "unhealthy", "alerts_a_day_proven")
        past = {f"detections_{name}": _NOT_RECORDED for name in names[:2]}
        return {**past, "techniques_guarded": _NOT_RECORDED, names[2]: _NOT_RECORDED}
    guards = [(d, guard_of(d)) for d in records.detections]
    standing = [d for d, guard in guards if guard.stands]
    proven = [d for d, guard in guards if guard.promoted and d.certificate is not None]
    return {
        "detections_guarding": counted(d.id for d in standing),
        "detections_unhealthy": counted(
            d.id for d, guard in guards if guard.promoted and not guard.stands
        ),
        "techniques_guarded": counted(sorted({t for d in standing for t in d.technique_ids})),
        "alerts_a_day_proven": Number(
            value=sum(d.certificate.alerts_a_day for d in proven if d.certificate is not None)
            if proven
            else None,
            rows=tuple(d.id for d in proven),
        ),
    }


def _alerts(records: Records, period: Period) -> Mapping[str, Number]:
    said = [alert for alert in records.alerts if period.has(_noon(alert))]
    names = {detection.rule_id: detection.id for detection in records.detections}
    ids = tuple(sorted({names.get(alert.rule_id, alert.rule_id) for alert in said}))
    days = {alert.day for alert in said}
    rate = sum(alert.count for alert in said) / len(days) if days else None
    closed = [case for case in records.cases if period.has(case.closed_at)]
    judged = [_as_judged(alert, records, period) for alert in records.alerts]
    right, wrong = verdicts(judged, closed)
    known = [
        *(alert.id for alert in judged if alert.state is not AlertState.OPEN),
        *(name for alert in judged for name in cases_of(alert, closed)),
    ]
    return {
        "alerts_a_day": Number(value=rate, rows=ids),
        "alert_precision": Number(
            value=right / (right + wrong) if right + wrong else None,
            rows=tuple(dict.fromkeys(known)),
        ),
    }


def _as_judged(alert: Alert, records: Records, period: Period) -> Alert:
    """The alert, open unless the judgement that it has was made in the period."""
    said = [row for row in records.of(Kind.ALERT).get(alert.id, ()) if row.after == alert.state]
    made = bool(said) and period.has(said[-1].at)
    return alert if made else replace(alert, state=AlertState.OPEN)


def _noon(item: Alert) -> datetime:
    return datetime.combine(item.day, time(12), tzinfo=UTC)


def _saved(records: Records, period: Period) -> Mapping[str, Number]:
    """What detections watched, and what hunting the same hours again would have asked."""
    runs = records.last_hunts(Period(end=period.end))
    watched = queries = 0.0
    ids = []
    for detection in records.detections:
        guarded = _guarded(records.of(Kind.DETECTION).get(detection.id, ()), records, period)
        if not guarded:
            continue
        ids.append(detection.id)
        watched += guarded
        run = runs.get(detection.hypothesis_key)
        if run is not None and run.end > run.start:
            asked = sum(check.executed for check in run.checks)
            queries += asked * guarded / hours(run.end - run.start)
    rows = tuple(ids)
    return {
        "guarded_hours": Number(value=watched, rows=rows),
        "queries_saved": Number(value=queries, rows=rows),
    }


def _guarded(life: Sequence[Transition], records: Records, period: Period) -> float:
    """Hours of a period in which a detection was promoted and not retired."""
    start = promoted_at(life)
    if start is None:
        return 0.0
    end = _retired(life) or records.now
    start = max(start, period.start) if period.start is not None else start
    end = min(end, period.end) if period.end is not None else end
    return max(0.0, hours(end - start))
