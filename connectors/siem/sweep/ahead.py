"""Making the next thing in a thread while the one before is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Protocol, TypeVar


class _Closes(Protocol):
    @property
    def close(self) -> Callable[[], None]: ...


Work = TypeVar("Work")
Made = TypeVar("Made", bound=_Closes)


def one_ahead(work: Iterable[Work], make: Callable[[Work], Made]) -> Iterator[tuple[Work, Made]]:
    """Each piece of work with what was made of it, in order; closed when the next is asked for.

    ``make`` runs in another thread, at most one piece ahead of the reader, so that two of the
    things are there at a time. What it raises is raised here, in its turn.
    """
    left: deque[tuple[Work, Future[Made]]] = deque()
    with ThreadPoolExecutor(1) as thread:
        try:
            for item in work:
                left.append((item, thread.submit(make, item)))
                if len(left) > 1:
                    yield from _used(*left.popleft())
            while left:
                yield from _used(*left.popleft())
        finally:
            for _, future in left:
                _close(future)


def _used(item: Work, future: Future[Made]) -> Iterator[tuple[Work, Made]]:
    with closing(future.result()) as made:
        yield item, made


def _close(future: Future[Made]) -> None:
    """Close what was made ahead and nobody came to use."""
    if not future.cancel() and future.exception() is None:
        future.result().close()
