"""Spans of time and the arithmetic that hunt-once needs: what of a window is still unseen."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from huntonce.models.errors import DomainError

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open span [start, end) in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise DomainError("a window needs times with a zone")
        if self.end <= self.start:
            raise DomainError(f"a window must end after it starts: {self.start} .. {self.end}")

    @property
    def hours(self) -> int:
        """Number of clock hours touched."""
        first = floor_hour(self.start)
        last = floor_hour(self.end - timedelta(microseconds=1))
        return int((last - first) / HOUR) + 1

    def contains(self, moment: datetime) -> bool:
        """Whether a moment lies in [start, end)."""
        return self.start <= moment < self.end

    def overlap(self, other: "Window") -> "Window | None":
        """The common part, if there is one."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None

    @override
    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} .. {self.end:%Y-%m-%d %H:%M} UTC"


def floor_hour(moment: datetime) -> datetime:
    """The start of the clock hour that a moment lies in."""
    return moment.replace(minute=0, second=0, microsecond=0)


def utc(moment: datetime) -> datetime:
    """The same moment in UTC; a naive one is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def merge(windows: Iterable[Window]) -> tuple[Window, ...]:
    """Sorted, disjoint windows that cover the same moments."""
    merged: list[Window] = []
    for window in sorted(windows):
        if merged and window.start <= merged[-1].end:
            merged[-1] = Window(merged[-1].start, max(merged[-1].end, window.end))
        else:
            merged.append(window)
    return tuple(merged)


def subtract(wanted: Window, seen: Iterable[Window]) -> tuple[Window, ...]:
    """The parts of ``wanted`` that no window of ``seen`` covers, in order."""
    left: list[Window] = []
    start = wanted.start
    for window in merge(seen):
        if window.end <= start:
            continue
        if window.start >= wanted.end:
            break
        if window.start > start:
            left.append(Window(start, window.start))
        start = max(start, window.end)
        if start >= wanted.end:
            return tuple(left)
    left.append(Window(start, wanted.end))
    return tuple(left)
