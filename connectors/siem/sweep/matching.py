"""One class of events against its plan: scan the different values, verify the candidates."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from huntonce.connectors.siem.sweep.batch import ClassRows
from huntonce.connectors.siem.sweep.column import Column, Rows
from huntonce.connectors.siem.sweep.folding import Outcome
from huntonce.connectors.siem.sweep.planning import Plan
from huntonce.connectors.siem.sweep.verifying import holds

Fold = Callable[[int, int], Outcome]
"""The folded condition of (rule, place) over the class."""

Found = dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]

_MANY_CODES = 2_000


@dataclass(frozen=True, slots=True)
class Match:
    """Rows (positions in the class) that a rule matches."""

    rule: int
    place: int
    rows: Rows


def match_class(rows: ClassRows, plan: Plan, fold_rule: Fold) -> Iterator[Match]:
    """Every rule of the plan that matches, with its rows in order."""
    candidates = _candidates(rows, plan)
    everything: Rows = np.arange(len(rows))
    for number, entry in enumerate(plan.entries):
        if entry.needles is None:
            looked_at = everything
        elif number in candidates:
            looked_at = candidates[number]
        else:
            continue
        folded = fold_rule(entry.rule, entry.place)
        if folded is False:
            continue
        matched = looked_at
        if folded is not True:
            matched = looked_at[holds(folded, looked_at, rows.column)]
        if len(matched):
            yield Match(entry.rule, entry.place, matched)


def _candidates(rows: ClassRows, plan: Plan) -> dict[int, Rows]:
    """For each entry whose texts occur: the rows in which they do."""
    parts: dict[int, list[Rows]] = {}
    rows.batch.prefetch(key.name for key in plan.columns)
    for number, key in enumerate(plan.columns):
        if not key.meanings and not rows.batch.may_hold(key.name, plan.needles[number]):
            continue
        column = rows.column(key)
        if not column.size:
            continue
        needles, values = plan.scanner(number).scan(column.low)
        if not len(needles):
            continue
        groups = _RowsByValue(column, np.unique(values))
        waiting = plan.entries_of(number)
        starts = np.concatenate([[0], np.flatnonzero(np.diff(needles)) + 1, [len(needles)]])
        wanted: dict[int, list[npt.NDArray[np.int64]]] = {}
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            for entry in waiting[int(needles[start])]:
                wanted.setdefault(entry, []).append(values[start:end])
        for entry, found in wanted.items():
            parts.setdefault(entry, []).append(groups.rows_of(found))
    return {entry: _union(found, len(rows)) for entry, found in parts.items()}


class _RowsByValue:
    """The rows of each of some values of a column."""

    def __init__(self, column: Column, values: npt.NDArray[np.int64]) -> None:
        self._column = column
        wanted = np.zeros(column.size + 1, np.bool_)
        wanted[values] = True
        rows = np.flatnonzero(wanted[column.codes])
        codes = column.codes[rows]
        self._rows: Rows = rows[np.argsort(codes, kind="stable")]
        counts = np.bincount(codes, minlength=column.size)
        self._ends = np.cumsum(counts)
        self._starts = self._ends - counts

    def rows_of(self, values: Sequence[npt.NDArray[np.int64]]) -> Rows:
        """The rows of some values, in any order; a value may come twice."""
        together = np.unique(np.concatenate(values)) if len(values) > 1 else values[0]
        if len(together) > _MANY_CODES:
            wanted = np.zeros(self._column.size + 1, np.bool_)
            wanted[together] = True
            return np.flatnonzero(wanted[self._column.codes])
        starts, ends = self._starts[together].tolist(), self._ends[together].tolist()
        if len(starts) == 1:
            return self._rows[starts[0] : ends[0]]
        return np.concatenate(
            [self._rows[start:end] for start, end in zip(starts, ends, strict=True)]
        )


def _union(parts: Sequence[Rows], size: int) -> Rows:
    if len(parts) == 1:
        return np.sort(parts[0])
    if sum(map(len, parts)) < size // 50:
        return np.unique(np.concatenate(parts))
    mask = np.zeros(size, np.bool_)
    for part in parts:
        mask[part] = True
    return np.flatnonzero(mask)
