"""Rows of a CSV file as people save them: any usual encoding and separator, damage contained."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huntonce.models.errors import ConfigError

MAX_BYTES = 32 * 1024**2
SEPARATORS = ",;\t|"
MAX_LINES = 20
"""A row that goes on for more lines than this has a quote that nobody closed."""
_MARKS = (("utf-8-sig", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff"))
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_HINT = "save it as CSV (UTF-8)"


@dataclass(frozen=True, slots=True)
class Row:
    """One row; ``fault`` says why it cannot be split into cells.

    Attributes:
        line: Where it starts, from 1.
    """

    line: int
    cells: tuple[str, ...]
    fault: str = ""

    @property
    def empty(self) -> bool:
        """Nothing is written in it."""
        return not self.fault and not any(self.cells)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 or, where it is neither, Windows-1252.

    Raises:
        ConfigError: It cannot be read, is larger than ``MAX_BYTES``, or is no text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", hint="see that it is there") from (
            error
        )
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES // 1024**2} MiB", hint="is it a list?")
    if data.startswith(_WORKBOOKS):
        raise ConfigError(f"{path}: a workbook, not CSV", hint=_HINT)
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise ConfigError(f"{path}: no text in UTF-8, UTF-16 or Windows-1252", hint=_HINT)


def _encodings(data: bytes) -> tuple[str, ...]:
    for encoding, mark in _MARKS:
        if data.startswith(mark):
            return (encoding,)
    if data[1:2] == b"\x00":
        return ("utf-16-le",)
    if data[:1] == b"\x00":
        return ("utf-16-be",)
    return ("utf-8", "cp1252")


def lines_of(text: str) -> list[str]:
    """Lines with their ends; only CR, LF and both together end one."""
    return list(io.StringIO(text, newline=""))


def rows(lines: list[str], separator: str, start: int = 0) -> Iterator[Row]:
    """The rows from a line on; cells lose the blanks around them.

    A row whose quotes do not add up costs its own line and none of those after it.
    """
    at = start
    while at < len(lines):
        # a reader for each row: what a stray quote does to one must not reach the next
        reader = csv.reader(lines[at : at + MAX_LINES], delimiter=separator, strict=True)
        try:
            cells = next(reader, [])
        except csv.Error:
            yield Row(at + 1, (), "a quote in it is not closed, or stands inside a cell")
            at += 1
            continue
        yield Row(at + 1, tuple(" ".join(cell.split()) for cell in cells))
        at += max(1, reader.line_num)
