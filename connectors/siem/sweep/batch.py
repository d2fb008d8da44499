"""Events of one channel read from several files: columns when they are asked for."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from huntonce.connectors.siem.lake.layout import (
    CHANNEL,
    EVENT_ID,
    HOST,
    RECORD_ID,
    TIME_COLUMN,
    UID,
)
from huntonce.connectors.siem.sweep.catalog import LakeFile
from huntonce.connectors.siem.sweep.column import (
    Codes,
    Column,
    Rows,
    column_of,
    compact,
    lower_values,
)
from huntonce.connectors.siem.sweep.folding import ColumnKey
from huntonce.connectors.siem.sweep.scanning import occurring
from huntonce.models.errors import TransientError

BATCH_ROWS = 400_000
"""Most events of a batch, unless one file holds more: this bounds the memory of a sweep."""

_BATCH_FILES = 512
_BATCH_BYTES = 64 * 1024**2
"""Of the files as they are on disk, compressed."""

_FEW_ROWS = 20_000
"""Up to here, sharing a read out among threads costs more than it saves."""

NOTED = (UID, TIME_COLUMN, HOST, CHANNEL, RECORD_ID)
_DICTIONARY = pa.dictionary(pa.int32(), pa.string())


def batches(held: Sequence[LakeFile]) -> Iterator[list[LakeFile]]:
    """Files of one channel in shares that one batch holds."""
    share: list[LakeFile] = []
    rows = size = 0
    for file in held:
        length = _size(file)
        full = rows + file.rows > BATCH_ROWS or size + length > _BATCH_BYTES
        if share and (full or len(share) == _BATCH_FILES):
            yield share
            share, rows, size = [], 0, 0
        share.append(file)
        rows += file.rows
        size += length
    if share:
        yield share


def _size(file: LakeFile) -> int:
    try:
        return file.path.stat().st_size
    except OSError as error:
        raise unreadable(file, error) from error


def is_small(held: Sequence[LakeFile]) -> bool:
    """Whether the columns of all classes of some files can well be held at once."""
    return sum(file.rows for file in held) <= _FEW_ROWS


def class_ids(held: Sequence[LakeFile]) -> list[int]:
    """The event ids of the events in some files."""
    return sorted({run.event_id for file in held for run in file.runs})


class Batch:
    """Open files of one channel, and the columns read of them so far."""

    def __init__(
        self,
        held: Sequence[LakeFile],
        opened: Sequence[pq.ParquetFile],
        close: Callable[[], None],
    ) -> None:
        self.files = tuple(held)
        self.close = close
        self._opened = tuple(opened)
        self._names = [frozenset(file.schema_arrow.names) for file in opened]
        self._offsets = np.cumsum([0, *(file.rows for file in held)])
        self._columns: dict[str, tuple[pa.StringArray, Codes]] = {}
        self._orders: dict[int, pa.Array] = {}
        self._noted: dict[int, pa.Table] = {}
        self._asked: dict[str, frozenset[str]] = {}
        self._occurring: dict[str, frozenset[str]] = {}

    def prefetch(self, names: Iterable[str]) -> None:
        """Read some columns in one go."""
        wanted = [name for name in dict.fromkeys(names) if name not in self._columns]
        if not wanted:
            return
        chunks: dict[str, list[pa.Array]] = {name: [] for name in wanted}
        for number, file in enumerate(self.files):
            known = [name for name in wanted if name in self._names[number]]
            table = self.read(number, known) if known else None
            held = (
                dict(zip(table.column_names, table.columns, strict=True))
                if table is not None
                else {}
            )
            nothing = pa.nulls(file.rows, _DICTIONARY)
            for name in wanted:
                if name in held:
                    chunks[name] += _texts(held[name]).chunks
                else:
                    chunks[name].append(nothing)
        for name in wanted:
            # A column of no file at all has no dictionary to speak of.
            self._columns[name] = column_of(chunks.pop(name), int(self._offsets[-1]))

    def look_for(self, texts: Mapping[str, Iterable[str]]) -> None:
        """Find which of some texts (as needles are) occur in a column, in one scan of it all."""
        for name, wanted in texts.items():
            needles = tuple(dict.fromkeys(wanted))
            values, _ = self.column(name)
            self._asked[name] = frozenset(needles)
            self._occurring[name] = occurring(needles, lower_values(values))

    def may_hold(self, name: str, texts: Collection[str]) -> bool:
        """Whether one of some texts may occur in a column: False only where it is known."""
        asked = self._asked.get(name)
        if asked is None or not asked.issuperset(texts):
            return True
        return not self._occurring[name].isdisjoint(texts)

    def column(self, name: str) -> tuple[pa.StringArray, Codes]:
        """Values and codes of a column over all rows of the batch."""
        if name not in self._columns:
            self.prefetch([name])
        return self._columns[name]

    def read(self, number: int, names: Sequence[str]) -> pa.Table:
        """Columns of one file, its rows in the order of their event ids.

        Raises:
            TransientError: The file cannot be read.
        """
        try:
            table = self._opened[number].read(
                columns=list(names), use_threads=self.files[number].rows > _FEW_ROWS
            )
            if not self.files[number].ordered:
                table = table.take(self._order(number))
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.files[number], error) from error
        return table

    def noted(self, number: int) -> pa.Table:
        """What the lake notes of the events of one file: uid, time, host, channel, record id."""
        if number not in self._noted:
            table = self.read(number, NOTED)
            columns = [
                column.cast(column.type.value_type)
                if pa.types.is_dictionary(column.type) and name == UID
                else column
                for name, column in zip(table.column_names, table.columns, strict=True)
            ]
            self._noted[number] = pa.table(columns, table.column_names)
        return self._noted[number]

    def _order(self, number: int) -> pa.Array:
        if number not in self._orders:
            ids = self._opened[number].read(columns=[EVENT_ID]).column(EVENT_ID).to_numpy()
            self._orders[number] = pa.array(np.argsort(ids, kind="stable"))
        return self._orders[number]

    def of_class(self, event_id: int) -> "ClassRows":
        """The rows of one event id."""
        spans = [
            (int(self._offsets[number]) + run.start, run.rows)
            for number, file in enumerate(self.files)
            for run in file.runs
            if run.event_id == event_id
        ]
        return ClassRows(self, event_id, spans)

    def place(self, rows: Rows) -> Iterator[tuple[int, npt.NDArray[np.intp], Rows]]:
        """Rows of the batch (in order) by file: its number, their positions here, rows there."""
        numbers = np.searchsorted(self._offsets, rows, side="right") - 1
        for number in np.unique(numbers).tolist():
            here = np.flatnonzero(numbers == number)
            yield number, here, rows[here] - self._offsets[number]


class ClassRows:
    """The rows of one event id in a batch.

    Attributes:
        rows: For each its number in the batch.
    """

    def __init__(self, batch: Batch, event_id: int, spans: Sequence[tuple[int, int]]) -> None:
        self.batch = batch
        self.event_id = event_id
        self._spans = spans
        self.rows: Rows = np.concatenate([np.arange(start, start + n) for start, n in spans])
        self._columns: dict[ColumnKey, Column] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, key: ColumnKey) -> Column:
        """A column over these rows only."""
        found = self._columns.get(key)
        if found is None:
            values, codes = self.batch.column(key.name)
            own = np.concatenate([codes[start : start + rows] for start, rows in self._spans])
            found = compact(values, own)
            if key.meanings:
                found = Column(_meant(found.values, dict(key.meanings)), found.codes)
            self._columns[key] = found
        return found


def open_batch(held: Sequence[LakeFile]) -> Batch:
    """A batch of files, to be closed.

    Raises:
        TransientError: One of them cannot be read.
    """
    opened: list[pq.ParquetFile] = []
    with ExitStack() as stack:
        for file in held:
            try:
                plain = pq.ParquetFile(file.path)
                stack.callback(plain.close)
                texts = [
                    field.name for field in plain.schema_arrow if pa.types.is_string(field.type)
                ]
                found = pq.ParquetFile(file.path, metadata=plain.metadata, read_dictionary=texts)
                stack.callback(found.close)
            except (pa.ArrowException, OSError) as error:
                raise unreadable(file, error) from error
            opened.append(found)
        return Batch(held, opened, stack.pop_all().close)


def unreadable(file: LakeFile, error: Exception) -> TransientError:
    """What to say of a file that cannot be read."""
    return TransientError(
        f"a file of the lake cannot be read: {file.path.name}: {error}",
        connector="lake",
        hint="repeat; if it stays, delete that file and load its source again",
    )


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return column.cast(_DICTIONARY) if column.type != _DICTIONARY else column
    encoded = column.cast(pa.string()).dictionary_encode()
    return encoded.cast(_DICTIONARY) if encoded.type != _DICTIONARY else encoded


def _meant(values: pa.StringArray, table: dict[str, str]) -> pa.StringArray:
    return pa.array([table.get(text, text) for text in values.to_pylist()], pa.string())
