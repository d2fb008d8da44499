"""Telemetry files as originals, one an event: opened, unpacked and cut, nothing understood yet.

Recognised by their first bytes: gzip, zip, EVTX, Parquet; anything else is text, JSON or CSV.
Sizes are bounded everywhere; what cannot be read is reported and the rest goes on.
"""

import gzip
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from huntonce.connectors.siem.lake.binary import (
    EVTX_MAGIC,
    PARQUET_MAGIC,
    evtx_records,
    parquet_rows,
)
from huntonce.connectors.siem.lake.csvtext import csv_rows, looks_like_table
from huntonce.connectors.siem.lake.jsontext import is_json, json_events, lines
from huntonce.connectors.siem.lake.mapping import TableMapping
from huntonce.connectors.siem.lake.originals import Fault, Original

MAX_UNPACKED = 16 * 1024**3
"""Most that one packed file or member may unpack to, in bytes."""

MAX_BINARY = 2 * 1024**3
"""Largest EVTX or Parquet file that is read out of a packed one, in bytes."""

MAX_MEMBERS = 10_000
_SPOOL = 64 * 1024**2
_COPY = 1024**2
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_HEAD = 16
_BLOCK = 4 * 1024**2
_DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that one worker reads: the whole, or whole lines up to byte ``end``."""

    path: Path
    start: int = 0
    end: int | None = None
    first_line: int = 1
    mapping: TableMapping | None = None


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def originals(piece: Piece, fault: Fault) -> Iterator[Original]:
    """Every original in a piece; what cannot be read goes to ``fault``."""
    try:
        with piece.path.open("rb") as stream:
            if piece.end is not None:
                stream.seek(piece.start)
                span = _Span(stream, piece.end - piece.start)
                yield from lines(span, b"", fault, first=piece.first_line)
            else:
                yield from _file(stream, fault, piece.mapping)
    except OSError as error:
        reason = f"it cannot be read: {error.strerror or error}"
        fault("file", reason, "check the file and its permissions", b"")


def packed_or_binary(head: bytes) -> bool:
    """Whether a file that starts so is gzip, zip, EVTX or Parquet."""
    return head.startswith((_GZIP, _ZIP, EVTX_MAGIC, PARQUET_MAGIC))


def _file(stream: IO[bytes], fault: Fault, mapping: TableMapping | None) -> Iterator[Original]:
    head = stream.read(_HEAD)
    stream.seek(0)
    if head.startswith(_GZIP):
        with gzip.GzipFile(fileobj=stream) as unpacked:
            yield from _unpacked(_Unpacking(unpacked, fault), fault, mapping)
    elif head.startswith(_ZIP):
        yield from _zip(stream, fault, mapping)
    elif head.startswith(EVTX_MAGIC):
        yield from evtx_records(stream, fault)
    elif head.startswith(PARQUET_MAGIC):
        yield from parquet_rows(stream, fault, mapping)
    else:
        yield from _text(stream, b"", fault, mapping)


def _text(
    source: "_Source", head: bytes, fault: Fault, mapping: TableMapping | None
) -> Iterator[Original]:
    """JSON or CSV of which ``head`` was already read."""
    start = head + source.read(_BLOCK)
    if is_json(start):
        yield from json_events(source, start, fault)
    elif mapping is not None or looks_like_table(start):
        yield from csv_rows(source, start, fault, mapping)
    else:
        yield from json_events(source, start, fault)


def _zip(stream: IO[bytes], fault: Fault, mapping: TableMapping | None) -> Iterator[Original]:
    try:
        archive = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        fault("file", f"the zip is damaged: {error}", "fetch the file again", b"")
        return
    with archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        if len(members) > MAX_MEMBERS:
            fault("file", f"only its first {MAX_MEMBERS} members were read", "split the zip", b"")
        for info in members[:MAX_MEMBERS]:
            yield from _member(archive, info, fault, mapping)


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, outer: Fault, mapping: TableMapping | None
) -> Iterator[Original]:
    name = info.filename[:200]

    def fault(place: str, reason: str, hint: str, payload: bytes) -> None:
        outer(f"{name}, {place}", reason, hint, payload)

    try:
        with archive.open(info) as member:
            for kind, number, text in _unpacked(_Unpacking(member, fault), fault, mapping):
                yield f"{name}, {kind}", number, text
    except (*_DAMAGED, NotImplementedError, RuntimeError) as error:
        # zipfile says RuntimeError where a member is encrypted.
        fault("file", f"it cannot be unpacked: {error}", "unpack it and load the files", b"")


def _unpacked(
    source: "_Unpacking", fault: Fault, mapping: TableMapping | None
) -> Iterator[Original]:
    head = source.read(_HEAD)
    if head.startswith((_GZIP, _ZIP)):
        fault("file", "it is packed twice", "unpack it once and load what is inside", b"")
    elif head.startswith((EVTX_MAGIC, PARQUET_MAGIC)):
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL) as spool:
            if not _copy(head, source, spool):
                fault("file", f"it unpacks to more than {MAX_BINARY} bytes", "unpack it first", b"")
                return
            if head.startswith(EVTX_MAGIC):
                yield from evtx_records(spool, fault)
            else:
                yield from parquet_rows(spool, fault, mapping)
    else:
        yield from _text(source, head, fault, mapping)


def _copy(head: bytes, source: _Source, target: IO[bytes]) -> bool:
    """Write out a packed file; False where it is too large."""
    target.write(head)
    size = len(head)
    while block := source.read(_COPY):
        size += len(block)
        if size > MAX_BINARY:
            return False
        target.write(block)
    target.seek(0)
    return True


class _Span:
    """The next ``length`` bytes of a stream."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(min(size, self._left))
        self._left -= len(block)
        return block


class _Unpacking:
    """A packed stream that ends, with a report, where it is damaged or grows out of bounds."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, fault: Fault) -> None:
        self._stream = stream
        self._fault = fault
        self._done = 0
        self._ended = False

    def read(self, size: int, /) -> bytes:
        if self._ended:
            return b""
        try:
            block = self._stream.read(size)
        except _DAMAGED as error:
            return self._end(f"the packed data is damaged: {error}", "fetch the file again")
        self._done += len(block)
        if self._done > MAX_UNPACKED:
            return self._end(f"it unpacks to more than {MAX_UNPACKED} bytes", "split it")
        return block

    def _end(self, reason: str, hint: str) -> bytes:
        self._ended = True
        self._fault(f"unpacked byte {self._done}", reason, hint, b"")
        return b""
