"""Numbers of gaps: surfaced, closed by evidence, open by age and kind, and how long it took."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from huntonce.models.entity import Kind
from huntonce.models.gap import OPEN
from huntonce.models.metrics.number import Number, Table, counted
from huntonce.models.metrics.records import Period, Records, hours, quantile, state_at
from huntonce.models.transition import Transition

AGES = ((7, "under a week"), (30, "1 to 4 weeks"), (90, "1 to 3 months"), (0, "older"))
"""Age in days that a band ends at (0 = none), and its name."""
_OPEN = {state.value for state in OPEN}


def remediation_hours(life: Sequence[Transition]) -> float | None:
    """Hours from a gap's surfacing to the first passing probe of the run that verified it.

    None where it was never closed. ``life`` is the gap's rows in order.
    """
    ends = [index for index, row in enumerate(life) if row.after == "closed"]
    if not ends:
        return None
    surfaced = opened_at(life[: ends[-1]])
    verifying = [row.at for row in life[: ends[-1]] if row.after == "verifying"]
    first_pass = verifying[-1] if verifying else life[ends[-1]].at
    return hours(first_pass - surfaced)


def opened_at(life: Sequence[Transition]) -> datetime:
    """When the gap last came up: its birth, or its last regression."""
    ups = [row.at for row in life if row.before == "" or row.after == "regressed"]
    return ups[-1] if ups else life[0].at


def gap_numbers(records: Records, period: Period) -> Mapping[str, Number]:
    """The numbers of gaps by name."""
    lives = records.of(Kind.GAP)
    spent = _spent(records, period)
    standing = {gap: state_at(life, period) for gap, life in lives.items()}
    waiting = {gap for gap, state in standing.items() if state in _OPEN}
    ids = {h.key: h.id for h in records.hypotheses}
    held = {key for gap in records.gaps if gap.id in waiting for key in gap.unlocks if key in ids}
    times = tuple(spent)
    return {
        "gaps_surfaced": counted(g for g, life in lives.items() if period.has(life[0].at)),
        "gaps_closed": counted(spent),
        "gaps_open": counted(g for g in lives if g in waiting),
        "gaps_regressed": counted(
            gap
            for gap, life in lives.items()
            if any(row.after == "regressed" and period.has(row.at) for row in life)
        ),
        "gaps_risk_accepted": counted(g for g, s in standing.items() if s == "risk_accepted"),
        "hypotheses_held_back": counted(sorted(ids[key] for key in held)),
        "remediation_hours": Number(value=quantile(spent.values(), 0.5), rows=times),
        "remediation_hours_p90": Number(value=quantile(spent.values(), 0.9), rows=times),
    }


def _spent(records: Records, period: Period) -> Mapping[str, float]:
    """Gaps that a period closed and left closed, and the hours that it took to mend them."""
    spent = {}
    for gap, life in records.of(Kind.GAP).items():
        known = [row for row in life if period.over(row.at)]
        if known and known[-1].after == "closed" and period.has(known[-1].at):
            took = remediation_hours(known)
            if took is not None:
                spent[gap] = took
    return spent


def gap_tables(records: Records, period: Period) -> Mapping[str, Table]:
    """Open gaps by kind and age; time to mend by kind and owner."""
    end = period.end or records.now
    known = {gap.id: gap for gap in records.gaps}
    kinds: dict[str, list[float]] = defaultdict(list)
    for gap, life in records.of(Kind.GAP).items():
        if state_at(life, period) in _OPEN:
            rows = [row for row in life if period.over(row.at)]
            kind = known[gap].gap_kind.value if gap in known else "unknown"
            kinds[kind].append(max(0.0, hours(end - opened_at(rows)) / 24))
    spent = _spent(records, period)
    return {
        "gaps_open_by_kind_and_age": Table(
            columns=("kind", *(name for _, name in AGES), "all"),
            rows=tuple(
                (kind.replace("_", " "), *_bands(ages), float(len(ages)))
                for kind, ages in sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
            ),
        ),
        "remediation_by_kind": _times(
            "kind", spent, lambda g: known[g].gap_kind.value.replace("_", " ") if g in known else ""
        ),
        "remediation_by_owner": _times(
            "owner", spent, lambda g: known[g].owner if g in known else ""
        ),
    }


def _bands(ages: Sequence[float]) -> tuple[float, ...]:
    counts = [0.0] * len(AGES)
    for age in ages:
        place = next(i for i, (limit, _) in enumerate(AGES) if not limit or age < limit)
        counts[place] += 1
    return tuple(counts)


def _times(name: str, spent: Mapping[str, float], group: Callable[[str], str]) -> Table:
    groups: dict[str, list[float]] = defaultdict(list)
    for gap, took in spent.items():
        groups[group(gap) or "nobody"].append(took)
    return Table(
        columns=(name, "closed", "median hours", "90 % within hours"),
        rows=tuple(
            (key, float(len(times)), quantile(times, 0.5), quantile(times, 0.9))
            for key, times in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
        ),
    )
