"""How fast intel is taken in.

    python tests/benchmarks/intake.py BUNDLE [--rounds 3]

Measures, each ``--rounds`` times and as the median:

- ``huntonce intel load BUNDLE`` into an empty SQLite home, as a process of its own: wall time and
  peak memory; then the same once more into the same home, and which rows that wrote;
- the same through the library with the file's hash forgotten, so that every object is read and
  checked again: what a TAXII pull of known objects costs without the network;
- checks alone (bytes to checked objects) against ``stix2.parse(allow_custom=True)`` on a sample.

The bounds are those that the project promises; the exit code is 1 where one is not kept.
"""

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import stix2

from huntonce.connectors.intel.batch import Intake
from huntonce.connectors.intel.bundles import MAX_BYTES, BundleFiles, read_bounded
from huntonce.connectors.intel.scan import scan
from huntonce.models.stages.collect import collect
from huntonce.models.state.store import open_store, sqlite_url, utcnow
from huntonce.models.tlp import Tlp

SAMPLE = 1_500
FIRST_SECONDS, SECOND_RATIO, PEAK_MIB = 5.0, 0.6, 600
# Parsing the JSON alone, with orjson, is about 30 times stix2.parse: that is the ceiling.
CHECK_RATIO = 5
TABLES = ("intel_object", "intel_feed_object", "intel_conflict", "intel_claim", "set_aside")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the intake.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    loads = [load_twice(given.bundle) for _ in range(given.rounds)]
    first = statistics.median(one[0] for one in loads)
    second = statistics.median(one[1] for one in loads)
    written = max(one[2] for one in loads)
    # Of all children so far: the largest.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    fresh, known = library(given.bundle, given.rounds)
    ours, theirs, parsing = checks(given.bundle, given.rounds)
    found = {
        "first load, s": (first, first <= FIRST_SECONDS),
        "second load, s": (second, True),
        "second / first": (second / first, second <= SECOND_RATIO * first),
        "rows written by the second": (written, written == 0),
        "peak memory, MiB": (peak, peak < PEAK_MIB),
        "library: first, s": (fresh, True),
        "library: all known, read again, s": (known, True),
        "library: known / first": (known / fresh, True),
        "orjson.loads alone, objects/s": (parsing, True),
        "checks, objects/s": (ours, True),
        "stix2.parse, objects/s": (theirs, True),
        "checks / stix2.parse": (ours / theirs, ours >= CHECK_RATIO * theirs),
    }
    for name, (value, kept) in found.items():
        print(f"{name:36} {value:12,.2f}{'' if kept else '   NOT KEPT'}")  # noqa: T201
    return 0 if all(kept for _, kept in found.values()) else 1


def load_twice(bundle: Path) -> tuple[float, float, int]:
    """Seconds of the first and second load, and rows that the second wrote."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "huntonce.cli", "intel", "load", str(bundle)]
        command += ["--home", folder, "--json"]
        times, rows = [], []
        for _ in range(2):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - start)
            rows.append(count(Path(folder) / "huntonce.db"))
    return times[0], times[1], rows[1] - rows[0]


def count(path: Path) -> int:
    """Rows of the tables of intel."""
    connection = sqlite3.connect(path)
    try:
        queries = [f"SELECT count(*) FROM {table}" for table in TABLES]  # noqa: S608 - our names
        return sum(connection.execute(query).fetchone()[0] for query in queries)
    finally:
        connection.close()


def library(bundle: Path, rounds: int) -> tuple[float, float]:
    """Median seconds of a load, and of another that does not know the file's hash."""
    first, again = [], []
    for _ in range(rounds):
        with (
            tempfile.TemporaryDirectory() as folder,
            open_store(sqlite_url(Path(folder) / "store.db")) as store,
        ):
            for times in (first, again):
                source = BundleFiles([bundle], default_tlp=Tlp.AMBER)
                start = time.perf_counter()
                collect(source, store.unit, utcnow)
                times.append(time.perf_counter() - start)
                with store.transaction() as connection:
                    connection.exec_driver_sql("DELETE FROM intel_delivery")
    return statistics.median(first), statistics.median(again)


def checks(bundle: Path, rounds: int) -> tuple[float, float, float]:
    """Objects a second: ours, python-stix2 over an even sample, and the JSON alone."""
    bodies = scan(read_bounded(bundle, MAX_BYTES)).objects
    sample = bodies[:: max(len(bodies) // SAMPLE, 1)]
    texts = [body.decode() for body in sample]

    def rate(work: Callable[[], object], number: int) -> float:
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return number / statistics.median(times)

    ours = rate(lambda: Intake("bench", Tlp.AMBER).take(bodies), len(bodies))
    theirs = rate(lambda: [_parse(text) for text in texts], len(texts))
    return ours, theirs, rate(lambda: [orjson.loads(body) for body in bodies], len(bodies))


def _parse(text: str) -> object:
    return stix2.parse(json.loads(text), allow_custom=True)


if __name__ == "__main__":
    sys.exit(main())
