"""Opening a home for a flow run, and what its tasks share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.utilities.annotations import quote

from huntonce.flows.blocks import connectors_of
from huntonce.flows.bootstrap import Home
from huntonce.flows.runtime import is_transient

DEFAULT_HOME = ".huntonce"
T = TypeVar("T")


@contextmanager
def open_home(path: str | None) -> Iterator[Home]:
    """The home at a path, else the one that HUNTONCE_HOME names, else .huntonce."""
    home = Home(
        path=Path(path or os.environ.get("HUNTONCE_HOME", DEFAULT_HOME)), elsewhere=connectors_of
    )
    try:
        yield home
    finally:
        home.close()


def opaque(value: T) -> T:
    """A task's argument that Prefect hands on without looking into it.

    Prefect searches arguments for futures; a large result has none, and the search is slow.
    """
    return cast("T", quote(value))


def only_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry condition of every task: only what may go better next time."""
    try:
        state.result()
    except Exception as error:  # noqa: BLE001 - whatever the task raised is being asked about
        return is_transient(error)
    return False
