"""Files of the lake with who and when of their rows, for counting by host and hour.

A file never changes, so that what is read of it is kept, within bounds. What is not as ``load``
writes it (``Unusual``) is left to a query.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from huntonce.connectors.siem.lake.layout import EVENT_ID, HOST, META, TIME_COLUMN
from huntonce.connectors.siem.lake.statistics import FileClasses, told
from huntonce.models.windows import Window

Ints = npt.NDArray[np.int64]
HOUR = 3_600_000_000
"""Microseconds."""

_NUMBERS = frozenset(name for name, kind in META if not pa.types.is_string(kind))
_MOST_FILES = 100_000
_MOST_ROWS = 16_000_000
_MOST_FOOTERS = 512
"""Parsed footers kept: each is tens of kilobytes."""
_MOST_TIMED = 64
"""Files whose times are kept: a batch's."""


class Unusual(Exception):  # noqa: N818 - no fault, another way to the answer
    """A file is not as ``load`` writes it: the answer is another's."""


@dataclass(frozen=True, slots=True)
class SurveyFile:
    """A file of the lake: what its footer says. It never changes.

    Attributes:
        names: Its columns.
    """

    path: Path
    channel: str
    classes: FileClasses
    names: tuple[str, ...]

    def within(self, window: tuple[int, int]) -> bool:
        """Whether all of its events are in a span (microseconds, half open)."""
        return window[0] <= self.classes.first and self.classes.last < window[1]

    def touches(self, window: tuple[int, int]) -> bool:
        """Whether some of its events may be."""
        return self.classes.first < window[1] and window[0] <= self.classes.last


class Surveyor:
    """Reads files and remembers, within bounds, what is asked of them again and again."""

    def __init__(self) -> None:
        self._files: dict[Path, SurveyFile] = {}
        self._hosts: dict[Path, tuple[list[str], npt.NDArray[np.int32]]] = {}
        self._times: dict[Path, Ints] = {}
        self._footers: dict[Path, pq.FileMetaData] = {}
        self._rows = 0
        self._tuples: dict[tuple[str, ...], tuple[str, ...]] = {}

    def file(self, path: Path, channel: str) -> SurveyFile:
        """What a file's footer says.

        Raises:
            Unusual: It does not tell all of its rows, as those of older versions.
            pa.ArrowException, OSError: It cannot be read.
        """
        known = self._files.get(path)
        if known is None:
            with pq.ParquetFile(path) as opened:
                names, classes = tuple(opened.schema_arrow.names), told(opened)
            if classes is None:
                raise Unusual
            names = self._tuples.setdefault(names, names)
            known = SurveyFile(path, channel, classes, names)
            if len(self._files) >= _MOST_FILES:
                self._files.clear()
            self._files[path] = known
        return known

    def hosts(self, file: SurveyFile) -> tuple[list[str], npt.NDArray[np.int32]]:
        """The names in a file and for each row, in the order of event ids, the number of its name.

        Raises:
            Unusual: A row has none.
        """
        known = self._hosts.get(file.path)
        if known is None:
            known = coded(self.read(file, [HOST]).column(HOST))
            self._rows += len(known[1])
            if self._rows > _MOST_ROWS:
                self._hosts.clear()
                self._times.clear()
                self._rows = len(known[1])
            self._hosts[file.path] = known
        return known

    def read(self, file: SurveyFile, names: Sequence[str]) -> pa.Table:
        """Columns of a file, rows in the order of event ids; texts as numbers of values.

        Raises:
            Unusual: It lacks one of them.
            pa.ArrowException, OSError: It cannot be read.
        """
        if set(names) - set(file.names):
            raise Unusual
        texts = [name for name in names if name not in _NUMBERS]
        meta = self._footers.get(file.path)
        with pq.ParquetFile(file.path, metadata=meta, read_dictionary=texts) as opened:
            if meta is None:
                if len(self._footers) >= _MOST_FOOTERS:
                    self._footers.clear()
                self._footers[file.path] = opened.metadata
            table = opened.read(list(names), use_threads=False)
            if file.classes.ordered:
                return table
            ids = opened.read([EVENT_ID]).column(EVENT_ID).to_numpy()
        return table.take(pa.array(np.argsort(ids, kind="stable")))

    def times(self, file: SurveyFile) -> Ints:
        """For each row, in the order of event ids, its time (microseconds since 1970 UTC).

        Raises:
            Unusual: A row has none.
        """
        known = self._times.get(file.path)
        if known is None:
            if len(self._times) >= _MOST_TIMED:
                self._times.clear()
            known = self._times[file.path] = _times_of(self.read(file, [TIME_COLUMN]))
        return known


def coded(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The different values of a column and for each row the number of its value.

    Raises:
        Unusual: A row has no value.
    """
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if column.num_chunks > 1:
        column = column.unify_dictionaries()
    whole = column.combine_chunks()
    chunk = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    if chunk.null_count or chunk.dictionary.null_count:
        raise Unusual
    return chunk.dictionary.to_pylist(), chunk.indices.to_numpy().astype(np.int32, copy=False)


def span_of(window: Window) -> tuple[int, int]:
    """A window in microseconds since 1970 UTC."""
    return _micros(window.start), _micros(window.end)


def _micros(moment: Any) -> int:  # noqa: ANN401 - a datetime with a zone
    found: int = pa.scalar(moment, pa.timestamp("us", tz="UTC")).value
    return found


def _times_of(table: pa.Table) -> Ints:
    """The events' times in microseconds since 1970 UTC.

    Raises:
        Unusual: An event has none.
    """
    column = table.column(TIME_COLUMN)
    if column.null_count:
        raise Unusual
    times: Ints = column.cast(pa.int64()).to_numpy()
    return times
