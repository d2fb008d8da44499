"""How well fields are filled in the lake's files, from each different value once."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from huntonce.connectors.siem.fieldnames import FieldNames
from huntonce.connectors.siem.lake.layout import CHANNEL, TIME_COLUMN
from huntonce.connectors.siem.lake.surveying import (
    Ints,
    Names,
    SurveyFile,
    Surveyor,
    Unusual,
    coded,
    span_of,
    times_of,
)
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.query import FILL_SCHEMA, FieldWant
from huntonce.models.windows import Window

_NOTHING = ("", "-")
"""Windows writes "-" for nothing."""


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
        self._hosts = Names()
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
        table = surveyor.read(file, list(dict.fromkeys([*names, CHANNEL, *timed])))
        hosts, host = surveyor.hosts(file)
        numbers = self._hosts.numbers(hosts)
        spellings, _ = coded(table.column(CHANNEL))
        if len(spellings) > 1:
            raise Unusual
        kept = None
        if not inside:
            times = times_of(table)
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
