"""Numbers and tables of numbers, with what they were counted from."""

from collections.abc import Iterable
from dataclasses import dataclass

Cell = str | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number.

    Attributes:
        value: None where there is nothing to compute it from, which is not the same as 0.
        rows: Ids of the things it was counted from, in their order ("GAP-3").
    """

    value: float | None
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Numbers side by side.

    Attributes:
        columns: Their names, for people.
        rows: Cells in the order of the columns; the first names the row.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def counted(rows: Iterable[str]) -> Number:
    """How many there are."""
    ids = tuple(rows)
    return Number(value=len(ids), rows=ids)
