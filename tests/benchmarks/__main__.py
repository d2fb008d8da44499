"""``python -m tests.benchmarks``: what the sweep costs, and how that grows.

Method: every figure comes from a process of its own, so that its processor time and its peak
memory are those of that one thing; figures are medians over ``--runs`` (3) such processes. Events
are those of the generated lab at several sizes, loaded by the ordinary loader; rules are SigmaHQ's,
from the shared data. "Cold" has neither compiled rules nor plans nor state, "warm" has plans but
has searched nothing, "nothing new" repeats a finished sweep. The DuckDB peer is the best plain-SQL
formulation: up to 25 predicates a scan, over the files of the rule's channel only, counting matches
(which costs it less than naming them); it runs once.
"""

import argparse
import tempfile
from pathlib import Path

from tests.benchmarks import labs, sweeps
from tests.support.shared import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--sizes", default="250000,1000000", help="events, with commas")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, help="keeps the lakes for another time")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--parts", default="rules,lakes,growth,files", help="what to measure")
    parser.add_argument("--rsigma", type=Path, help="its program, to run beside")
    parser.add_argument("--duckdb-events", type=int, default=300_000, help="run DuckDB up to here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        lakes = [labs.lake(work, int(size)) for size in options.sizes.split(",")]
        sweeps.run(
            sweeps.Setting(
                work, options.data, options.runs, options.rsigma, options.duckdb_events,
                options.parts,
            ),
            lakes,
        )  # fmt: skip


if __name__ == "__main__":
    main()
