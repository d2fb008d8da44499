"""Alerts: what a promoted detection found on one SIEM on one day, for a person to judge.

open ──> true | false; back to open when more of its events arrive. A judgement can be corrected.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.entity import Kind
from huntonce.models.ids import digest

if TYPE_CHECKING:
    import pyarrow as pa

MOST_UIDS = 500
"""Events of one day that are kept by name; the count goes on."""
MOST_HOSTS = 500

_REAL = {Determination.CONFIRMED, Determination.BLOCKED, Determination.FAILED_ATTEMPT}


class AlertState(StrEnum):
    """What a person said of an alert."""

    OPEN = "open"
    TRUE = "true"
    FALSE = "false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The events that a detection found on one SIEM on one day (UTC, by the events' time).

    Attributes:
        rule_id: The detection's.
        count: How many events.
        hosts: In order; at most ``MOST_HOSTS``.
        uids: The events, at most ``MOST_UIDS``, to be found in cases.
        state: True where any of its events is what the detection is for.
        judged_by, why: Who said so, and what they saw; "" where it is open.
    """

    id: str = ""
    rule_id: str
    siem: str
    day: date
    count: int
    hosts: tuple[str, ...]
    first: datetime
    last: datetime
    uids: tuple[str, ...]
    state: AlertState = AlertState.OPEN
    judged_by: str = ""
    why: str = ""

    @property
    def kind(self) -> Kind:
        """Always an alert."""
        return Kind.ALERT

    @property
    def key(self) -> str:
        """A detection, a SIEM and a day have one alert."""
        return digest("alert", self.rule_id, self.siem, self.day.isoformat())[:32]


def alerts_of(rule_id: str, siem: str, hits: "pa.Table") -> tuple[Alert, ...]:
    """Hits as alerts, one a day."""
    days: dict[date, list[Mapping[str, object]]] = {}
    for row in hits.select(["uid", "time", "host"]).to_pylist():
        days.setdefault(row["time"].date(), []).append(row)
    return tuple(_alert(rule_id, siem, day, days[day]) for day in sorted(days))


def _alert(rule_id: str, siem: str, day: date, rows: Sequence[Mapping[str, object]]) -> Alert:
    times = sorted(row["time"] for row in rows if isinstance(row["time"], datetime))
    uids = sorted({str(row["uid"]) for row in rows})
    return Alert(
        rule_id=rule_id,
        siem=siem,
        day=day,
        count=len(uids),
        hosts=tuple(sorted({str(row["host"]) for row in rows})[:MOST_HOSTS]),
        first=times[0],
        last=times[-1],
        uids=tuple(uids[:MOST_UIDS]),
    )


def verdicts(alerts: Iterable[Alert], cases: Iterable[Case]) -> tuple[int, int]:
    """How many of the alerts' events are real, and how many false; of the others nobody knows.

    A closed case that names an event says what it is; of the others, the judgement of the alert.
    """
    real, false = _closed(cases)
    counts = [0, 0]
    for alert in alerts:
        uids = set(alert.uids)
        of_cases = len(uids & real), len(uids & false - real)
        rest = alert.count - sum(of_cases)
        counts[0] += of_cases[0] + (rest if alert.state is AlertState.TRUE else 0)
        counts[1] += of_cases[1] + (rest if alert.state is AlertState.FALSE else 0)
    return counts[0], counts[1]


def _closed(cases: Iterable[Case]) -> tuple[set[str], set[str]]:
    real: set[str] = set()
    false: set[str] = set()
    for case in cases:
        if case.state is not CaseState.CLOSED or case.determination is None:
            continue
        if case.determination in _REAL:
            real |= {ref.uid for ref in case.events}
        elif case.determination is Determination.FALSE_POSITIVE:
            false |= {ref.uid for ref in case.events}
    return real, false


def cases_of(alert: Alert, cases: Iterable[Case]) -> tuple[str, ...]:
    """Ids of the cases that hold an event of an alert."""
    uids = set(alert.uids)
    return tuple(case.id for case in cases if any(ref.uid in uids for ref in case.events))
