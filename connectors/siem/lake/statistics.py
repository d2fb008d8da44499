"""What a file of the lake holds, an event id a class: kept in the file's own footer.

Files are ordered by event id, so each class is one run of rows. Which columns have a value in a
class is known without reading it; a rule that needs another column cannot fire there.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from huntonce.connectors.siem.lake.layout import EVENT_ID, TIME_COLUMN

KEY = b"huntonce.classes"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class ClassRun:
    """The events of one id in a file.

    Attributes:
        start: Number of its first row.
        columns: Names of the columns in which some event has a value.
    """

    event_id: int
    start: int
    rows: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileClasses:
    """Every class of a file and the span of its times (microseconds since 1970 UTC, inclusive).

    Attributes:
        ordered: The rows are in the order of their event ids, as ``runs`` counts them.
    """

    runs: tuple[ClassRun, ...]
    first: int
    last: int
    ordered: bool


def with_statistics(content: pa.Table) -> pa.Table:
    """The table with its classes in the schema's metadata."""
    if not content.num_rows:
        return content
    found = measure(content)
    places = {name: place for place, name in enumerate(content.column_names)}
    document = {
        "version": _VERSION,
        "first": found.first,
        "last": found.last,
        "ordered": found.ordered,
        "names": content.column_names,
        "runs": [
            [run.event_id, run.start, run.rows, [places[name] for name in run.columns]]
            for run in found.runs
        ],
    }
    metadata = {**(content.schema.metadata or {}), KEY: orjson.dumps(document)}
    return content.replace_schema_metadata(metadata)


def measure(content: pa.Table) -> FileClasses:
    """The classes of a table that has rows."""
    ids = content.column(EVENT_ID).to_numpy()
    ordered = bool((ids[1:] >= ids[:-1]).all())
    order = None if ordered else np.argsort(ids, kind="stable")
    if order is not None:
        ids = ids[order]
    starts = np.concatenate([[0], np.flatnonzero(ids[1:] != ids[:-1]) + 1])
    filled: list[list[str]] = [[] for _ in starts]
    for name, column in zip(content.column_names, content.columns, strict=True):
        for number in np.flatnonzero(_filled(column, order, starts)).tolist():
            filled[number].append(name)
    sizes = np.diff(np.append(starts, len(ids)))
    runs = tuple(
        ClassRun(int(ids[start]), int(start), int(rows), tuple(names))
        for start, rows, names in zip(starts, sizes, filled, strict=True)
    )
    span = pc.min_max(content.column(TIME_COLUMN).cast(pa.int64())).as_py()
    return FileClasses(runs, span["min"], span["max"], ordered)


def _filled(
    column: pa.ChunkedArray, order: npt.NDArray[np.intp] | None, starts: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """For each class whether some row of it has a value."""
    if column.null_count == len(column):
        return np.zeros(len(starts), np.bool_)
    if not column.null_count:
        return np.ones(len(starts), np.bool_)
    valid = pc.is_valid(column).to_numpy()
    if order is not None:
        valid = valid[order]
    answer: npt.NDArray[np.bool_] = np.logical_or.reduceat(valid, starts)
    return answer


def read_classes(path: Path) -> FileClasses:
    """The classes of a file, from its footer; measured where an older version wrote it.

    Raises:
        pa.ArrowException, OSError: It cannot be read.
    """
    with pq.ParquetFile(path) as file:
        return classes_of(file)


def classes_of(file: pq.ParquetFile) -> FileClasses:
    """The classes of an open file; measured where its footer does not tell all of its rows.

    Raises:
        pa.ArrowException, OSError: It cannot be read.
    """
    found = told(file)
    return measure(file.read()) if found is None else found


def told(file: pq.ParquetFile) -> FileClasses | None:
    """What an open file's footer says; None where it does not tell all of its rows."""
    document = _document(file.schema_arrow.metadata)
    if document is None or not _plausible(document, file.metadata.num_rows):
        return None
    return document


def _plausible(found: FileClasses, rows: int) -> bool:
    """Whether the classes follow each other without a hole, to the last row."""
    at = 0
    for run in found.runs:
        if run.start != at or run.rows <= 0:
            return False
        at += run.rows
    return at == rows and found.first <= found.last


def _document(metadata: dict[bytes, bytes] | None) -> FileClasses | None:
    try:
        held = orjson.loads((metadata or {})[KEY])
        if held["version"] != _VERSION:
            return None
        names = held["names"]
        runs = tuple(
            ClassRun(event_id, start, rows, tuple(names[number] for number in columns))
            for event_id, start, rows, columns in held["runs"]
        )
        return FileClasses(runs, held["first"], held["last"], held["ordered"])
    except (KeyError, ValueError, TypeError, IndexError):
        return None
