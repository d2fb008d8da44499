"""Folded conditions over rows: which of them a condition holds for."""

from collections.abc import Callable

import numpy as np

from huntonce.connectors.siem.sweep.column import Column, Mask, Rows
from huntonce.connectors.siem.sweep.folding import (
    All,
    ColumnKey,
    Folded,
    HasValue,
    Inverse,
    Refers,
    Some,
    Test,
)
from huntonce.connectors.siem.sweep.predicates import FEW, Predicate

Columns = Callable[[ColumnKey], Column]

_DENSE = 4
_COST_OF_OPERATOR = 20
_COST_OF_REFERENCE = 200

_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda one, other: one == other,
    "startswith": lambda one, other: one.startswith(other),
    "endswith": lambda one, other: one.endswith(other),
    "contains": lambda one, other: other in one,
}


def holds(folded: Folded, rows: Rows, columns: Columns) -> Mask:
    """For each row whether the condition holds for it."""
    match folded:
        case Test(key, predicate):
            return _answers(predicate, columns(key), rows)
        case HasValue(key):
            has: Mask = columns(key).codes[rows] >= 0
            return has
        case Inverse(item):
            return ~holds(item, rows, columns)
        case All(items):
            return _every(items, rows, columns)
        case Some(items):
            return _any(items, rows, columns)
        case Refers(key, other, mode):
            return _referred(columns(key), columns(other), _COMPARE[mode], rows)


def _every(items: tuple[Folded, ...], rows: Rows, columns: Columns) -> Mask:
    left: Rows | None = None
    for item in sorted(items, key=cost):
        mask = holds(item, rows if left is None else rows[left], columns)
        left = np.flatnonzero(mask) if left is None else left[mask]
        if not len(left):
            break
    answer = np.zeros(len(rows), np.bool_)
    answer[left] = True
    return answer


def _any(items: tuple[Folded, ...], rows: Rows, columns: Columns) -> Mask:
    answer = np.zeros(len(rows), np.bool_)
    left: Rows = np.arange(len(rows))
    for item in sorted(items, key=cost):
        mask = holds(item, rows[left] if len(left) < len(rows) else rows, columns)
        answer[left[mask]] = True
        left = left[~mask]
        if not len(left):
            break
    return answer


def cost(folded: Folded) -> int:
    """Which of several conditions to look at first: the cheap ones."""
    match folded:
        case Test(_, predicate):
            return predicate.cost
        case HasValue():
            return 0
        case Refers():
            return _COST_OF_REFERENCE
        case Inverse(item):
            return _COST_OF_OPERATOR + cost(item)
        case All(items) | Some(items):
            return _COST_OF_OPERATOR + sum(cost(item) for item in items)


def _answers(predicate: Predicate, column: Column, rows: Rows) -> Mask:
    kept = column.remembered(predicate.key)
    if kept is not None:
        return kept[column.codes[rows]]
    codes = column.codes[rows]
    if column.size <= FEW or column.size <= _DENSE * len(rows):
        kept = np.append(predicate.ask(column, None), False)
        column.remember(predicate.key, kept)
        return kept[codes]
    asked = np.unique(codes)
    asked = asked[asked >= 0]
    table = np.zeros(column.size + 1, np.bool_)
    if len(asked):
        table[asked] = predicate.ask(column, asked)
    return table[codes]


def _referred(one: Column, other: Column, compare: Callable[[str, str], bool], rows: Rows) -> Mask:
    pairs = np.stack([one.codes[rows], other.codes[rows]], axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    answer = np.zeros(len(unique), np.bool_)
    both = np.flatnonzero((unique >= 0).all(axis=1))
    if len(both):
        firsts = one.texts(unique[both, 0], low=True)
        seconds = other.texts(unique[both, 1], low=True)
        answer[both] = [
            compare(first, second) for first, second in zip(firsts, seconds, strict=True)
        ]
    found: Mask = answer[inverse.reshape(-1)]
    return found
