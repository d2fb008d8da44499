"""What the lake's files hold, summed file by file: cheaper than a query where nothing is searched.

Files are in the order of their event ids, and their texts are stored as numbers of values: an
inventory is a sort of packed numbers, a fill a look at each different value. DuckDB answers what
is not as ``load`` writes it (``Unusual``), with the same rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from huntonce.connectors.siem.lake.layout import CHANNEL, EVENT_ID, HOST, META, TIME_COLUMN
from huntonce.connectors.siem.lake.statistics import FileClasses, told
from huntonce.models.query import INVENTORY_SCHEMA
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
_MOST_GROUPS = 2**31


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
            known = self._times[file.path] = times_of(self.read(file, [TIME_COLUMN]))
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


def times_of(table: pa.Table) -> Ints:
    """The events' times in microseconds since 1970 UTC.

    Raises:
        Unusual: An event has none.
    """
    column = table.column(TIME_COLUMN)
    if column.null_count:
        raise Unusual
    times: Ints = column.cast(pa.int64()).to_numpy()
    return times


# ---------------------------------------------------------------- inventory


def inventory(surveyor: Surveyor, files: Iterable[SurveyFile], window: Window) -> pa.Table:
    """``INVENTORY_SCHEMA`` of some files, in the order of its keys.

    Raises:
        Unusual: See there.
        pa.ArrowException, OSError: A file cannot be read.
    """
    span = span_of(window)
    hosts, channels = Names(), Names()
    parts: list[tuple[Ints, ...]] = []
    event_ids: set[int] = set()
    for file in files:
        if file.touches(span):
            event_ids.update(run.event_id for run in file.classes.runs)
            parts += _groups(surveyor, file, span, hosts, channels)
    if not parts:
        return INVENTORY_SCHEMA.empty_table()
    host, channel, ids, hour, events, first, last = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    del parts
    hosts_in_order, host = hosts.ranked(host)
    channels_in_order, channel = channels.ranked(channel)
    known_ids = np.array(sorted(event_ids), np.int64)
    id_at = np.searchsorted(known_ids, ids)
    first_hour, hours = int(hour.min()), int(hour.max() - hour.min()) + 1
    sizes = len(hosts_in_order) * len(channels_in_order) * len(known_ids) * hours
    if sizes >= 2**62:
        raise Unusual
    key = (host * len(channels_in_order) + channel) * len(known_ids) + id_at
    key = key * hours + (hour - first_hour)
    order = np.argsort(key)
    key = key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    alone = len(starts) == len(key)
    events, first, last = events[order], first[order], last[order]
    if not alone:  # an hour of a host in several files
        events = np.add.reduceat(events, starts)
        first, last = np.minimum.reduceat(first, starts), np.maximum.reduceat(last, starts)
        order = order[starts]
    columns = [
        _named(hosts_in_order, host[order]),
        _named(channels_in_order, channel[order]),
        pa.array(ids[order]),
        pa.array(hour[order] * HOUR),
        pa.array(events),
        pa.array(first),
        pa.array(last),
    ]
    return pa.table(
        [column.cast(field.type) for column, field in zip(columns, INVENTORY_SCHEMA, strict=True)],
        schema=INVENTORY_SCHEMA,
    )


class Names:
    """Names numbered in the order in which files bring them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def numbers(self, names: Sequence[str]) -> Ints:
        """The number of each name."""
        known = self._numbers
        return np.array([known.setdefault(name, len(known)) for name in names], np.int64)

    def ranked(self, numbers: Ints) -> tuple[list[str], Ints]:
        """The names in order, and numbers of names as places in that."""
        names = list(self._numbers)
        order = sorted(range(len(names)), key=names.__getitem__)
        places = np.empty(len(names), np.int64)
        places[order] = np.arange(len(names))
        return [names[number] for number in order], places[numbers]


def _named(names: Sequence[str], numbers: Ints) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(numbers.astype(np.int32)), pa.array(names, pa.string())
    )


def _groups(
    surveyor: Surveyor, file: SurveyFile, span: tuple[int, int], hosts: Names, channels: Names
) -> Iterator[tuple[Ints, ...]]:
    """A file's events by host, channel, id and hour."""
    table = surveyor.read(file, [TIME_COLUMN, CHANNEL])
    times = times_of(table)
    names, host = surveyor.hosts(file)
    spellings, channel = coded(table.column(CHANNEL))
    runs = file.classes.runs
    hour = times // HOUR
    first_hour = int(hour.min())
    hours = int(hour.max()) - first_hour + 1
    if len(runs) * len(spellings) * len(names) * hours >= _MOST_GROUPS:
        raise Unusual
    number = np.repeat(np.arange(len(runs)), [run.rows for run in runs])
    key = ((number * len(spellings) + channel) * len(names) + host) * hours + (hour - first_hour)
    packed = (key << 32) | (times - hour * HOUR)  # an hour has fewer microseconds than 2 ** 32
    if not file.within(span):
        packed = packed[(times >= span[0]) & (times < span[1])]
    if not len(packed):
        return
    packed.sort()
    key = packed >> 32
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    ends = np.append(starts[1:], len(key)) - 1
    group = key[starts]
    rest, hour = np.divmod(group, hours)
    rest, host_at = np.divmod(rest, len(names))
    run_at, channel_at = np.divmod(rest, len(spellings))
    start = (hour + first_hour) * HOUR
    yield (
        hosts.numbers(names)[host_at],
        channels.numbers(spellings)[channel_at],
        np.array([run.event_id for run in runs], np.int64)[run_at],
        hour + first_hour,
        ends - starts + 1,
        start + (packed[starts] & 0xFFFFFFFF),
        start + (packed[ends] & 0xFFFFFFFF),
    )
