"""Running the shares of a load: here, or in a few other processes where that is worth it."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path

from huntonce.connectors.siem.lake.plan import JOB_BYTES, Job
from huntonce.connectors.siem.lake.staging import Share, stage

WORTH_BYTES = 2 * JOB_BYTES
"""Size of a load from which other processes are started."""

_MAX_WORKERS = 4


def run(work: Iterable[Job], staging: Path, size: int) -> Iterator[tuple[Job, Share]]:
    """Each job with what it made, in their order; at most a few are ahead of the reader."""
    workers = min(os.cpu_count() or 1, _MAX_WORKERS)
    numbered = ((job, staging / str(number)) for number, job in enumerate(work))
    if workers < 2 or size < WORTH_BYTES or multiprocessing.current_process().daemon:  # noqa: PLR2004 - one worker is no pool
        yield from ((job, stage(job.pieces, folder)) for job, folder in numbered)
    else:
        yield from _pooled(numbered, workers)


def _pooled(numbered: Iterator[tuple[Job, Path]], workers: int) -> Iterator[tuple[Job, Share]]:
    # Not fork: Arrow and DuckDB run threads here, whose locks a forked child would inherit.
    context = multiprocessing.get_context("spawn")
    pending: deque[tuple[Job, Path, Future[Share]]] = deque()
    with ProcessPoolExecutor(workers, context, initializer=_die_with_parent) as pool:
        for job, folder in numbered:
            pending.append((job, folder, pool.submit(stage, job.pieces, folder)))
            if len(pending) > workers:
                yield _collect(*pending.popleft())
        while pending:
            yield _collect(*pending.popleft())


def _collect(job: Job, folder: Path, future: "Future[Share]") -> tuple[Job, Share]:
    try:
        return job, future.result()
    except BrokenProcessPool:
        # A worker was killed (memory, a signal): do its job here instead.
        return job, stage(job.pieces, folder.with_name(f"{folder.name}-again"))


def _die_with_parent() -> None:
    """End a worker whose parent was killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
