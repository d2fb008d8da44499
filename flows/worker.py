"""The worker of ``huntonce serve``: Prefect's process worker, which starts a run's engine at once.

``python -m huntonce.flows.worker [--name NAME] [--limit RUNS]`` in an environment that names a
server. Prefect's own worker first starts a process that finds out where a run's code is, which
imports Prefect, and then becomes the engine, which imports it again: some three seconds of
processor time a run. Here code is what is installed beside the worker, so there is nothing to
find. That is each worker's own to say: said in the deployments, it would name this machine's
interpreter to workers on others.
"""

import argparse
import asyncio
import shlex
import signal
import sys
from contextlib import suppress
from typing import Self

from prefect.workers.process import ProcessJobConfiguration, ProcessWorker
from pydantic import model_validator

from huntonce.flows.runtime import POOL


class AtOnce(ProcessJobConfiguration):
    """How a run is started; a command that its deployment or pool names stays."""

    @model_validator(mode="after")
    def _engine(self) -> Self:
        if self.command is None:
            self.command = shlex.join([sys.executable, "-m", "prefect.engine"])
        return self


async def work(name: str | None, limit: int | None) -> None:
    """Carry the runs of Huntonce's pool until a signal ends it."""
    worker = ProcessWorker(work_pool_name=POOL, name=name, limit=limit)
    # On the worker, not in a class of its own: that would replace Prefect's in its registry.
    worker.job_configuration = AtOnce
    working = asyncio.ensure_future(worker.start())
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, working.cancel)
    with suppress(asyncio.CancelledError):
        await working


def options() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(prog="python -m huntonce.flows.worker")
    parser.add_argument("--name", help="its name on Prefect's pages")
    parser.add_argument("--limit", type=int, help="runs that it carries at a time")
    return parser


if __name__ == "__main__":
    given = options().parse_args()
    asyncio.run(work(given.name, given.limit))
