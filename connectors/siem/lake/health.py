"""Whether the lake is as it was left: files that are damaged, gone, or of no known layout.

A file's name comes from its events, so that a file tells itself whether it is whole. That one is
gone is seen in two ways: a merge's note stands without its file, or a file that an earlier look
found is neither there nor part of a merge. Looks are kept in ``root/.files.json``; the first one
cannot see what was lost before it.
"""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from huntonce.connectors.siem.lake.layout import (
    UID,
    Partition,
    content_name,
    events_folder,
    files,
    partitions,
)
from huntonce.connectors.siem.lake.merges import DATA, NOTE, PREFIX, data_name, replaced, tree
from huntonce.models.errors import TransientError

LOOK = ".files.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeHealth:
    """How the lake stands.

    Attributes:
        files: Those that count.
        damaged: Paths below the lake's folder with what is wrong.
        missing: Files that should be there.
        dropped: Whole partitions that went since the last look, as retention makes them go.
        strangers: What lies there in a layout that this version does not know.
        compared: Whether there was an earlier look to compare with.
    """

    files: int
    events: int
    size: int
    damaged: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    compared: bool = False


def examine(root: Path, *, deep: bool = False) -> LakeHealth:
    """Look at every file: its end, where Parquet keeps what is where; with ``deep`` all of it.

    Changes no events; remembers which files it saw.
    """
    known = _last_look(root)
    seen: dict[str, list[str]] = {}
    damaged: list[tuple[str, str]] = []
    missing: list[str] = []
    count = events = size = 0
    for partition in partitions(root):
        place = _place(root, partition)
        try:
            held = files(root, partition)
            absorbed, lost = _merges(partition.folder(root))
        except TransientError as error:
            damaged.append((place, str(error)))
            seen[place] = (known or {}).get(place, [])
            continue
        missing += [f"{place}/{name}" for name in lost]
        names = {path.name for path in held}
        missing += [
            f"{place}/{name}"
            for name in (known or {}).get(place, [])
            if name not in names | absorbed | set(lost)
        ]
        # What is gone stays on the list: one look must not make the next one content.
        seen[place] = sorted(names | {m.rsplit("/", 1)[1] for m in missing if m.startswith(place)})
        for path in held:
            rows, fault = _file(path, deep=deep)
            count, events, size = count + 1, events + rows, size + _size(path)
            if fault:
                damaged.append((f"{place}/{path.name}", fault))
    if root.is_dir():
        _keep_look(root, seen)
    return LakeHealth(
        files=count,
        events=events,
        size=size,
        damaged=tuple(damaged),
        missing=tuple(sorted(set(missing))),
        dropped=tuple(sorted(set(known or {}) - set(seen))),
        strangers=_strangers(root),
        compared=known is not None,
    )


def _merges(folder: Path) -> tuple[set[str], list[str]]:
    """Names that merged files stand for, and merged files that their notes outlived."""
    names = {entry.name for entry in os.scandir(folder)}
    notes = {name for name in names if name.startswith(PREFIX) and name.endswith(NOTE)}
    absorbed: set[str] = set()
    for note in notes:
        if data_name(note) in names:
            absorbed |= replaced(tree(folder / note))
    lost = [data_name(n) for n in sorted(notes) if data_name(n) not in names | absorbed]
    return absorbed, lost


def _file(path: Path, *, deep: bool) -> tuple[int, str]:
    try:
        with pq.ParquetFile(path) as opened:
            rows: int = opened.metadata.num_rows
            if UID not in opened.schema_arrow.names:
                return rows, f"has no column {UID}"
            if not deep:
                return rows, ""
            table = opened.read()
    except FileNotFoundError:
        return 0, ""  # compaction or retention took it meanwhile
    except (OSError, pa.ArrowException) as error:
        return 0, str(error).splitlines()[0][:200]
    named = path.name.startswith(PREFIX) or content_name(table[UID].to_pylist()) == path.name
    return rows, "" if named else "does not hold the events that its name stands for"


def _strangers(root: Path) -> tuple[str, ...]:
    """Versions of the layout, and folders, that are not ours."""
    top = events_folder(root)
    versions = top.parent.iterdir() if top.parent.is_dir() else ()
    found = [path.name for path in versions if path != top]
    if top.is_dir():
        found += [
            f"{top.name}/{path.name}"
            for path in top.iterdir()
            if not path.name.startswith((".", "channel="))
        ]
    return tuple(sorted(found))


def _place(root: Path, partition: Partition) -> str:
    return partition.folder(root).relative_to(root).as_posix()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _last_look(root: Path) -> dict[str, list[str]] | None:
    try:
        found = orjson.loads((root / LOOK).read_bytes())
        return {
            str(place): [str(name) for name in names if str(name).endswith(DATA)]
            for place, names in found.items()
        }
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def _keep_look(root: Path, seen: dict[str, list[str]]) -> None:
    fresh = root / f"{LOOK}.{secrets.token_hex(4)}"
    with suppress(OSError):  # a home that may only be read is looked at all the same
        fresh.write_bytes(orjson.dumps(seen))
        fresh.replace(root / LOOK)
