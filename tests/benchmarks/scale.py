"""``python -m tests.benchmarks.scale [HUNTS] [WORKERS,...]``: hunts a minute by number of workers.

Each figure is a cluster of its own (tests/support/cluster.py): empty databases on the PostgreSQL of
HUNTONCE_TEST_POSTGRES, or on one that is started for it, a new Prefect server, and N workers of two
runs each. The clock runs from the workers' start to the last hunt's end, so that what Prefect and a
process a run cost is in it. No worker is killed: tests/e2e/test_scale_out.py does that.
"""

# ruff: noqa: T201 - the measures are the output
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.support import postgres
from tests.support.cluster import cluster, outcomes
from tests.support.serving import wait_for
from tests.support.stores import SERVER

HUNTS = 200
RUNS = 2
SECONDS_A_HUNT = 60.0


def measure(server: str, hunts: int, workers: int) -> tuple[float, float]:
    """Seconds in which so many workers conclude so many hunts, and the processor seconds spent.

    These are of the workers, of all that they ran, and of Prefect's server from the start of the
    first worker on; not of PostgreSQL.
    """
    with tempfile.TemporaryDirectory() as folder, cluster(server, Path(folder)) as made:
        made.queue(hunts)
        made.served.start("plan-hunts", most=hunts)
        before = made.spent()
        made.work(1, runs=RUNS)
        queued = wait_for(lambda: len(made.served.runs("hunt")) >= min(hunts, 5), "the queue")
        made.work(workers - 1, runs=RUNS)
        seconds = made.drain(hunts, hunts * SECONDS_A_HUNT) if queued else 0.0
        spent = made.spent() - before
        done = Counter(run.hypothesis_key for run in outcomes(made.store)["hunts"])
    if set(done.values()) != {1} or len(done) != hunts:
        sys.exit(f"not every hunt was concluded exactly once: {done.most_common(3)}")
    return seconds, spent


def main(arguments: list[str]) -> None:
    """Measure and print."""
    hunts = int(arguments[0]) if arguments else HUNTS
    numbers = [int(n) for n in (arguments[1] if len(arguments) > 1 else "1,2,3").split(",")]
    ours = SERVER not in os.environ and not postgres.RECORD.exists()
    server = os.environ.get(SERVER) or postgres.start()
    try:
        print(f"{hunts} hunts, {RUNS} runs a worker, {os.cpu_count()} processors")
        for workers in numbers:
            seconds, spent = measure(server, hunts, workers)
            told = f"{seconds:6.0f} s, {hunts / seconds * 60:6.1f} hunts a minute"
            told += f", {spent / hunts:5.1f} processor seconds a hunt"
            print(f"{workers} workers: {told}, load {os.getloadavg()[0]:.1f}", flush=True)
    finally:
        if ours:
            postgres.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
