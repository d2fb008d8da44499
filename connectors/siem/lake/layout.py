"""Where the lake keeps its files.

``root/events/v1/channel=<name>/day=YYYY-MM-DD/<hash>.parquet``; files are written beside them in
``.staging`` and moved in whole, so that a reader sees all of a file or nothing of it. Small files
are merged, see ``merges``; what is deleted goes through ``.trash``.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

from huntonce.connectors.siem.lake.merges import DATA, counted
from huntonce.models.query import TIME
from huntonce.models.windows import Window

UID = "@uid"
TIME_COLUMN = "@time"
HOST = "@host"
CHANNEL = "@channel"
EVENT_ID = "@event_id"
RECORD_ID = "@record_id"
RAW = "@raw"

META: tuple[tuple[str, pa.DataType], ...] = (
    (UID, pa.string()),
    (TIME_COLUMN, TIME),
    ("@time_note", pa.string()),
    ("@ingested", TIME),
    (HOST, pa.string()),
    ("@computer", pa.string()),
    (CHANNEL, pa.string()),
    ("@provider", pa.string()),
    (EVENT_ID, pa.int64()),
    (RECORD_ID, pa.int64()),
    ("@source", pa.string()),
    (RAW, pa.string()),
)
"""The lake's own columns; every other column is a field of the events, as text. No field starts
with an @, so the two cannot clash."""

_VERSION = "v1"
_MAX_NAME = 120
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One channel's events of one day (UTC).

    Attributes:
        channel: The channel's folder name, see ``channel_folder``.
    """

    channel: str
    day: date

    def folder(self, root: Path) -> Path:
        """Where its files are."""
        # One join: a year of many channels is thousands of partitions, listed at each question.
        return events_folder(root).joinpath(f"channel={self.channel}", f"day={self.day}")


@lru_cache(maxsize=64)
def events_folder(root: Path) -> Path:
    """The folder of all partitions."""
    return root / "events" / _VERSION


def staging_folder(root: Path) -> Path:
    """Where files are made; on the same file system, so that moving one in is atomic."""
    return events_folder(root) / ".staging"


def trash_folder(root: Path) -> Path:
    """Where partitions go that are being deleted; nothing reads there."""
    return events_folder(root) / ".trash"


def writer_lock(root: Path) -> Path:
    """Held by whoever changes the events: one at a time."""
    return root / ".writer.lock"


@lru_cache(maxsize=4_096)
def channel_folder(channel: str) -> str:
    """A name for a channel that is safe on every file system, the same for any case of it."""
    name = quote(channel.lower(), safe=" ")
    if len(name) > _MAX_NAME:
        name = f"{name[: _MAX_NAME - 17]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return name


@lru_cache(maxsize=4_096)
def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)


def day_of(microseconds: int) -> date:
    """The day (UTC) of a time in microseconds since 1970.

    Raises:
        OverflowError: It lies outside the years 1 to 9999.
    """
    return _day(microseconds // _DAY)


def content_name(uids: Iterable[str]) -> str:
    """A file's name, made of the events in it: the same events make the same file."""
    joined = "\n".join(sorted(uids)).encode()
    return hashlib.sha256(joined).hexdigest()[:32] + DATA


def partitions(root: Path, channel_name: str | None = None) -> list[Partition]:
    """Every partition there is, or those of one channel folder, in order."""
    found: list[Partition] = []
    top = events_folder(root)
    channels = (
        _folders(top, "channel=") if channel_name is None else [top / f"channel={channel_name}"]
    )
    for channel in channels:
        for day in _folders(channel, "day="):
            try:
                parsed = date.fromisoformat(day.name.removeprefix("day="))
            except ValueError:
                continue
            found.append(Partition(channel.name.removeprefix("channel="), parsed))
    return sorted(found)


def files(root: Path, partition: Partition) -> list[Path]:
    """The finished files of a partition that count, in the order of their names.

    Raises:
        TransientError: What a merged file replaces cannot be read.
    """
    folder = partition.folder(root)
    return [folder / name for name in counted(folder)]


def file_names(root: Path, partition: Partition) -> list[str]:
    """The names of ``files``: in a partition they tell its content.

    Raises:
        TransientError: As ``files``.
    """
    return counted(partition.folder(root))


def _folders(parent: Path, prefix: str) -> Iterator[Path]:
    try:
        entries = list(os.scandir(parent))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
            yield parent / entry.name


def days_touched(window: Window) -> tuple[date, date]:
    """First and last day (UTC) that a window touches."""
    last = window.end.astimezone(UTC) - timedelta(microseconds=1)
    return window.start.astimezone(UTC).date(), last.date()


def day_window(day: date) -> Window:
    """The whole day."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Window(start, start + timedelta(days=1))
