"""Numbers of the loop: cases that became intel, intel that became hypotheses, who yields what."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from huntonce.models.case import Determination
from huntonce.models.entity import Kind
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.metrics.detections import promoted_at
from huntonce.models.metrics.number import Number, Table, counted
from huntonce.models.metrics.records import Period, Records, state_at

_OUT = frozenset({"sent", "already_present"})
_COLUMNS = (
    "hypotheses",
    "hunted",
    "gaps surfaced",
    "detections promoted",
    "cases opened",
    "cases confirmed",
)
_Led = tuple[set[str], ...]


def loop_numbers(records: Records, period: Period) -> Mapping[str, Number]:
    """The numbers of what was learned and went on, by name."""
    closed = [
        case_id
        for case_id, life in records.of(Kind.CASE).items()
        if life[-1].after == "closed" and period.has(life[-1].at)
    ]
    left = [p for p in records.publications if period.has(_left(records, p.id))]
    told = {p.subject for p in records.publications if _left(records, p.id) is not None}
    became = [case_id for case_id in closed if case_id in told]
    objects = list(dict.fromkeys(p.object_id for p in left))
    cited = {source.object_id for h in records.hypotheses for source in h.sources}
    return {
        "cases_to_intel": counted(became),
        "cases_to_intel_share": Number(
            value=len(became) / len(closed) if closed else None, rows=tuple(closed)
        ),
        "objects_published": counted(objects),
        "intel_to_hypotheses": counted(item for item in objects if item in cited),
    }


def _left(records: Records, publication: str) -> datetime | None:
    life = records.of(Kind.PUBLICATION).get(publication, ())
    return next((row.at for row in life if row.after in _OUT), None)


def yields(records: Records, period: Period) -> Mapping[str, Table]:
    """What each feed and each actor led to, most first; those that led to nothing are last."""
    events = _events(records, period)
    return {
        "yield_by_feed": _yield("feed", records, events, lambda h: {s.feed for s in h.sources}),
        "yield_by_actor": _yield("actor", records, events, lambda h: set(h.actors)),
    }


def _events(records: Records, period: Period) -> Mapping[str, _Led]:
    """Key of a hypothesis to the ids of what it led to in a period, in the order of the columns."""
    led: dict[str, _Led] = defaultdict(lambda: tuple(set() for _ in _COLUMNS))
    for column, found in enumerate(_found(records, period)):
        for key, subject in found:
            led[key][column].add(subject)
    return led


def _found(records: Records, period: Period) -> Sequence[Iterable[tuple[str, str]]]:
    """For each column, pairs of a hypothesis' key and the id of what it led to."""
    alive = records.of(Kind.HYPOTHESIS)
    detections, cases = records.of(Kind.DETECTION), records.cases
    return (
        (
            (h.key, h.id)
            for h in records.hypotheses
            if h.id in alive and state_at(alive[h.id], period) not in {"", "superseded"}
        ),
        ((key, key) for key in records.last_hunts(period)),
        (
            (key, gap.id)
            for gap in records.gaps
            if period.has(records.born(Kind.GAP, gap.id))
            for key in gap.unlocks
        ),
        (
            (d.hypothesis_key, d.id)
            for d in records.detections
            if period.has(promoted_at(detections.get(d.id, ())))
        ),
        ((c.hypothesis_key, c.id) for c in cases if period.has(records.born(Kind.CASE, c.id))),
        (
            (c.hypothesis_key, c.id)
            for c in cases
            if c.determination is Determination.CONFIRMED and period.has(c.closed_at)
        ),
    )


def _yield(
    name: str,
    records: Records,
    led: Mapping[str, _Led],
    groups: Callable[[Hypothesis], set[str]],
) -> Table:
    sums: dict[str, _Led] = defaultdict(lambda: tuple(set() for _ in _COLUMNS))
    for hypothesis in records.hypotheses:
        if hypothesis.key not in led:
            continue
        for group in groups(hypothesis):
            for mine, more in zip(sums[group], led[hypothesis.key], strict=True):
                mine.update(more)
    counts = [(group, tuple(map(len, ids))) for group, ids in sums.items()]
    counts.sort(key=lambda item: (*(-n for n in reversed(item[1])), item[0]))
    return Table(
        columns=(name, *_COLUMNS),
        rows=tuple((group, *map(float, numbers)) for group, numbers in counts),
    )
