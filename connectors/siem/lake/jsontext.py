"""JSON telemetry: lines, arrays, and documents one after another."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

import orjson

from huntonce.connectors.siem.lake.originals import Fault, Original
from huntonce.models.setaside import PAYLOAD_LIMIT

MAX_LINE = 16 * 1024**2
"""Longest line read, in bytes."""

MAX_DOCUMENT = 512 * 1024**2
"""Largest array or file of several-line documents read, in bytes; lines have no such limit."""

_BLOCK = 4 * 1024**2
_HEAD = 256
_PROBED_LINES = 16
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BETWEEN = " \t\r\n,"
_LISTS = (
    *(("hits", "hits"), ("rawResponse", "hits", "hits"), ("response", "hits", "hits")),
    *(("events",), ("Events",), ("Records",), ("results",)),
)


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def json_events(source: _Source, head: bytes, fault: Fault) -> Iterator[Original]:
    """Originals of a JSON stream of which ``head`` was already read."""
    start = (head + source.read(_BLOCK)).removeprefix(_UTF8_BOM)
    if start.startswith(_UTF16_BOMS):
        yield from _documents(source, start, fault, encoding="utf-16")
    elif not start.strip():
        if start:
            fault("file", "it holds no event", "", b"")
    elif has_event_lines(start):
        yield from lines(source, start, fault)
    else:
        yield from _documents(source, start, fault, encoding="utf-8")


def is_json(start: bytes) -> bool:
    """Whether a text that starts so is JSON, whatever is wrong with it."""
    text = start.removeprefix(_UTF8_BOM)
    if text.startswith(_UTF16_BOMS):
        return text[: 2 * _HEAD].decode("utf-16", errors="replace").lstrip()[:1] in ("{", "[")
    return text.lstrip()[:1] in (b"{", b"[") or has_event_lines(text)


def lines(source: _Source, start: bytes, fault: Fault, *, first: int = 1) -> Iterator[Original]:
    """The lines of a stream of which ``start`` was already read, blank ones left out."""
    number, carry, block = first, b"", start or source.read(_BLOCK)
    skipping = False
    while block:
        parts = (carry + block).split(b"\n")
        carry = parts.pop()
        for line in parts:
            if skipping:
                skipping = False
            elif line and not line.isspace():
                yield "line", number, line
            number += 1
        if len(carry) > MAX_LINE:
            if not skipping:
                hint = "look at the file: no event is that long"
                fault(f"line {number}", f"it is longer than {MAX_LINE} bytes", hint, b"")
            skipping, carry = True, b""
        block = source.read(_BLOCK)
    if carry and not carry.isspace() and not skipping:
        yield "line", number, carry


def has_event_lines(start: bytes) -> bool:
    """Whether one of the first lines is a whole JSON object, and no array is open."""
    if start.lstrip().startswith(b"["):
        return False
    candidates = (line for line in start.split(b"\n", 4 * _PROBED_LINES) if line.strip())
    return any(_is_object(line) for line in islice(candidates, _PROBED_LINES))


def _is_object(line: bytes) -> bool:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and _wrapped(document) is None


def _documents(source: _Source, start: bytes, fault: Fault, *, encoding: str) -> Iterator[Original]:
    blocks, size = [start], len(start)
    while block := source.read(_BLOCK):
        blocks.append(block)
        size += len(block)
        if size > MAX_DOCUMENT:
            hint = "turn it into JSON lines, which have no limit"
            fault("file", f"one JSON document is larger than {MAX_DOCUMENT} bytes", hint, b"")
            return
    text = b"".join(blocks).decode(encoding, errors="replace")
    yield from _decoded(text.removeprefix("\ufeff"), fault)


def _decoded(text: str, fault: Fault) -> Iterator[Original]:
    decoder = json.JSONDecoder()
    position, number = _skip(text, 0), 0
    array = text.startswith("[", position)
    if array:
        position = _skip(text, position + 1)
    while position < len(text) and not (array and text[position] == "]"):
        number += 1
        try:
            document, end = decoder.raw_decode(text, position)
        except (json.JSONDecodeError, RecursionError) as error:
            _broken(text[position:], number, error, fault)
            return
        for original in _members(document, text[position:end]):
            yield "event", number, original
        position = _skip(text, end)
    if array and position >= len(text):
        fault(f"after event {number}", "the array does not end: the file was cut off", "", b"")


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BETWEEN:
        position += 1
    return position


def _broken(rest: str, number: int, error: Exception, fault: Fault) -> None:
    payload = rest[:PAYLOAD_LIMIT].encode(errors="replace")[:PAYLOAD_LIMIT]
    if number == 1 and not rest.startswith("{"):
        fault(
            "file",
            "it is not JSON, CSV, EVTX, Parquet, gzip, tar or zip",
            "load event logs only",
            payload,
        )
        return
    what = "it is nested too deeply" if isinstance(error, RecursionError) else f"not JSON: {error}"
    fault(f"event {number}", f"{what}; the rest of the file was not read", "", payload)


def _members(document: Any, text: str) -> Iterator[str | bytes]:  # noqa: ANN401 - any JSON value
    """The document itself, or the events in it where it is an export that wraps a list."""
    wrapped = _wrapped(document)
    if wrapped is None:
        yield text
    else:
        yield from map(json.dumps, wrapped)


def _wrapped(document: Any) -> list[Any] | None:  # noqa: ANN401 - any JSON value
    """The list that an export puts around its events."""
    for path in _LISTS:
        found = document
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, list):
            return found
    return None
