"""``python -m tests.benchmarks.overhead``: what Prefect adds to the work of a loop.

Method: the same due hypotheses over the same lake are hunted twice, each time in a new home and a
process of its own. "straight" calls the stages one after another; "flow" is a run of the loop's
deployment in a process as a worker starts it (``python -m prefect.engine``), with its logs sent to
a Prefect server on loopback. Processor seconds are of the whole process, imports included; those of
the server are apart, from before the run was made to ``SETTLE`` seconds after it ended, less what
the idle server takes in that time. The server is started and the deployments are registered once,
which counts for neither.

Two sizes give two parts: what a turn of the loop costs once, and what each hunt adds.
"""

# ruff: noqa: PLC0415 - imports are part of what a child is measured by
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks import labs
from tests.support.cluster import processor_seconds
from tests.support.serving import Served

if TYPE_CHECKING:
    from huntonce.models.hypothesis import Hypothesis
    from huntonce.models.stages.kit import Kit

SETTLE = 5.0
WHOLE = 500
"""Hypotheses of the loop that the goal speaks of."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run: processor seconds of its process and of the server, and wall seconds."""

    own: float
    server: float
    wall: float


def straight(path: Path) -> int:
    """What the loop does, by its stages; how many hunts that were."""
    from huntonce.flows.bootstrap import Home
    from huntonce.flows.reporting import write_report
    from huntonce.models.case import Case
    from huntonce.models.stages.close import sync_desks
    from huntonce.models.stages.collect import collect
    from huntonce.models.stages.dispatch import dispatch
    from huntonce.models.stages.guard import run_detections
    from huntonce.models.stages.guarding import watch_detections
    from huntonce.models.stages.hypothesise import hypothesise
    from huntonce.models.stages.learn import plan_case, plan_ruled_out, unplanned
    from huntonce.models.stages.operate import abandon_dead
    from huntonce.models.stages.sending import send_publications
    from huntonce.models.stages.watch import verify_gaps

    opened: Home = Home(path=path)
    kit, outlets = opened.kit(), opened.outlets()
    abandon_dead(kit)
    for source in opened.sources():
        collect(source, kit.open_unit, kit.clock)
    made = hypothesise(kit)
    verify_gaps(kit)
    watch_detections(kit)
    dispatch(kit)
    run_detections(kit)
    hunted = _hunt(kit, made.hypotheses)
    dispatch(kit)
    sync_desks(kit)
    for subject in (one for several in unplanned(kit, outlets) for one in several):
        (plan_case if isinstance(subject, Case) else plan_ruled_out)(kit, subject, outlets)
    send_publications(kit, outlets)
    write_report(opened)
    opened.close()
    return hunted


def _hunt(kit: "Kit", hypotheses: "tuple[Hypothesis, ...]") -> int:
    from huntonce.models.stages.choosing import models_for
    from huntonce.models.stages.operate import (
        default_window,
        finish,
        look_for,
        start,
        to_hunt,
        to_its_end,
    )
    from huntonce.models.stages.proof import Probes

    window = default_window(kit)
    asked: dict[Any, dict[str, None]] = {}
    for hypothesis in hypotheses:
        answer = to_hunt(kit, hypothesis, window)
        for span in answer.windows if answer else ():
            asked.setdefault(span, {})[hypothesis.technique_id] = None
    probes = Probes(kit)
    for span, techniques in asked.items():
        probes.together(tuple(models_for(kit, techniques).values()), span)
    hunted = 0
    for hypothesis in hypotheses:
        answer = to_hunt(kit, hypothesis, window)
        for span in answer.windows if answer else ():
            run, sight, gaps = start(kit, hypothesis, span, answer, once=True, probes=probes)
            with to_its_end(kit, run):
                finish(kit, run, look_for(kit, hypothesis, sight, gaps))
            hunted += 1
    return hunted


def _fresh(work: Path, lab: labs.LabLake, count: int) -> Path:
    """A home with a lake of its own (linked files) and so many due hypotheses."""
    from huntonce.models.state.engine import sqlite_url
    from huntonce.models.state.store import open_store
    from tests.support.cluster import store_due

    home = Path(tempfile.mkdtemp(dir=work, prefix="home-"))
    shutil.copytree(lab.root, home / "lake", copy_function=os.link)
    with open_store(sqlite_url(home / "huntonce.db")) as store:
        store_due(store, count)
    return home


def _hunted(home: Path) -> int:
    from huntonce.models.hunt import HuntState
    from huntonce.models.state.engine import sqlite_url
    from huntonce.models.state.store import open_store

    with open_store(sqlite_url(home / "huntonce.db")) as store, store.unit() as unit:
        return len(unit.hunts.list(HuntState.CONCLUDED))


def _child(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Processor and wall seconds of a process with its own children."""
    before, began = os.times(), time.monotonic()
    with tempfile.TemporaryFile() as said:
        code = subprocess.run(
            command, env=environment, stdout=said, stderr=said, check=False
        ).returncode
        if code:
            said.seek(0)
            sys.exit(said.read().decode(errors="replace")[-3000:])
    after = os.times()
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system, time.monotonic() - began


def by_stages(home: Path) -> Cost:
    """Measure the stages."""
    command = [sys.executable, "-m", "tests.benchmarks.overhead", "--one", str(home)]
    own, wall = _child(command, dict(os.environ))
    return Cost(own, 0.0, wall)


def by_flow(home: Path, served: Served, server: int, environment: dict[str, str]) -> Cost:
    """Measure the flow."""
    before, began = processor_seconds(server), time.monotonic()
    time.sleep(SETTLE)
    idle = (processor_seconds(server) - before) / (time.monotonic() - began)
    before, began = processor_seconds(server), time.monotonic()
    run = served.start("loop", home=str(home))
    own, wall = _child(
        [sys.executable, "-m", "prefect.engine"], {**environment, "PREFECT__FLOW_RUN_ID": run}
    )
    state = served.state(run)
    if state["type"] != "COMPLETED":
        sys.exit(f"the loop ended as {state['name']}: {state['message']}")
    time.sleep(SETTLE)
    spent = processor_seconds(server) - before - idle * (time.monotonic() - began)
    return Cost(own, spent, wall)


def measure(work: Path, lab: labs.LabLake, counts: list[int]) -> dict[int, tuple[Cost, Cost]]:
    """By number of hypotheses: what the stages cost, and what the flow does."""
    from huntonce.flows.runtime import prefect_server
    from huntonce.flows.serving import register

    found = {}
    base = Path(tempfile.mkdtemp(dir=work, prefix="server-"))
    with prefect_server(base) as server:
        server.ready()
        environment = server.environment()
        register(environment, base, ["lake"])
        served = Served(base, server.ui_url)
        process = server._process
        if process is None:
            sys.exit("the server ended")
        for count in counts:
            costs = []
            for way in ("straight", "flow"):
                home = _fresh(work, lab, count)
                cost = (
                    by_stages(home)
                    if way == "straight"
                    else by_flow(home, served, process.pid, environment)
                )
                costs.append(cost)
                hunted = _hunted(home)
                shutil.rmtree(home)
                if hunted != count:
                    sys.exit(f"{way}: {hunted} of {count} hypotheses were hunted")
                print(  # noqa: T201 - the measures are the output
                    f"{count:>4} hunts, {way:<8}: {cost.own:7.2f} s processor, {cost.server:6.2f} s"
                    f" of the server, {cost.wall:7.2f} s wall; load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
            found[count] = (costs[0], costs[1])
    return found


def parts(found: dict[int, tuple[Cost, Cost]]) -> dict[str, float]:
    """Once and per hunt, of the work, of Prefect in the process, and of the server."""
    (few, (work_few, flow_few)), *_, (many, (work_many, flow_many)) = sorted(found.items())
    told = {}
    for name, low, high in (
        ("work", work_few.own, work_many.own),
        ("process", flow_few.own - work_few.own, flow_many.own - work_many.own),
        ("server", flow_few.server, flow_many.server),
    ):
        each = (high - low) / (many - few)
        told[f"{name} each"] = each
        told[f"{name} once"] = low - each * few
    return told


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        straight(Path(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.overhead")
    parser.add_argument("--events", type=int, default=1_000_000, help="of the lab")
    parser.add_argument("--counts", default="12,35", help="hypotheses: two numbers")
    parser.add_argument("--work", type=Path, help="keeps the lake for another time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        counts = [int(count) for count in options.counts.split(",")]
        found = measure(work, labs.lake(work, options.events), counts)
    told = parts(found)
    print(json.dumps({name: round(value, 3) for name, value in told.items()}))  # noqa: T201
    work_whole = told["work once"] + WHOLE * told["work each"]
    more = sum(told[f"{who} once"] + WHOLE * told[f"{who} each"] for who in ("process", "server"))
    print(  # noqa: T201
        f"{WHOLE} hunts by these parts: {work_whole:.0f} s of work, {more:.0f} s more with Prefect,"
        f" {more / (work_whole + more):.1%} of the whole"
    )


if __name__ == "__main__":
    main()
