"""All rows of a query, a window at a time, however many there are.

The service gives no pages: a query's answer has to fit. So the rows are counted by time first, and
windows with no more than a page of them are fetched one after the other. A window that is too much
or too slow all the same is halved, and the reading goes on from where it stood.
"""

from collections.abc import Generator, Iterator
from datetime import timedelta
from typing import Any

from huntonce.connectors.siem.sentinel.kql import TIME, inside, moment
from huntonce.connectors.siem.sentinel.shapes import time_of
from huntonce.connectors.siem.sentinel.workspace import TooMuchError, TooSlowError, Workspace
from huntonce.models.errors import TerminalError, UnsupportedError
from huntonce.models.windows import Window

BINS = 500
"""Most parts of a window that are counted at once."""

SHORTEST = timedelta(minutes=1)
"""A window that is too slow although no longer than this is given up."""

_MOMENT = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)

Row = dict[str, Any]


class Reader:
    """Reads what a query finds.

    Args:
        workspace: Where.
        subject: What is read for, for messages.
    """

    def __init__(self, workspace: Workspace, subject: str) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self._subject = subject
        self._seen = 0

    def ask(self, head: str, window: Window, *rest: str) -> list[Row]:
        """The answer to a query over a window: table, window, then the other operators."""
        table, *tests = head.split("\n")
        query = "\n| ".join((table, f"where {inside(window)}", *tests, *rest))
        # The service's interval only helps it to find the data: the query says it exactly.
        start, end = (window.start - _SECOND, window.end + _SECOND)
        return self._workspace.query(query, f"{start.isoformat()}/{end.isoformat()}")

    def pages(self, head: str, window: Window, last: str) -> Generator[list[Row]]:
        """The rows in the window, oldest windows first, about a page of them at once.

        Raises:
            UnsupportedError: They are more than was agreed.
            TooMuchError: One microsecond alone has more than an answer may hold.
            TooSlowError: Even the shortest window takes too long.
            TransientError, TerminalError: As ``Workspace.query``.
        """
        for part, count in self._windows(head, window):
            self._seen += count
            if self._seen > self._settings.max_examined:
                raise UnsupportedError(
                    f"{self._subject}: more than {self._settings.max_examined} events"
                    " would have to be read",
                    connector=self._workspace.name,
                    hint="ask for a shorter window, or raise max_examined in the settings",
                )
            yield from self._fetched(head, part, last)

    def _fetched(self, head: str, window: Window, last: str) -> Iterator[list[Row]]:
        todo = [window]
        while todo:
            part = todo.pop()
            try:
                rows = self.ask(head, part, last)
            except TooMuchError:
                todo += _halves(part, _MOMENT)
                if len(todo) == 0 or part.end - part.start <= _MOMENT:
                    raise
                continue
            except TooSlowError:
                if part.end - part.start <= SHORTEST:
                    raise
                todo += _halves(part, SHORTEST)
                continue
            yield rows

    def _windows(self, head: str, window: Window) -> Iterator[tuple[Window, int]]:
        """Windows that have rows, in order, each with a page of them at most where it can be."""
        todo = [window]
        while todo:
            part = todo.pop()
            try:
                bins = self._counted(head, part)
            except TooSlowError:
                if part.end - part.start <= SHORTEST:
                    raise
                todo += _halves(part, SHORTEST)
                continue
            groups = _grouped(bins, self._settings.page_size)
            for at, (group, count) in enumerate(groups):
                if count <= self._settings.page_size or group.end - group.start <= _MOMENT:
                    yield group, count
                else:
                    todo += reversed([later for later, _ in groups[at:]])
                    break

    def _counted(self, head: str, window: Window) -> list[tuple[Window, int]]:
        length = max(1, (window.end - window.start) // _MOMENT)
        step = max(1, -(-length // BINS))
        start = f"bin_at({TIME}, {step}microsecond, {moment(window.start)})"
        found = self.ask(head, window, f"summarize events = count() by start = {start}")
        bins: list[tuple[Window, int]] = []
        for row in found:
            begin = max(time_of(row["start"]), window.start)
            end = min(begin + step * _MOMENT, window.end)
            if begin >= end:
                raise TerminalError(
                    "the service counted events outside of the window",
                    connector=self._workspace.name,
                )
            bins.append((Window(begin, end), int(row["events"])))
        return sorted(bins, key=lambda one: one[0].start)


def _grouped(bins: list[tuple[Window, int]], size: int) -> list[tuple[Window, int]]:
    """Neighbouring bins together, as long as they are a page at most."""
    groups: list[tuple[Window, int]] = []
    for window, count in bins:
        if groups and groups[-1][1] + count <= size:
            before, known = groups[-1]
            groups[-1] = (Window(before.start, window.end), known + count)
        else:
            groups.append((window, count))
    return groups


def _halves(window: Window, shortest: timedelta) -> list[Window]:
    """The two halves, the later one first: what is taken from the end is read first."""
    middle = window.start + max((window.end - window.start) // 2, min(shortest, _MOMENT))
    if middle >= window.end:
        return [window]
    return [Window(middle, window.end), Window(window.start, middle)]
