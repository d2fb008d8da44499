"""The story of a run, told stage by stage while it happens, to whoever listens."""

from collections.abc import Callable, Iterator, Sequence
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
        brief: What a short telling says in place of the lines; None: the lines themselves.
        about: The technique that the step is about, where it is about one.
    """

    stage: str
    lines: tuple[str, ...]
    numbers: dict[str, object]
    brief: tuple[str, ...] | None = None
    about: str = ""


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


def tell(
    stage: str,
    *lines: str,
    brief: Sequence[str] | None = None,
    about: str = "",
    **numbers: object,
) -> Told:
    """Tell one step of the story; ``brief`` and ``about`` as in ``Told``."""
    short = None if brief is None else tuple(brief)
    told = Told(stage=stage, lines=lines, numbers=numbers, brief=short, about=about)
    listener = _LISTENER.get()
    if listener is not None:
        listener(told)
    return told
