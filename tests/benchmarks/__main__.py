"""``python -m tests.benchmarks``: what the sweep costs, and how that grows.

Method: every figure comes from a process of its own, so that its processor time and its peak
memory are those of that one thing; figures are medians over ``--runs`` (3) such processes. Events
are those of the generated lab at several sizes, loaded by the ordinary loader; rules are SigmaHQ's,
from the shared data. "Cold" has neither compiled rules nor plans nor state, "warm" has plans but
has searched nothing, "nothing new" repeats a finished sweep. The DuckDB peer is the best plain-SQL
formulation: up to 25 predicates a scan, over the files of the rule's channel only, counting matches
(which costs it less than naming them); it runs once.

Parts: rules, lakes, growth, files; and intake, which measures how fast intel is taken in (see
``intake``; it is not among the default parts). The exit code is 1 where intake does not keep its
bounds.
"""

import argparse
import gzip
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import intake, labs, sweeps
from tests.support.shared import ROOT

DEFAULT = "rules,lakes,growth,files"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--sizes", default="250000,1000000", help="events, with commas")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, help="keeps the lakes for another time")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--parts", default=DEFAULT, help="what to measure, with commas")
    parser.add_argument("--bundle", type=Path, help="STIX bundle for intake; default: ATT&CK's")
    parser.add_argument("--rsigma", type=Path, help="its program, to run beside")
    parser.add_argument("--duckdb-events", type=int, default=300_000, help="run DuckDB up to here")
    options = parser.parse_args()
    parts = options.parts.split(",")
    unknown = set(parts) - {*DEFAULT.split(","), "intake"}
    if unknown:
        parser.error(f"no part is named {', '.join(sorted(unknown))}")
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        if "intake" in parts:
            bundle = options.bundle or _bundle(options.data, work)
            if bundle is None:
                parser.error("no ATT&CK bundle was found below --data: give --bundle FILE")
            code = intake.main([str(bundle), "--rounds", str(options.runs)])
        if set(parts) != {"intake"}:
            _sweeps(options, work)
    return code


def _bundle(data: Path, work: Path) -> Path | None:
    """ATT&CK's bundle of the shared data, unpacked."""
    packed = sorted((data / "attack").glob("enterprise-attack-*.json.gz"))
    if not packed:
        return None
    work.mkdir(parents=True, exist_ok=True)
    unpacked = work / packed[-1].stem
    unpacked.write_bytes(gzip.decompress(packed[-1].read_bytes()))
    return unpacked


def _sweeps(options: argparse.Namespace, work: Path) -> None:
    needed = options.rsigma or {"lakes", "growth"} & set(options.parts.split(","))
    sizes = options.sizes.split(",") if needed else []
    lakes = [labs.lake(work, int(size)) for size in sizes]
    sweeps.run(
        sweeps.Setting(
            work, options.data, options.runs, options.rsigma, options.duckdb_events, options.parts
        ),
        lakes,
    )


if __name__ == "__main__":
    sys.exit(main())
