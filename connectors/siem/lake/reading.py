"""Telemetry files as originals, one an event: opened, unpacked and cut, nothing understood yet.

Recognised by their first bytes: gzip, zip, tar, EVTX, Parquet; anything else is text, JSON, CSV or
XML. Sizes are bounded everywhere; what cannot be read is reported and the rest goes on.
"""

import gzip
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, Self

from typing_extensions import override

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
from huntonce.connectors.siem.lake.xmltext import is_xml, xml_events

MAX_UNPACKED = 16 * 1024**3
"""Most that one packed file or member may unpack to, in bytes."""

MAX_BINARY = 2 * 1024**3
"""Largest EVTX or Parquet file that is read out of a packed one, in bytes."""

MAX_MEMBERS = 10_000
_SPOOL = 64 * 1024**2
_COPY = 1024**2
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_TAR, _TAR_AT = b"ustar", 257
_MEMBERS = (*tarfile.REGULAR_TYPES, tarfile.GNUTYPE_SPARSE)
_LONGEST_HEADER = 1024**2
_HEAD = 512
_OTHERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
}
"""Packed in ways that are named and not read."""

_BLOCK = 4 * 1024**2
_DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that one worker reads: the whole, or whole lines up to byte ``end``.

    Attributes:
        label: How people are told which file it is: hosts' logs have the same names.
    """

    path: Path
    start: int = 0
    end: int | None = None
    first_line: int = 1
    mapping: TableMapping | None = None
    label: str = ""


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
    """Whether a file that starts so is gzip, zip, tar, EVTX or Parquet."""
    return head.startswith((_GZIP, _ZIP, EVTX_MAGIC, PARQUET_MAGIC)) or _is_tar(head)


def _is_tar(head: bytes) -> bool:
    return head.startswith(_TAR, _TAR_AT)


def _file(stream: IO[bytes], fault: Fault, mapping: TableMapping | None) -> Iterator[Original]:
    head = stream.read(_HEAD)
    stream.seek(0)
    if not head:
        fault("file", "it is empty: 0 bytes", "fetch it again, or leave it out", b"")
    elif head.startswith(_GZIP):
        with gzip.GzipFile(fileobj=stream) as unpacked:
            source = _Unpacking(unpacked, fault)
            head = source.read(_HEAD)
            if _is_tar(head):
                yield from _tar(_Rejoined(head, source), fault, mapping)
            else:
                yield from _unpacked(_Rejoined(head, source), fault, mapping)
    elif head.startswith(_ZIP):
        yield from _zip(stream, fault, mapping)
    elif head.startswith(EVTX_MAGIC):
        yield from evtx_records(stream, fault)
    elif head.startswith(PARQUET_MAGIC):
        yield from parquet_rows(stream, fault, mapping)
    elif _is_tar(head):
        yield from _tar(stream, fault, mapping)
    else:
        yield from _text(stream, b"", fault, mapping)


def _text(
    source: "_Source", head: bytes, fault: Fault, mapping: TableMapping | None
) -> Iterator[Original]:
    """JSON or CSV of which ``head`` was already read."""
    start = head + source.read(_BLOCK)
    packed = next((name for magic, name in _OTHERS.items() if start.startswith(magic)), None)
    if packed is not None:
        fault("file", f"it is packed with {packed}, which is not read", "unpack it first", b"")
    elif b"\x00" in start[:2]:
        hint = "save it as UTF-8, or with the mark"
        fault("file", "it looks like UTF-16 without its byte-order mark", hint, start)
    elif is_json(start):
        yield from json_events(source, start, fault)
    elif is_xml(start):
        yield from xml_events(source, start, fault)
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


def _tar(source: "_Source", outer: Fault, mapping: TableMapping | None) -> Iterator[Original]:
    """The files in a tar, one after another: nothing of it is written to a disk or by its names."""
    try:
        with tarfile.open(
            fileobj=source,  # type: ignore[call-overload]  # reading is all that it does with it
            mode="r|",
            tarinfo=_Header,
        ) as archive:
            for number, info in enumerate(archive):
                if number >= MAX_MEMBERS:
                    reason = f"only its first {MAX_MEMBERS} members were read"
                    outer("file", reason, "split the tar", b"")
                    return
                member = archive.extractfile(info) if info.isreg() else None
                if member is not None:
                    yield from _named(info.name[:200], member, outer, mapping)
    except (tarfile.TarError, OSError, ValueError) as error:
        outer("file", f"the tar is damaged: {error}", "fetch the file again", b"")


def _named(
    name: str, member: IO[bytes], outer: Fault, mapping: TableMapping | None
) -> Iterator[Original]:
    """The originals of a member of an archive."""

    def fault(place: str, reason: str, hint: str, payload: bytes) -> None:
        outer(f"{name}, {place}", reason, hint, payload)

    for kind, number, text in _unpacked(_Unpacking(member, fault), fault, mapping):
        yield f"{name}, {kind}", number, text


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, outer: Fault, mapping: TableMapping | None
) -> Iterator[Original]:
    name = info.filename[:200]
    try:
        with archive.open(info) as member:
            yield from _named(name, member, outer, mapping)
    except (*_DAMAGED, NotImplementedError, RuntimeError) as error:
        # zipfile says RuntimeError where a member is encrypted.
        hint = "unpack it and load the files"
        outer(f"{name}, file", f"it cannot be unpacked: {error}", hint, b"")


def _unpacked(source: "_Source", fault: Fault, mapping: TableMapping | None) -> Iterator[Original]:
    head = source.read(_HEAD)
    if head.startswith((_GZIP, _ZIP)) or _is_tar(head):
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


class _Header(tarfile.TarInfo):
    """A header of a tar; one that only says more about the next is short, as real ones are."""

    @classmethod
    @override
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Refuse what would be read into memory whole, whatever length it claims.

        Raises:
            tarfile.TarError: As said, or it is no header.
        """
        made = super().frombuf(buf, encoding, errors)
        if made.type not in _MEMBERS and made.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header is longer than {_LONGEST_HEADER} bytes")
        return made


class _Rejoined:
    """A stream of which the start was read already."""

    def __init__(self, head: bytes, rest: _Source) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        if not self._head:
            return self._rest.read(size)
        block, self._head = self._head[:size], self._head[size:]
        return block if len(block) == size else block + self._rest.read(size - len(block))


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
