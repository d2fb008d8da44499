"""Which files a load reads, and how they are shared out."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import IO

from huntonce.connectors.siem.lake.clock import Clock
from huntonce.connectors.siem.lake.jsontext import has_event_lines
from huntonce.connectors.siem.lake.mapping import TableMapping
from huntonce.connectors.siem.lake.reading import Piece, packed_or_binary
from huntonce.connectors.siem.lake.staging import measure_clock
from huntonce.models.errors import ConfigError

SUFFIXES = frozenset(
    {
        ".evtx",
        ".json",
        ".jsonl",
        ".ndjson",
        ".gz",
        ".tgz",
        ".tar",
        ".zip",
        ".parquet",
        ".csv",
        ".tsv",
        ".xml",
    }
)
"""Files that a folder is searched for; a file named by itself is read whatever its name."""

JOB_BYTES = 48 * 1024**2
"""What one worker takes at a time; larger files of JSON lines are split."""

_HEAD = 256 * 1024
_BLOCK = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Job:
    """Pieces that one worker stages together; no clock where it measures that itself."""

    pieces: tuple[tuple[Piece, Clock | None], ...]


def telemetry_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Every file to read, once, in a stable order.

    Raises:
        ConfigError: A path does not exist.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = (item for item in sorted(path.rglob("*")) if item.suffix.lower() in SUFFIXES)
            found.update(dict.fromkeys(item.resolve() for item in inside if item.is_file()))
        elif path.is_file():
            found[path.resolve()] = None
        else:
            raise ConfigError(f"no such file or folder: {path}", hint="check the path")
    return tuple(found)


def jobs(files: Sequence[Path], mapping: TableMapping | None = None) -> Iterator[Job]:
    """The files in shares of about ``JOB_BYTES``, labelled from the folder that holds them all."""
    base = os.path.commonpath([path.parent for path in files]) if files else ""
    share: list[tuple[Piece, Clock | None]] = []
    size = 0
    for path in files:
        length = path.stat().st_size
        whole = Piece(path, mapping=mapping, label=str(path.relative_to(base)))
        if length > JOB_BYTES * 3 // 2 and (split := _split(path, length, whole)):
            yield from (Job((piece,)) for piece in split)
            continue
        share.append((whole, None))
        size += length
        if size >= JOB_BYTES:
            yield Job(tuple(share))
            share, size = [], 0
    if share:
        yield Job(tuple(share))


def _split(path: Path, length: int, whole: Piece) -> list[tuple[Piece, Clock | None]]:
    """A large file of JSON lines cut at line ends; nothing where it is none."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        if packed_or_binary(head) or not has_event_lines(head):
            return []
        clock = None if b'"Event":' in head else measure_clock(whole)
        stream.seek(0)
        cuts = list(_cuts(stream, length))
    return [
        (replace(whole, start=start, end=end, first_line=line), clock)
        for (start, line), (end, _) in pairwise(cuts)
    ]


def _cuts(stream: IO[bytes], length: int) -> Iterator[tuple[int, int]]:
    """Byte and line number where each piece starts, and the end of the file."""
    position, line, target = 0, 1, JOB_BYTES
    yield 0, 1
    while block := stream.read(_BLOCK):
        if position + len(block) > target and (newline := block.find(b"\n")) >= 0:
            start = position + newline + 1
            yield start, line + 1
            target = start + JOB_BYTES
        line += block.count(b"\n")
        position += len(block)
    yield length, line
