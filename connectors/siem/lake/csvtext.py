"""CSV telemetry: rows with their place, wrong ones set aside and the others read on.

A quote that never closes would swallow the rest of a file. So a row over several lines that does
not fit the header is given up with its first line only, and reading goes on with its second.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import orjson

from huntonce.connectors.siem.lake.mapping import (
    Layout,
    MappingNeededError,
    TableMapping,
    layout_of,
)
from huntonce.connectors.siem.lake.originals import Fault
from huntonce.connectors.siem.lake.tables import TableRow
from huntonce.connectors.siem.lake.tabletime import day_first

MAX_LINE = 16 * 1024**2
"""Longest line read, in characters."""

MAX_ROW = 4 * 1024**2
"""Longest row over several lines, in characters."""

MAX_COLUMNS = 2_000
_MOST_RETRIES = 500
_MOST_LINES = 20_000
_MOST_FAULTS = 100_000
_BLOCK = 1024**2
_DELIMITERS = ",;\t|"
_LONGEST_NAME = 200
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLED = 2_000


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def looks_like_table(start: bytes) -> bool:
    """Whether a file that starts so has a first line with column names."""
    text = _decoded_start(start)
    lines = (line for line in text.split("\n", 8) if line.strip() and not line.startswith("#TYPE"))
    header = next(lines, "").rstrip("\r")
    if not header or header[0] in "{[<" or len(header) > _BLOCK:
        return False
    names = _cells(header, _delimiter(header)) or []
    return len(names) > 1 and all(
        name.strip() and len(name) <= _LONGEST_NAME and name.isprintable() for name in names
    )


def csv_rows(
    source: _Source, start: bytes, fault: Fault, mapping: TableMapping | None
) -> Iterator[tuple[str, int, TableRow]]:
    """Each row of a CSV stream of which ``start`` was read, with the number of its first line."""
    csv.field_size_limit(MAX_LINE)  # of the process: the rows are bounded here
    lines = _Lines(source, start, fault, mapping.encoding if mapping else "")
    first = lines.next()
    while first is not None and (not first[1].strip() or first[1].startswith("#TYPE")):
        first = lines.next()
    if first is None:
        fault("file", "it holds no row", "", b"")
        return
    delimiter = (mapping.delimiter if mapping else "") or _delimiter(first[1])
    # A name may hold bytes of another encoding; its column is read under what is left of it.
    header = first[1].encode(errors="surrogateescape").decode(errors="replace")
    names = [name.strip() for name in _cells(header, delimiter) or []]
    if len(names) > MAX_COLUMNS:
        fault("line 1", f"it has more than {MAX_COLUMNS} columns", "", b"")
        return
    try:
        layout = layout_of(tuple(names), mapping)
    except MappingNeededError as error:
        fault("file", str(error), error.hint, first[1][:_BLOCK].encode(errors="replace"))
        return
    rows = _rows(lines, delimiter, len(names), fault)
    sampled = list(_some(rows))
    layout = replace(layout, day_first=_day_first(layout, names, [cells for _, cells in sampled]))
    for held in (sampled, rows):
        for number, cells in held:
            pairs = zip(reversed(names), reversed(cells), strict=True)  # of two alike the first
            row = {name: cell for name, cell in pairs if cell}
            yield "row at line", number, TableRow(orjson.dumps(row), layout)


def _some(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The first rows, as many as are worth keeping in memory."""
    size = 0
    for at, row in enumerate(rows, 1):
        yield row
        size += sum(map(len, row[1]))
        if at >= _SAMPLED or size > MAX_LINE:
            return


def _day_first(layout: Layout, names: list[str], rows: list[list[str]]) -> bool | None:
    column = layout.targets.get("time")
    if column is None or layout.time_format:
        return None
    at = names.index(column)
    return day_first(row[at] for row in rows)


def _rows(
    lines: "_Lines", delimiter: str, width: int, fault: Fault
) -> Iterator[tuple[int, list[str]]]:
    retries = faults = 0
    while (first := lines.next()) is not None:
        number, text = first
        if not text.strip():
            continue
        held = [text]
        closed = _closed(text)
        size = len(text)
        while (
            not closed and size <= MAX_ROW and retries < _MOST_RETRIES and len(held) < _MOST_LINES
        ):
            more = lines.next()
            if more is None:
                break
            held.append(more[1])
            size += len(more[1])
            closed = _closed(more[1], opened=True)
        cells = _cells("\n".join(held), delimiter) if closed else None
        reason = _wrong(cells, width)
        if not reason and cells is not None:
            yield number, cells
            continue
        if len(held) > 1:
            lines.put_back(number + 1, held[1:])
            retries += 1
        hint = "give encoding in a mapping, such as cp1252" if "encoding" in reason else ""
        payload = text[:_BLOCK].encode(errors="replace")
        fault(f"row at line {number}", reason, hint, payload)
        faults += 1
        if faults >= _MOST_FAULTS:
            fault(f"after line {number}", "too many rows are wrong: the rest was not read", "", b"")
            return


def _wrong(cells: list[str] | None, width: int) -> str:
    if cells is None:
        return "a quote in it is not closed"
    if len(cells) != width:
        return f"it has {len(cells)} cells, the header has {width}"
    if any(not cell.isascii() and _undecoded(cell) for cell in cells):
        return "it is not in the encoding of the file (UTF-8 unless said)"
    return ""


def _undecoded(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _closed(text: str, *, opened: bool = False) -> bool:
    """Whether every quote of a line is closed at its end."""
    return (text.count('"') % 2 == 0) is not opened


def _cells(text: str, delimiter: str) -> list[str] | None:
    try:
        found = list(csv.reader([text.removesuffix("\r")], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return found[0] if len(found) == 1 else None


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _decoded_start(start: bytes) -> str:
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return start[len(mark) :].decode(encoding, errors="replace")
    return start.decode("utf-8", errors="replace")


class _Lines:
    """The lines of a stream, decoded; some can be put back."""

    def __init__(self, source: _Source, start: bytes, fault: Fault, encoding: str) -> None:
        found = next(((mark, name) for mark, name in _BOMS if start.startswith(mark)), None)
        mark, name = found or (b"", encoding or "utf-8")
        errors = "surrogateescape" if name == "utf-8" else "replace"
        self._decoder = codecs.getincrementaldecoder(name)(errors=errors)
        self._source = source
        self._block = start[len(mark) :]
        self._fault = fault
        self._carry = ""
        self._number = 0
        self._waiting: deque[tuple[int, str]] = deque()
        self._ended = False

    def next(self) -> tuple[int, str] | None:
        """The next line and its number; None at the end."""
        while not self._waiting and not self._ended:
            self._read()
        return self._waiting.popleft() if self._waiting else None

    def put_back(self, number: int, lines: list[str]) -> None:
        """Give lines back, the first of which has that number."""
        self._waiting.extendleft(reversed(list(enumerate(lines, number))))

    def _read(self) -> None:
        block = self._block or self._source.read(_BLOCK)
        self._block = b""
        text = self._carry + self._decoder.decode(block, final=not block)
        parts = text.split("\n")
        self._carry = parts.pop()
        for part in parts:
            self._take(part)
        if len(self._carry) > MAX_LINE:
            self._skip()
        if not block:
            self._ended = True
            if self._carry:
                self._take(self._carry)

    def _take(self, line: str) -> None:
        self._number += 1
        if len(line) > MAX_LINE:
            self._refuse()
        else:
            self._waiting.append((self._number, line))

    def _refuse(self) -> None:
        hint = "look at the file: no event is that long"
        self._fault(f"line {self._number}", f"it is longer than {MAX_LINE} characters", hint, b"")

    def _skip(self) -> None:
        """Leave out a line that is too long, of which the end was not read yet."""
        self._number += 1
        self._refuse()
        self._carry = ""
        while block := self._source.read(_BLOCK):
            text = self._decoder.decode(block)
            _, found, rest = text.partition("\n")
            if found:
                self._carry = rest
                return
