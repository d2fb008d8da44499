"""The story of a run, told stage by stage while it happens, to whoever listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One step of the story.

    Attributes:
        stage: Name of the stage ("Intel").
        lines: What happened, most important first.
        numbers: The same for programs.
    """

    stage: str
    lines: tuple[str, ...]
    numbers: dict[str, object]


Listener = Callable[[Told], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within the block, what flows tell goes to the listener too."""
    mark = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(mark)


@contextmanager
def overhearing(listener: Listener) -> Iterator[None]:
    """Within the block one more listens, beside whoever does already."""
    first = _LISTENER.get()

    def both(told: Told) -> None:
        listener(told)
        if first is not None:
            first(told)

    with listening(both):
        yield


def tell(stage: str, *lines: str, **numbers: object) -> Told:
    """Tell one step of the story."""
    told = Told(stage=stage, lines=lines, numbers=numbers)
    listener = _LISTENER.get()
    if listener is not None:
        listener(told)
    return told
