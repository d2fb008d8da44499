"""A run's story as its page, for whoever looks at the run instead of its logs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect.artifacts import create_markdown_artifact

from huntonce.flows.story import Told, overhearing
from huntonce.models.report.markdown import steps_page

Note = Callable[..., None]
NOTHING = ("Nothing", ("There was nothing to do.",))


@contextmanager
def told_as_page(key: str, title: str) -> Iterator[Note]:
    """What flows tell within the block becomes the run's page, also where it ends in an error.

    The block gets a function that notes a stage's lines on the page alone: those who listen to
    the story (a command, the demo) say the same in their own words.

    Args:
        key: Name of the page among those of all runs: small letters, digits and dashes.
        title: Its heading.
    """
    told: list[Told] = []

    def note(stage: str, *lines: str) -> None:
        told.append(Told(stage=stage, lines=lines, numbers={}))

    try:
        with overhearing(told.append):
            yield note
    except Exception:
        if told:  # what came before the fault was done
            _write(key, title, told)
        raise
    _write(key, title, told)


def _write(key: str, title: str, told: list[Told]) -> None:
    steps = [(step.stage, step.lines) for step in told if step.lines] or [NOTHING]
    create_markdown_artifact(key=key, markdown=steps_page(title, steps), description=steps[0][1][0])
