"""Trends: the three outcomes over time, in spans of equal length."""

import itertools
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from huntonce.models.entity import Kind
from huntonce.models.gap import OPEN
from huntonce.models.metrics.detections import promoted_at
from huntonce.models.metrics.records import PROMOTED, Period, Records, state_at

SPANS = (1, 7, 28, 91)
"""Lengths in days that a span of a trend may have."""
MOST = 14
"""Most spans that a chart shows well."""
_OPEN = {state.value for state in OPEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One span of a trend.

    Attributes:
        surfaced, closed: Gaps that came up (also again) and that evidence closed in it.
        open: Gaps open at its end.
        promoted: Detections first promoted in it.
        watching: Detections promoted and not deprecated or retired at its end.
        opened: Cases opened in it.
        verdicts: Verdict to hunts that ended with it in the span.
    """

    start: datetime
    end: datetime
    surfaced: int
    closed: int
    open: int
    promoted: int
    watching: int
    opened: int
    verdicts: dict[str, int]


def trend(records: Records, period: Period) -> tuple[Step, ...]:
    """Spans that end at the end of the period, as many as fit, at least two; () of an empty log."""
    if not records.log:
        return ()
    end = period.end or max(records.now, records.log[-1].at)
    start = period.start or records.log[0].at
    days = next((n for n in SPANS if (end - start) / timedelta(days=n) <= MOST), SPANS[-1])
    length = timedelta(days=days)
    number = min(MOST * 4, max(2, -(-(end - start) // length)))
    edges = [end - length * n for n in range(number, -1, -1)]
    spans = [Period(start=a, end=b) for a, b in itertools.pairwise(edges)]
    return tuple(_step(records, span) for span in spans)


def _step(records: Records, span: Period) -> Step:
    gaps = records.of(Kind.GAP).values()
    detections = records.of(Kind.DETECTION).values()
    moved = Counter(
        row.after if row.before else "born" for life in gaps for row in life if span.has(row.at)
    )
    return Step(
        start=span.start or datetime.min.replace(tzinfo=UTC),
        end=span.end or records.now,
        surfaced=moved["born"] + moved["regressed"],
        closed=moved["closed"],
        open=sum(state_at(life, span) in _OPEN for life in gaps),
        promoted=sum(span.has(promoted_at(life)) for life in detections),
        watching=sum(state_at(life, span) in PROMOTED for life in detections),
        opened=sum(span.has(life[0].at) for life in records.of(Kind.CASE).values()),
        verdicts=dict(
            Counter(
                run.verdict.value
                for at, run in records.concluded
                if run.verdict is not None and span.has(at)
            )
        ),
    )
