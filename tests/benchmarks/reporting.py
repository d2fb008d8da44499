"""What a year of programme costs: ``python -m tests.benchmarks.reporting``.

A history of 2,000 hypotheses, 500 gaps, 300 detections and 60 cases is written through the
repositories once; then each command runs in a process of its own over it. Figures are medians of
processor time and wall time; the exit code is 1 where the report takes more than the limit.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from huntonce.models.state.store import open_store, sqlite_url
from tests.support.history import History
from tests.support.history_plan import Moving, Size

COMMANDS = (("report",), ("metrics", "--json"), ("explain", "T1003.001"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hypotheses", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=float, default=5.0, help="processor seconds of a report")
    parser.add_argument("--home", type=Path, help="keeps the history for another time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        if not (home / "huntonce.db").exists():
            size = Size(
                hypotheses=options.hypotheses,
                gaps=options.hypotheses // 4,
                detections=options.hypotheses * 3 // 20,
                cases=options.hypotheses * 3 // 100,
            )
            sys.stdout.write(f"written in {write(home, size):.1f} s\n")
        costs = {command[0]: run(home, command, options.runs) for command in COMMANDS}
    return 0 if costs["report"] <= options.limit else 1


def write(home: Path, size: Size) -> float:
    """Seconds that it took to write a history into a home."""
    home.mkdir(parents=True, exist_ok=True)
    clock, begun = Moving(), time.perf_counter()
    with open_store(sqlite_url(home / "huntonce.db"), clock=clock) as store:
        History(clock, size).write(store)
    return time.perf_counter() - begun


def run(home: Path, command: tuple[str, ...], runs: int) -> float:
    """Print what a command costs; its median processor time."""
    walls, cpus = [], []
    for _ in range(runs):
        used, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "huntonce.cli", *command, "--home", str(home)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        walls.append(time.perf_counter() - begun)
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    sys.stdout.write(f"{' '.join(command):<24} {wall:6.2f} s wall {cpu:6.2f} s cpu\n")
    return cpu


if __name__ == "__main__":
    sys.exit(main())
