"""The lake's files by the classes of events in them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from huntonce.connectors.siem.lake.layout import day_window, files, partitions
from huntonce.connectors.siem.lake.statistics import ClassRun
from huntonce.models.windows import Window


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A file of the lake.

    Attributes:
        id: Number in the sweep's state.
        name: Channel folder, day and file name: the same events have the same name.
        channel: The channel's folder name (lower case, quoted).
        first: Time of its first event, microseconds since 1970 UTC.
        last: Time of its last event.
    """

    id: int
    name: str
    path: Path
    channel: str
    first: int
    last: int
    ordered: bool
    runs: tuple[ClassRun, ...]

    @property
    def rows(self) -> int:
        """Number of events."""
        return sum(run.rows for run in self.runs)


@dataclass(frozen=True, slots=True)
class EventClass:
    """Events of one channel and id, and the columns in which some of them has a value."""

    channel: str
    event_id: int
    columns: tuple[str, ...]
    events: int


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that is there: its name for the state, where it is, its channel folder."""

    name: str
    path: Path
    channel: str


def found_files(root: Path, window: Window | None) -> Iterator[FoundFile]:
    """Every finished file of the days that a window touches, in order."""
    for partition in partitions(root):
        if window is not None and day_window(partition.day).overlap(window) is None:
            continue
        prefix = f"{partition.channel}/{partition.day.isoformat()}"
        for path in files(root, partition):
            yield FoundFile(f"{prefix}/{path.name}", path, partition.channel)


def event_classes(held: Iterable[LakeFile]) -> dict[tuple[str, int], EventClass]:
    """The classes of some files, by channel folder and event id."""
    columns: dict[tuple[str, int], dict[str, None]] = {}
    events: dict[tuple[str, int], int] = {}
    layouts: set[tuple[str, int, int]] = set()
    for file in held:
        for run in file.runs:
            key = (file.channel, run.event_id)
            events[key] = events.get(key, 0) + run.rows
            # Files of one layout share one tuple of names: each is looked at once.
            layout = (*key, id(run.columns))
            if layout not in layouts:
                layouts.add(layout)
                columns.setdefault(key, {}).update(dict.fromkeys(run.columns))
    return {
        key: EventClass(key[0], key[1], tuple(sorted(names)), events[key])
        for key, names in columns.items()
    }


def channel_name(folder: str) -> str:
    """A channel's name in lower case, from its folder's name, for people to read."""
    return unquote(folder)
