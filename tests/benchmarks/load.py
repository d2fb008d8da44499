"""``python -m tests.benchmarks.load [--hosts 450 --noise 6 --minutes 20]``: days of a company.

``--keep 3`` lets retention delete all but the last days of the lake after each day, so that what
still grows is not the lake. ``--trace 5 25`` tells what Python holds more of after the second turn
named than after the first, by the line that asked for it (tracemalloc: slower, and its own memory
is in the resident one), and ends there.

Method: one process holds the home for the whole time, as a worker does. Day after day of the
generated company arrives in up to 24 parts; each is loaded, and after every sixth part the loop
turns once through its flow against a standing Prefect server, a TAXII server with new objects
before each turn and stand-ins of Jira and TheHive, whose people close each case. Days go on until
the time is up. For each turn it prints the events that came, seconds of loading and of the turn,
and the memory of the process (resident, MiB); at the end events a second of busy time and of
processor time, and how memory grew over the second half (least squares), so that what is only
filled once does not count.
"""

# ruff: noqa: T201 - the measures are the output
import argparse
import gc
import multiprocessing
import os
import time
import tracemalloc
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson
import pyarrow as pa

from huntonce.models.lab.company import LabSpec, build_company
from huntonce.models.lab.generate import host_days
from tests.chaos.campaign import quiet_server
from tests.chaos.site import FEED, Site

PARTS = 24
A_TURN = 6
"""Parts between two turns."""
FRESH = 40
"""New intel objects before each turn."""
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn and the loading before it; seconds of wall and of the processor.

    Attributes:
        resident: Memory of the process after it, MiB.
        arrow: Of that what Arrow's pool holds, MiB.
        objects: Python objects that the garbage collector knows.
        lake: Size of the lake's files, MiB.
    """

    events: int
    loading: float
    turning: float
    processor: float
    resident: float
    arrow: float = 0.0
    objects: int = 0
    lake: float = 0.0


def day_in_parts(spec: LabSpec, folder: Path) -> list[tuple[Path, int]]:
    """The files of a day, by hour, with the number of their events; a process of its own makes it.

    So that the memory of the generator is none of the one that is measured.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_make_day, (spec, folder))


def _make_day(spec: LabSpec, folder: Path) -> list[tuple[Path, int]]:
    made: list[tuple[Path, int]] = []
    lines: list[tuple[str, bytes]] = []
    for _day, events in host_days(build_company(spec)):
        for event in events:
            body = orjson.dumps(event.record(), option=orjson.OPT_APPEND_NEWLINE)
            lines.append((_hour(body), body))
    lines.sort(key=lambda line: line[0])
    for hour, group in groupby(lines, key=lambda line: line[0]):
        bodies = [body for _, body in group]
        path = folder / f"{hour.replace(':', '-')}.jsonl"
        path.write_bytes(b"".join(bodies))
        made.append((path, len(bodies)))
    return made


def _hour(body: bytes) -> str:
    at = body.index(b"SystemTime")
    start = body.index(b"20", at)
    return body[start : start + 13].decode()


def resident() -> float:
    """Memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def fresh_intel(number: int) -> list[bytes]:
    """Indicators that nobody has seen before."""
    now = datetime.now(UTC).replace(microsecond=0)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return [
        orjson.dumps(
            {
                "type": "indicator",
                "spec_version": "2.1",
                "id": f"indicator--{uuid.uuid4()}",
                "created": stamp,
                "modified": stamp,
                "name": f"host {number}-{place}",
                "pattern": f"[domain-name:value = 'c{number}-{place}.example']",
                "pattern_type": "stix",
                "valid_from": stamp,
                "valid_until": (now + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            }
        )
        for place in range(FRESH)
    ]


def days(first: LabSpec) -> Iterator[LabSpec]:
    """One day after the other; the intrusions are in the first."""
    spec = first
    while True:
        yield spec
        spec = spec.following(days=1)


def size(folder: Path) -> float:
    """Of all files in a folder, MiB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MIB


def forget(lake: Path, keep: int) -> None:
    """Retention as an operator orders it: all but the last days go."""
    from huntonce.connectors.siem.lake.lake import Lake  # noqa: PLC0415 - after the server
    from huntonce.connectors.siem.lake.upkeep import retain  # noqa: PLC0415 - as above

    held = Lake(lake).extent()
    if keep and held:
        retain(lake, (held.end - timedelta(days=keep)).date())


def run(
    site: Site, first: LabSpec, seconds: float, keep: int = 0, fresh: int = FRESH
) -> Iterator[Turn]:
    """Turns until the time is up; the last ``keep`` days stay in the lake, 0: all."""
    from huntonce.connectors.siem.lake.loader import load_paths  # noqa: PLC0415 - after the server
    from huntonce.flows.loop import loop  # noqa: PLC0415 - as above

    end = time.monotonic() + seconds
    number = 0
    with site.taxii() as server:
        for spec in days(first):
            loading = processor = 0.0
            events = 0
            folder = site.base / "inbox"
            folder.mkdir(exist_ok=True)
            for place, (path, count) in enumerate(day_in_parts(spec, folder), 1):
                began, before = time.monotonic(), time.process_time()
                load_paths(site.home / "lake", [path])
                loading += time.monotonic() - began
                processor += time.process_time() - before
                events += count
                path.unlink()
                if place % A_TURN:
                    continue
                number += 1
                server.seed(FEED, fresh_intel(number)[:fresh])
                began, before = time.monotonic(), time.process_time()
                loop(home=str(site.home))
                site.close_cases()
                processor += time.process_time() - before
                turning = time.monotonic() - began
                gc.collect()
                yield Turn(
                    events,
                    loading,
                    turning,
                    processor,
                    resident(),
                    pa.total_allocated_bytes() / MIB,
                    len(gc.get_objects()),
                    size(site.home / "lake"),
                )
                loading = processor = 0.0
                events = 0
                if time.monotonic() > end:
                    return
            forget(site.home / "lake", keep)


def report(turns: Sequence[Turn]) -> None:
    """The sums of all turns."""
    events = sum(turn.events for turn in turns)
    busy = sum(turn.loading + turn.turning for turn in turns)
    processor = sum(turn.processor for turn in turns)
    late = turns[len(turns) // 2 :]
    slope = float(np.polyfit(range(len(late)), [t.resident for t in late], 1)[0])
    print(
        f"{events:,} events, {len(turns)} turns, {busy:,.0f} s busy, {processor:,.0f} s processor:"
        f" {events / busy:,.0f} events a second busy, {events / processor:,.0f} of processor time;"
        f" memory {turns[0].resident:,.0f} MiB at first, {turns[-1].resident:,.0f} at last,"
        f" {slope:+.2f} MiB a turn in the second half"
    )


def traced(turns: Iterator[Turn], first: int, last: int) -> None:
    """What is held more after one turn than after another, the most first."""
    before = None
    for number, turn in enumerate(turns, 1):
        print(f"{number:4} {turn.resident:,.0f} MiB, {turn.objects:,} objects", flush=True)
        if number == first:
            tracemalloc.start(4)
        elif number == first + 1:
            # What the tracer missed is asked for once more by the turn after its start.
            before = tracemalloc.take_snapshot()
        elif number >= last and before:
            break
    else:
        return
    skip = [tracemalloc.Filter(inclusive=False, filename_pattern=tracemalloc.__file__)]
    after = tracemalloc.take_snapshot().filter_traces(skip)
    grown = after.compare_to(before.filter_traces(skip), "lineno")
    print(f"held more by {sum(one.size_diff for one in grown) / MIB:+.2f} MiB")
    for one in grown[:40]:
        print(f"{one.size_diff / 1024:+10.1f} KiB {one.count_diff:+8} {one.traceback}")
    for one in after.compare_to(before, "traceback")[:6]:
        print(f"{one.size_diff / 1024:+10.1f} KiB {one.count_diff:+8}")
        print("\n".join(one.traceback.format()))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=450)
    parser.add_argument("--noise", type=float, default=6.0)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--keep", type=int, default=0, help="days that stay in the lake; 0: all")
    parser.add_argument("--fresh", type=int, default=FRESH, help="new intel objects a turn")
    parser.add_argument("--trace", type=int, nargs=2, metavar=("FIRST", "LAST"), help="turns")
    given = parser.parse_args()
    first = replace(LabSpec(hosts=given.hosts, noise=given.noise), days=1)
    with TemporaryDirectory(prefix="huntonce-load-") as base, quiet_server(Path(base)):
        site = Site(Path(base) / "site")
        site.build(first)
        turns: list[Turn] = []
        going = run(site, first, given.minutes * 60, given.keep, given.fresh)
        if given.trace:
            traced(going, *given.trace)
            site.close()
            return
        print("turn    events  loading s  turn s  resident MiB    Arrow  objects  lake MiB")
        for turn in going:
            turns.append(turn)
            print(
                f"{len(turns):4} {turn.events:9,} {turn.loading:10.1f} {turn.turning:7.1f}"
                f" {turn.resident:13,.0f} {turn.arrow:8.1f} {turn.objects:8} {turn.lake:9.1f}",
                flush=True,
            )
        report(turns)
        site.close()


if __name__ == "__main__":
    main()
