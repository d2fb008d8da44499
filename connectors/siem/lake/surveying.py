"""What the lake's files hold, summed file by file: cheaper than a query where nothing is searched.

Files are in the order of their event ids, and their texts are stored as numbers of values: an
inventory is a sort of packed numbers, a fill a look at each different value. DuckDB answers what
is not as ``load`` writes it (``Unusual``), with the same rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from huntonce.connectors.siem.fieldnames import FieldNames
from huntonce.connectors.siem.lake.layout import CHANNEL, EVENT_ID, HOST, META, TIME_COLUMN
from huntonce.connectors.siem.lake.statistics import FileClasses, told
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.query import FILL_SCHEMA, INVENTORY_SCHEMA, FieldWant
from huntonce.models.windows import Window

Ints = npt.NDArray[np.int64]
HOUR = 3_600_000_000
"""Microseconds."""

_NUMBERS = frozenset(name for name, kind in META if not pa.types.is_string(kind))
_MOST_FILES = 100_000
_MOST_ROWS = 16_000_000
_MOST_TIMED = 64
"""Files whose times are kept: a batch's."""
_MOST_GROUPS = 2**31
_NOTHING = ("", "-")
"""Windows writes "-" for nothing."""


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
            known = coded(_read(file, [HOST]).column(HOST))
            self._rows += len(known[1])
            if self._rows > _MOST_ROWS:
                self._hosts.clear()
                self._times.clear()
                self._rows = len(known[1])
            self._hosts[file.path] = known
        return known

    def times(self, file: SurveyFile) -> Ints:
        """For each row, in the order of event ids, its time (microseconds since 1970 UTC).

        Raises:
            Unusual: A row has none.
        """
        known = self._times.get(file.path)
        if known is None:
            if len(self._times) >= _MOST_TIMED:
                self._times.clear()
            known = self._times[file.path] = _times(_read(file, [TIME_COLUMN]))
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


def _read(file: SurveyFile, names: Sequence[str]) -> pa.Table:
    """Columns of a file, its rows in the order of their event ids; texts as numbers of values."""
    if set(names) - set(file.names):
        raise Unusual
    texts = [name for name in names if name not in _NUMBERS]
    with pq.ParquetFile(file.path, read_dictionary=texts) as opened:
        table = opened.read(list(names), use_threads=False)
        if file.classes.ordered:
            return table
        ids = opened.read([EVENT_ID]).column(EVENT_ID).to_numpy()
    return table.take(pa.array(np.argsort(ids, kind="stable")))


def span_of(window: Window) -> tuple[int, int]:
    """A window in microseconds since 1970 UTC."""
    return _micros(window.start), _micros(window.end)


def _micros(moment: Any) -> int:  # noqa: ANN401 - a datetime with a zone
    found: int = pa.scalar(moment, pa.timestamp("us", tz="UTC")).value
    return found


def _times(table: pa.Table) -> Ints:
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
    hosts, channels = _Names(), _Names()
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


class _Names:
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
    surveyor: Surveyor, file: SurveyFile, span: tuple[int, int], hosts: _Names, channels: _Names
) -> Iterator[tuple[Ints, ...]]:
    """A file's events by host, channel, id and hour."""
    table = _read(file, [TIME_COLUMN, CHANNEL])
    times = _times(table)
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


# ---------------------------------------------------------------- fill


def fill(
    surveyor: Surveyor, files: Sequence[SurveyFile], window: Window, wants: Sequence[FieldWant]
) -> pa.Table:
    """``FILL_SCHEMA`` of the files of one channel, a want and field after the other, by host.

    Raises:
        Unusual, pa.ArrowException, OSError: As ``inventory``.
    """
    span = span_of(window)
    columns = _columns_of(files, wants)
    asked: dict[int, set[str]] = {}
    for want in wants:
        asked.setdefault(int(want.event_id), set()).update(
            column for field in want.fields if (column := columns[field]) is not None
        )
    sums = _Fill()
    for file in files:
        here = [run for run in file.classes.runs if run.event_id in asked]
        if here and file.touches(span):
            sums.add(surveyor, file, span, {run.event_id: asked[run.event_id] for run in here})
    parts = [
        sums.table(int(want.event_id), {field: columns[field] for field in want.fields})
        for want in wants
    ]
    return pa.concat_tables([FILL_SCHEMA.empty_table(), *parts])


def _columns_of(
    files: Iterable[SurveyFile], wants: Iterable[FieldWant]
) -> Mapping[str, str | None]:
    """Each field wanted to the column that has it; None where none does."""
    spellings: dict[str, str] = {}
    different: set[str] = set()
    for names in dict.fromkeys(file.names for file in files):
        for name in names:
            if spellings.setdefault(name.lower(), name) != name:
                different.add(name.lower())
    channel = next((want.channel for want in wants), "")
    found = FieldNames(Variant(channel=channel), spellings.values())
    columns = {field: found.find(field) for want in wants for field in want.fields}
    if any(column and column.lower() in different for column in columns.values()):
        raise Unusual  # one field in two spellings
    return columns


class _Fill:
    """Sums of events, and of those with a value, by event id, column and host."""

    def __init__(self) -> None:
        self._hosts = _Names()
        self._events: dict[int, Ints] = {}
        self._filled: dict[tuple[int, str], Ints] = {}
        self._channels: dict[int, str] = {}

    def add(
        self,
        surveyor: Surveyor,
        file: SurveyFile,
        span: tuple[int, int],
        asked: Mapping[int, set[str]],
    ) -> None:
        """Add the events of a file."""
        held = set(file.names)
        names = sorted({name for columns in asked.values() for name in columns} & held)
        inside = file.within(span)
        timed = [] if inside else [TIME_COLUMN]
        table = _read(file, list(dict.fromkeys([*names, CHANNEL, *timed])))
        hosts, host = surveyor.hosts(file)
        numbers = self._hosts.numbers(hosts)
        spellings, _ = coded(table.column(CHANNEL))
        if len(spellings) > 1:
            raise Unusual
        kept = None
        if not inside:
            times = _times(table)
            kept = (times >= span[0]) & (times < span[1])
        filled = {name: _filled(table.column(name)) for name in names}
        for run in file.classes.runs:
            if run.event_id not in asked:
                continue
            here = slice(run.start, run.start + run.rows)
            who, mask = host[here], None if kept is None else kept[here]
            if mask is not None and not mask.any():
                continue
            if self._channels.setdefault(run.event_id, spellings[0]) != spellings[0]:
                raise Unusual
            total = np.bincount(who if mask is None else who[mask], minlength=len(hosts))
            self._events[run.event_id] = _plus(self._events.get(run.event_id), numbers, total)
            for name in asked[run.event_id] & held & set(run.columns):
                good = filled[name][here] if mask is None else filled[name][here] & mask
                counts = total if good.all() else np.bincount(who[good], minlength=len(hosts))
                key = (run.event_id, name)
                self._filled[key] = _plus(self._filled.get(key), numbers, counts)

    def table(self, event_id: int, fields: Mapping[str, str | None]) -> pa.Table:
        """``FILL_SCHEMA`` of one event id, a field (with its column) after the other, by host."""
        if event_id not in self._events:
            return FILL_SCHEMA.empty_table()
        everyone = np.arange(len(self._hosts))
        names, places = self._hosts.ranked(everyone)
        order = np.argsort(places)
        total = _padded(self._events[event_id], len(everyone))
        order = order[total[order] > 0]
        events = total[order]
        named = pa.array(names, pa.string()).take(pa.array(places[order]))
        parts = []
        for field, column in fields.items():
            filled = self._filled.get((event_id, column or ""), _NONE)
            counts = _padded(filled, len(everyone))
            parts.append(
                pa.table(
                    [
                        named,
                        pa.repeat(pa.scalar(self._channels[event_id], pa.string()), len(order)),
                        pa.repeat(pa.scalar(event_id, pa.int64()), len(order)),
                        pa.repeat(pa.scalar(field, pa.string()), len(order)),
                        pa.array(counts[order]),
                        pa.array(events),
                    ],
                    schema=FILL_SCHEMA,
                )
            )
        return pa.concat_tables(parts)


_NONE: Ints = np.zeros(0, np.int64)


def _padded(sums: Ints, size: int) -> Ints:
    return np.append(sums[:size], np.zeros(max(0, size - len(sums)), np.int64))


def _plus(sums: Ints | None, numbers: Ints, counts: Ints) -> Ints:
    """Sums by host's number with some more; grown where a number is new."""
    size = int(numbers.max()) + 1
    if sums is None:
        sums = np.zeros(size, np.int64)
    elif len(sums) < size:
        sums = np.append(sums, np.zeros(max(size - len(sums), len(sums)), np.int64))
    sums[numbers] += counts
    return sums


def _filled(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """For each row whether it has a value that is not empty."""
    parts = []
    for chunk in column.chunks:
        encoded = chunk
        if not pa.types.is_dictionary(chunk.type):
            encoded = chunk.cast(pa.string()).dictionary_encode()
        texts = pc.utf8_trim(encoded.dictionary.cast(pa.string()), characters=" ")
        empty = pc.is_in(texts, pa.array(_NOTHING))
        good = np.append(
            ~pc.fill_null(empty, fill_value=True).to_numpy(zero_copy_only=False), False
        )
        good[:-1] &= pc.is_valid(texts).to_numpy(zero_copy_only=False)
        parts.append(good[pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)])
    return np.concatenate([np.zeros(0, np.bool_), *parts])
