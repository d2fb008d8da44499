"""Opening a home for a flow run, and what its tasks share."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.utilities.annotations import quote
from typing_extensions import override

from huntonce.flows.blockreading import connectors_of
from huntonce.flows.bootstrap import Home
from huntonce.flows.runtime import is_transient
from huntonce.models.errors import HuntonceError

DEFAULT_HOME = ".huntonce"
RETRIES, RETRY_AFTER = 2, 5.0
"""How often what may pass is tried again, and after how many seconds."""
T = TypeVar("T")


class _Expected(logging.Filter):
    """Takes the traceback from what Prefect logs of an expected fault: its words say it all."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HuntonceError):
            record.exc_info = record.exc_text = None
        return True


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_Expected())


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


def again(work: Callable[[], T]) -> T:
    """What ``work`` gives; tried again as a task is, for work that is no task of its own."""
    for _ in range(RETRIES):
        try:
            return work()
        except HuntonceError as error:
            if not is_transient(error):
                raise
        time.sleep(RETRY_AFTER)
    return work()
