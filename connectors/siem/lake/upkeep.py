"""Keeping the lake in order: compaction and retention, for the command line and after a load."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from huntonce.connectors.siem.lake.compaction import (
    GRACE,
    Alike,
    Damaged,
    Merge,
    clear,
    merge,
    planned,
)
from huntonce.connectors.siem.lake.layout import (
    Partition,
    files,
    partitions,
    trash_folder,
    writer_lock,
)
from huntonce.connectors.siem.lake.space import is_full, telling_of_space
from huntonce.models.errors import TransientError
from huntonce.models.setaside import InputKind, SetAside

LOCK_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactReport:
    """What a compaction did, or would do.

    Attributes:
        partitions: In which something was merged.
        before: Files merged.
        after: Files that they became.
        rows: Events in them.
        bytes_before: Of those files on disk.
        bytes_after: Of what they became; 0 in a dry run.
        deleted: Files of earlier compactions that no reader can need any more.
    """

    partitions: int = 0
    before: int = 0
    after: int = 0
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    deleted: int = 0
    set_aside: tuple[SetAside, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Expired:
    """A partition that retention deletes.

    Attributes:
        channel: In lower case.
        size: Bytes on disk, files that no longer count included.
    """

    channel: str
    day: date
    files: int
    events: int
    size: int


@contextmanager
def writing(root: Path, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Be the only one who changes the lake's events.

    Raises:
        TransientError: Another load, compaction or retention did not end in time.
    """
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(writer_lock(root), timeout=timeout):
            yield
    except Timeout as error:
        raise TransientError(
            "another load, compaction or retention is running",
            connector="lake",
            hint="wait until it has ended, then repeat",
        ) from error


def compact(
    root: Path,
    *,
    alike: Alike | None = None,
    dry_run: bool = False,
    grace: float = GRACE,
    lock_timeout: float = LOCK_TIMEOUT,
) -> CompactReport:
    """Merge the small files of each partition; running again changes nothing.

    Args:
        root: The lake's folder.
        alike: See ``compaction.Alike``.
        dry_run: Only say what would be merged.
        grace: Seconds for which replaced files stay.
        lock_timeout: Seconds to wait for another writer.

    Raises:
        TransientError: Another writer did not end in time, or the disk is full.
    """
    if dry_run:
        return _report(list(planned(root, alike=alike)), [], 0, [])
    with telling_of_space(), writing(root, lock_timeout):
        deleted = clear(root, grace=grace)
        return compact_held(root, alike=alike, deleted=deleted)


def compact_held(
    root: Path,
    *,
    among: Iterable[Partition] | None = None,
    alike: Alike | None = None,
    only_worthwhile: bool = False,
    deleted: int = 0,
) -> CompactReport:
    """Merge, with the writer lock held already; see ``compaction.planned``."""
    found = list(planned(root, among=among, alike=alike, only_worthwhile=only_worthwhile))
    done: list[Merge] = []
    sizes: list[int] = []
    failed: list[Damaged] = []
    for item in found:
        if isinstance(item, Damaged):
            failed.append(item)
            continue
        try:
            sizes.append(merge(root, item)[1])
        except (pa.ArrowException, OSError) as error:
            if is_full(error):
                if not only_worthwhile:
                    raise
                break  # a load that found no room to tidy up has loaded all the same
            failed.append(Damaged(item.files[0].parent, " ".join(str(error).split())[:300]))
        else:
            done.append(item)
    return _report(done, failed, deleted, sizes)


def _report(
    found: Iterable[Merge | Damaged], failed: Iterable[Damaged], deleted: int, sizes: list[int]
) -> CompactReport:
    items = list(found)
    merges = [item for item in items if isinstance(item, Merge)]
    damaged = [*(item for item in items if isinstance(item, Damaged)), *failed]
    return CompactReport(
        partitions=len({item.partition for item in merges}),
        before=sum(len(item.files) for item in merges),
        after=len(merges),
        rows=sum(item.rows for item in merges),
        bytes_before=sum(item.size for item in merges),
        bytes_after=sum(sizes),
        deleted=deleted,
        set_aside=tuple(
            SetAside(
                kind=InputKind.TELEMETRY,
                source=item.path.name,
                place=item.path.parent.name,
                reason=f"not merged: {item.reason}",
                hint="where the file is damaged, delete it and load its source again",
                payload=b"",
            )
            for item in damaged
        ),
    )


def retain(
    root: Path, first: date, *, dry_run: bool = False, lock_timeout: float = LOCK_TIMEOUT
) -> tuple[Expired, ...]:
    """Delete every day before ``first`` (UTC), by the time of the events; the days that it deletes.

    A day of a channel goes in one step: killed in the middle, whole days are gone and the others
    are whole.

    Raises:
        TransientError: Another writer did not end in time.
    """
    if dry_run:
        return tuple(_expired(root, found) for found in _before(root, first))
    with telling_of_space(), writing(root, lock_timeout):
        clear(root)
        gone = []
        trash = trash_folder(root)
        for number, partition in enumerate(_before(root, first)):
            gone.append(_expired(root, partition))
            trash.mkdir(parents=True, exist_ok=True)
            partition.folder(root).rename(trash / str(number))
        clear(root)
        return tuple(gone)


def _before(root: Path, first: date) -> list[Partition]:
    return [partition for partition in partitions(root) if partition.day < first]


def _expired(root: Path, partition: Partition) -> Expired:
    held = files(root, partition)
    folder = partition.folder(root)
    return Expired(
        channel=unquote(partition.channel),
        day=partition.day,
        files=len(held),
        events=sum(_rows(path) for path in held),
        size=sum(path.stat().st_size for path in folder.iterdir()),
    )


def _rows(path: Path) -> int:
    try:
        rows: int = pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError):
        return 0  # a damaged file goes as well
    return rows
