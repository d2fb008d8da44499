"""EVTX and Parquet telemetry as JSON texts."""

import io
import re
import struct
from collections.abc import Iterator
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from evtx import PyEvtxParser

from huntonce.connectors.siem.lake.eventxml import event_document, looks_like_event
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.layout import RAW
from huntonce.connectors.siem.lake.mapping import MappingNeededError, TableMapping, layout_of
from huntonce.connectors.siem.lake.originals import Fault, Original
from huntonce.connectors.siem.lake.tables import TableRow, is_shaped

EVTX_MAGIC = b"ElfFile\x00"
PARQUET_MAGIC = b"PAR1"

_HEADER = 4_096
_CHUNK = 65_536
_CHUNK_COUNT = struct.Struct("<42xH")
_CHUNK_HEADER = 512
_RECORD = struct.Struct("<4sI")
_RECORD_MAGIC = b"**\x00\x00"
_SIZE = struct.Struct("<I")
_SMALLEST_RECORD = 28
_ROWS = 10_000
_RAW_COLUMNS = (RAW, "raw", "_raw")
_FAULTY_RECORD = re.compile(r"record number (\d+)")
_FAULTY_CHUNK = re.compile(r"chunk number (\d+)")
_MOST_FAULTS = 100_000
_UNREADABLE = (ArithmeticError, LookupError, TypeError, ValueError)
"""A time out of range, an unknown zone, a text that is no UTF-8."""


def evtx_records(stream: IO[bytes], fault: Fault) -> Iterator[Original]:
    """Every readable record of an EVTX file, in evtx-rs JSON.

    A cut-off file is read to its last whole record: the parser leaves out a chunk that is not
    complete, so that one is read by itself with zeros in place of what is missing.
    """
    header, chunks, rest = _measure(stream, fault)
    if chunks:
        yield from _parsed(stream, fault, first_chunk=0)
    if rest:
        place = f"chunk at byte {_HEADER + chunks * _CHUNK}"
        fault(place, "the file ends in the middle of it", "fetch the file again", b"")
        stream.seek(_HEADER + chunks * _CHUNK)
        whole = _whole_records(stream.read(rest))
        padded = header + whole.ljust(_CHUNK, b"\x00")
        yield from _parsed(io.BytesIO(padded), _silent, first_chunk=chunks)


def _measure(stream: IO[bytes], fault: Fault) -> tuple[bytes, int, int]:
    """The header, the whole chunks, and the bytes after them."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    header = stream.read(_HEADER)
    stream.seek(0)
    if len(header) < _HEADER:
        fault("file", "the EVTX header is cut off", "fetch the file again", header)
        return header, 0, 0
    chunks, rest = divmod(size - _HEADER, _CHUNK)
    (promised,) = _CHUNK_COUNT.unpack_from(header)
    if promised > chunks + bool(rest):
        reason = f"the header counts {promised} chunks, the file holds {chunks + bool(rest)}"
        fault("file", reason, "fetch the file again", b"")
    return header, chunks, rest


def _whole_records(chunk: bytes) -> bytes:
    """A chunk's header and the records that are all there: the parser would fill in a cut one."""
    position = _CHUNK_HEADER
    while position + _RECORD.size <= len(chunk):
        magic, size = _RECORD.unpack_from(chunk, position)
        end = position + size
        if magic != _RECORD_MAGIC or size < _SMALLEST_RECORD or end > len(chunk):
            break
        if _SIZE.unpack_from(chunk, end - _SIZE.size) != (size,):
            break
        position = end
    return chunk[:position]


def _silent(place: str, reason: str, hint: str, payload: bytes) -> None:
    """Takes reports of what was said already."""


def _parsed(stream: IO[bytes], fault: Fault, *, first_chunk: int) -> Iterator[Original]:
    try:
        records = PyEvtxParser(stream, number_of_threads=1).records_json()
    except (RuntimeError, OSError, ValueError) as error:
        fault("file", f"not a readable EVTX file: {_short(error)}", "fetch the file again", b"")
        return
    last = 0
    for _ in range(_MOST_FAULTS):
        try:
            for record in records:
                if record is not None:
                    last = int(record["event_record_id"])
                    yield "record", last, str(record["data"])
        except (RuntimeError, OSError, ValueError) as error:
            fault(_place(str(error), last, first_chunk), _short(error), "", b"")
        else:
            return


def _place(message: str, last: int, first_chunk: int) -> str:
    if found := _FAULTY_CHUNK.search(message):
        return f"chunk at byte {_HEADER + (first_chunk + int(found[1])) * _CHUNK}"
    if found := _FAULTY_RECORD.search(message):
        return f"record {found[1]}"
    return f"after record {last}"


def _short(error: Exception) -> str:
    text = str(error).replace("An error occurred while trying to deserialize evtx stream.: ", "")
    return " ".join(text.split())[:300]


def parquet_rows(
    stream: IO[bytes], fault: Fault, mapping: TableMapping | None = None
) -> Iterator[Original]:
    """Every row of a Parquet file: its original where it carries one, else its columns."""
    number = 0
    try:
        table = pq.ParquetFile(stream)
        names = table.schema_arrow.names
        raw = next((name for name in _RAW_COLUMNS if name in names), None)
        layout = None
        if raw is None and (mapping is not None or not is_shaped(dict.fromkeys(names))):
            layout = layout_of(tuple(names), mapping)
        for batch in table.iter_batches(_ROWS, columns=[raw] if raw else None):
            for row in _rows(batch):
                number += 1
                if isinstance(row, str):
                    fault(f"row {number}", row, "", b"")
                    continue
                try:
                    text = _row_text(row, raw)
                except NotAnEventError as error:
                    fault(f"row {number}", str(error), "", b"")
                    continue
                if layout is not None and isinstance(text, bytes):
                    yield "row", number, TableRow(text, layout)
                else:
                    yield "row", number, text
    except MappingNeededError as error:
        fault("file", str(error), error.hint, b"")
    except (pa.ArrowException, OSError, ValueError) as error:
        fault(f"after row {number}", f"not readable Parquet: {_short(error)}", "", b"")


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | str]:
    """A batch's rows; for a row with a value that Python cannot hold, what is wrong with it."""
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except _UNREADABLE:
        yield from (_row(batch, at) for at in range(len(batch)))
    else:
        yield from rows


def _row(batch: pa.RecordBatch, at: int) -> dict[str, Any] | str:
    row = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[at].as_py()
        except _UNREADABLE as error:
            return f"its value of {name[:80]!r} cannot be read: {_short(error)}"
    return row


def _row_text(row: dict[str, Any], raw: str | None) -> str | bytes:
    original = row[raw] if raw is not None else None
    if isinstance(original, str):
        # Splunk's _raw may be Windows' own XML.
        return orjson.dumps(event_document(original)) if looks_like_event(original) else original
    present = {name: value for name, value in row.items() if value is not None}
    return orjson.dumps(present, default=str, option=orjson.OPT_NON_STR_KEYS)
