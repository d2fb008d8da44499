"""Normalised events as Arrow tables, a column a field."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import pyarrow as pa

from huntonce.connectors.siem.lake.event import Event
from huntonce.connectors.siem.lake.layout import META

MAX_COLUMNS = 1_000
"""Most different field names in one table; rarer ones stay in the events' originals only."""

_FEW_SHAPES = 512
_SPARSE = 16
"""Columns of fewer rows than one of so many are put together of ranges: most of it is empty."""

_Part = tuple[int, tuple[str, ...]]
"""Where a range of a column starts, and its values."""


@dataclass(slots=True)
class Row:
    """An event with what only its recording knows.

    Attributes:
        time: Microseconds since 1970 UTC, the recorder's clock corrected.
        raw: The original as JSON text (UTF-8).
    """

    event: Event
    time: int
    time_note: str
    source: str
    raw: str | bytes


def table(rows: Sequence[Row]) -> pa.Table:
    """The rows by event id, and by time where they have the same fields; ``META`` columns first.

    Names of columns differ in more than case.
    """
    shapes: dict[tuple[int, tuple[str, ...]], list[Row]] = defaultdict(list)
    for row in rows:
        shapes[row.event.event_id, tuple(row.event.fields)].append(row)
    names = _spellings({shape: len(found) for shape, found in shapes.items()})
    if len(shapes) > _FEW_SHAPES:
        return _wide(sorted(rows, key=lambda row: (row.event.event_id, row.time)), names)
    ordered: list[Row] = []
    parts: dict[str, list[_Part]] = defaultdict(list)
    for shape in sorted(shapes, key=lambda shape: shape[0]):
        found = shapes[shape]
        found.sort(key=attrgetter("time"))
        for lower, values in _own(found, names):
            parts[lower].append((len(ordered), values))
        ordered += found
    arrays, columns = _meta(ordered)
    for lower in list(parts):
        columns.append(names[lower])
        arrays.append(_column(parts.pop(lower), len(ordered)))
    return pa.Table.from_arrays(arrays, columns)


def _spellings(shapes: Mapping[tuple[int, tuple[str, ...]], int]) -> dict[str, str]:
    """Lower-case name to the spelling that stands for it, most frequent names first."""
    counts: Counter[str] = Counter()
    spellings: dict[str, str] = {}
    for (_, fields), count in shapes.items():
        for name in fields:
            lower = name.lower()
            counts[lower] += count
            spellings.setdefault(lower, name)
    return {lower: spellings[lower] for lower, _ in counts.most_common(MAX_COLUMNS)}


def _own(rows: Sequence[Row], names: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The columns of rows that all have the same fields in the same order, by lower-case name."""
    taken: set[str] = set()
    values = zip(*(row.event.fields.values() for row in rows), strict=True)
    for name, column in zip(rows[0].event.fields, values, strict=False):
        lower = name.lower()
        if lower not in taken and lower in names:
            taken.add(lower)
            yield lower, column


def _column(parts: Sequence[_Part], size: int) -> pa.Array:
    """A column of ``size`` rows of which some ranges have values."""
    (start, values), *others = parts
    if not others and len(values) == size:
        return pa.array(values, pa.string())
    if sum(len(values) for _, values in parts) * _SPARSE >= size:
        whole: list[str | None] = [None] * size
        for start, values in parts:
            whole[start : start + len(values)] = values
        return pa.array(whole, pa.string())
    arrays: list[pa.Array] = []
    at = 0
    for start, values in parts:
        arrays += [pa.nulls(start - at, pa.string()), pa.array(values, pa.string())]
        at = start + len(values)
    return pa.concat_arrays([*arrays, pa.nulls(size - at, pa.string())])


def _wide(rows: Sequence[Row], names: dict[str, str]) -> pa.Table:
    """Rows of very many shapes."""
    arrays, columns = _meta(rows)
    folded = [
        {name.lower(): value for name, value in reversed(row.event.fields.items())} for row in rows
    ]
    for lower, name in names.items():
        columns.append(name)
        arrays.append(pa.array([fields.get(lower) for fields in folded], pa.string()))
    return pa.Table.from_arrays(arrays, columns)


def _meta(rows: Sequence[Row]) -> tuple[list[pa.Array], list[str]]:
    events = [row.event for row in rows]
    columns: list[list[object]] = [
        [event.uid for event in events],
        [row.time for row in rows],
        [row.time_note for row in rows],
        [event.ingested for event in events],
        [event.host for event in events],
        [event.computer for event in events],
        [event.channel for event in events],
        [event.provider for event in events],
        [event.event_id for event in events],
        [event.record_id for event in events],
        [row.source for row in rows],
        [row.raw for row in rows],
    ]
    arrays = [pa.array(values, kind) for values, (_, kind) in zip(columns, META, strict=True)]
    return arrays, [name for name, _ in META]
