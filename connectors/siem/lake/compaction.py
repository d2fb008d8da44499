"""Merging the small files of a partition, while hunts read and whatever is killed.

The events of a partition stay as they are; only the files they are in change. A merged file is
written and checked first, then one rename makes it count instead of its sources (see ``merges``).
Sources are deleted by a later writer, after ``GRACE``: readers that listed them still find them.
"""

import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from huntonce.connectors.siem.lake.columns import MAX_COLUMNS
from huntonce.connectors.siem.lake.layout import (
    EVENT_ID,
    TIME_COLUMN,
    UID,
    Partition,
    content_name,
    files,
    partitions,
    staging_folder,
    trash_folder,
)
from huntonce.connectors.siem.lake.merges import (
    DATA,
    NOTE,
    PREFIX,
    Tree,
    data_name,
    encode,
    note_path,
    replaced,
    tree,
    tree_of,
)
from huntonce.connectors.siem.lake.staging import write_parquet

GRACE = 900.0
"""Seconds for which replaced files stay, for readers that listed them before."""

MAX_ROWS = 200_000
"""Most events of a merged file."""

MAX_BYTES = 192 * 1024**2
"""Most that the files merged into one hold, in bytes before compression."""

WORTH_FILES = 8
"""Files of about one size in a partition from which a load merges them by itself."""

_TIER = 8

Alike = Callable[[Iterable[Path]], Mapping[Path, Hashable]]
"""What else must be equal of files that are merged, such as what was searched in them."""


@dataclass(frozen=True, slots=True)
class Merge:
    """Files of one partition that become one.

    Attributes:
        rows: Events in them.
        size: Bytes on disk.
    """

    partition: Partition
    files: tuple[Path, ...]
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file that is left as it is, because it cannot be read."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class _Small:
    path: Path
    rows: int
    size: int
    held: int
    columns: frozenset[str]


def planned(
    root: Path,
    *,
    among: Iterable[Partition] | None = None,
    alike: Alike | None = None,
    only_worthwhile: bool = False,
) -> Iterator[Merge | Damaged]:
    """Merges that would make fewer files.

    Args:
        root: The lake's folder.
        among: Partitions to look at; None is every one.
        alike: See ``Alike``.
        only_worthwhile: Only many files of about one size each, so that an event is written again
            a few times in all however often a partition grows.
    """
    for partition in partitions(root) if among is None else sorted(among):
        held = files(root, partition)
        if len(held) < (WORTH_FILES if only_worthwhile else 2):
            continue
        small: list[_Small] = []
        for path in held:
            found = _small(path)
            if isinstance(found, Damaged):
                yield found
            elif found is not None:
                small.append(found)
        groups: dict[Hashable, list[_Small]] = {}
        marks = alike([item.path for item in small]) if alike is not None else {}
        for item in small:
            tier = int(math.log(max(item.rows, 1), _TIER)) if only_worthwhile else 0
            groups.setdefault((marks.get(item.path), tier), []).append(item)
        for group in groups.values():
            if len(group) >= (WORTH_FILES if only_worthwhile else 2):
                yield from _bins(partition, group)


def _small(path: Path) -> _Small | Damaged | None:
    """A file that could be merged; None where it is large already."""
    try:
        size = path.stat().st_size
        with pq.ParquetFile(path) as file:
            meta = file.metadata
            held = sum(meta.row_group(at).total_byte_size for at in range(meta.num_row_groups))
            names = frozenset(name.lower() for name in file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        return Damaged(path, " ".join(str(error).split())[:300])
    if meta.num_rows > MAX_ROWS // 2 or held > MAX_BYTES // 2:
        return None
    return _Small(path, meta.num_rows, size, held, names)


def _bins(partition: Partition, small: Sequence[_Small]) -> Iterator[Merge]:
    """Shares that fit into one file each, of at least two."""
    share: list[_Small] = []
    columns: frozenset[str] = frozenset()
    for item in sorted(small, key=lambda item: (item.rows, item.path.name)):
        full = (
            sum(other.rows for other in share) + item.rows > MAX_ROWS
            or sum(other.held for other in share) + item.held > MAX_BYTES
            or len(columns | item.columns) > MAX_COLUMNS
        )
        if share and full:
            if len(share) > 1:
                yield _merge(partition, share)
            share, columns = [], frozenset()
        share.append(item)
        columns |= item.columns
    if len(share) > 1:
        yield _merge(partition, share)


def _merge(partition: Partition, share: Sequence[_Small]) -> Merge:
    return Merge(
        partition,
        tuple(item.path for item in share),
        sum(item.rows for item in share),
        sum(item.size for item in share),
    )


def merge(root: Path, wanted: Merge) -> tuple[Path, int]:
    """Make one file of a merge's files and let it count instead of them; under the writer lock.

    Returns:
        The file, and its size in bytes.

    Raises:
        pa.ArrowException, OSError: One of the files cannot be read, or the disk is full; nothing
            has changed then.
    """
    content = merged_table([_read(path) for path in wanted.files])
    folder, staging = wanted.partition.folder(root), staging_folder(root)
    staging.mkdir(parents=True, exist_ok=True)
    name = PREFIX + content_name(path.name for path in wanted.files)
    fresh = staging / name
    write_parquet(content, fresh)
    if pq.read_metadata(fresh).num_rows != len(content):
        raise OSError(f"{name} was not written whole")
    _to_disk(fresh)
    size = fresh.stat().st_size
    fresh.replace(folder / name)
    made: dict[str, tuple[str, ...]] = {name: tuple(path.name for path in wanted.files)}
    for path in wanted.files:
        made.update(tree_of(path))
    note = staging / note_path(Path(name)).name
    note.write_bytes(encode(made))
    _to_disk(note)
    _to_disk(folder)
    note.replace(folder / note.name)
    return folder / name, size


def merged_table(tables: Sequence[pa.Table]) -> pa.Table:
    """The events of some tables, each once, ordered as the lake's files are.

    A field keeps the spelling that most events have; columns are the same in any case.
    """
    counts: dict[str, Counter[str]] = {}
    for table in tables:
        for name, column in zip(table.column_names, table.columns, strict=True):
            filled = len(column) - column.null_count
            counts.setdefault(name.lower(), Counter())[name] += filled
    spelling = {lower: max(sorted(found), key=lambda name: found[name])
                for lower, found in counts.items()}  # fmt: skip
    together = pa.concat_tables(
        [
            table.rename_columns(
                [spelling[name.lower()] for name in table.column_names]
            ).replace_schema_metadata(None)
            for table in tables
        ],
        promote_options="default",
    )
    if pc.count_distinct(together.column(UID)).as_py() != len(together):
        numbered = pa.table({UID: together.column(UID), "at": pa.array(range(len(together)))})
        first = numbered.group_by(UID).aggregate([("at", "min")]).column("at_min")
        together = together.take(first.sort())
    order = [(EVENT_ID, "ascending"), (TIME_COLUMN, "ascending"), (UID, "ascending")]
    return together.take(pc.sort_indices(together.select([name for name, _ in order]), order))


def _read(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read()


def _to_disk(path: Path) -> None:
    """Have a file or folder written to the disk, before what it replaces may go."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clear(root: Path, *, grace: float = GRACE) -> int:
    """Delete what no reader can need; under the writer lock.

    That is replaced files after ``grace`` seconds, and what a killed writer left.

    Returns:
        Number of replaced files deleted.
    """
    shutil.rmtree(staging_folder(root), ignore_errors=True)
    shutil.rmtree(trash_folder(root), ignore_errors=True)
    return sum(_clear(partition.folder(root), grace) for partition in partitions(root))


def _clear(folder: Path, grace: float) -> int:
    names = {entry.name for entry in os.scandir(folder)}
    merged = {name for name in names if name.startswith(PREFIX)}
    notes = {name for name in merged if name.endswith(NOTE)}
    noted = {data_name(note) for note in notes}
    for name in merged:
        if name.endswith(DATA) and name not in noted:
            (folder / name).unlink(missing_ok=True)  # a compaction was killed before its note
    count = 0
    for note in notes:
        path = folder / note
        if data_name(note) not in names or not path.exists():
            continue
        if time.time() - path.stat().st_mtime < grace:
            continue
        gone: Tree = tree(path)
        for name in replaced(gone) & names:
            (folder / name).unlink(missing_ok=True)
            count += 1
        # Their own notes last: until then they keep from counting what they replaced.
        for name in replaced(gone):
            if name.startswith(PREFIX):
                note_path(folder / name).unlink(missing_ok=True)
    return count
