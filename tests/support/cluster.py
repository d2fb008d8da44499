"""Huntonce on more than one process: PostgreSQL for both stores, one Prefect server, N workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from huntonce.connectors.siem.labfiles import write_lab
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.flows.bootstrap import Home, now
from huntonce.flows.runtime import QUIET
from huntonce.models.hunt import HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, HypothesisState
from huntonce.models.lab.company import LabSpec, build_company
from huntonce.models.outbox import Message, MessageState
from huntonce.models.stages.dispatch import STALE_AFTER, dispatch
from huntonce.models.state.store import Store, open_store
from tests.support.kits import library
from tests.support.serving import ENDED, READY, Served, ask, free_port, wait_for
from tests.support.stores import postgresql_database

SILENT = 10
"""Seconds after which a worker that says nothing counts as gone."""
STUCK = 30
"""Seconds without a hunt's end after which plan-hunts is asked again."""
ROUTES = "a concluded hunt routes"
LEAN = 'import sys\n\nsys.modules["rfc3987_syntax"] = None\n'
"""The STIX validator of our tests brings a grammar that jsonschema, and so Prefect, compiles at
each start: a third of a run's start, which no installation of Huntonce has."""


def hypotheses(count: int) -> list[Hypothesis]:
    """So many that are due: of every technique that a Windows hunt is written for, and again.

    Beyond the techniques they differ by a parameter, which makes them hypotheses of their own:
    each is claimed, hunted and settled apart.
    """
    found = {t for hunt in library().hunts if hunt.scope == "windows" for t in hunt.techniques}
    techniques = sorted(found)
    made = []
    for place in range(count):
        turn, technique = divmod(place, len(techniques))
        made.append(
            Hypothesis(
                technique_id=techniques[technique],
                technique_name=techniques[technique],
                scope="windows",
                parameters=(f"part {turn + 1}",) if turn else (),
                statement=f"Somebody does {techniques[technique]} here (part {turn + 1}).",
                state=HypothesisState.READY,
                priority=round(0.9 - place / 10_000, 4),
            )
        )
    return made


@dataclass
class Cluster:
    """A home, its store, a server, and the workers that were started."""

    served: Served
    store: Store
    environment: dict[str, str]
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    killed: list[float] = field(default_factory=list)

    def work(self, count: int, *, runs: int = 1) -> None:
        """Start workers, each of which carries ``runs`` flow runs at a time."""
        for _ in range(count):
            name = f"worker-{len(self.workers) + 1}"
            command = [sys.executable, "-m", "huntonce.flows.worker"]
            command += ["--name", name, "--limit", str(runs)]
            self.workers.append(self._child(command, name))

    def _child(self, command: list[str], name: str) -> "subprocess.Popen[bytes]":
        own = {"PREFECT_HOME": str(self.served.home / name)}
        with (self.served.home / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                env={**self.environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, worker: "subprocess.Popen[bytes]") -> int:
        """Kill a worker as a machine that loses power would; how many runs it was carrying."""
        carried = descendants(worker.pid)
        for process in (worker.pid, *carried):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        worker.wait()
        self.killed.append(time.monotonic())
        return len(carried)

    def queue(self, count: int) -> None:
        """Store hypotheses that are due; plan-hunts asks for their hunts."""
        store_due(self.store, count)

    def hunts(self, state: HuntState) -> list[HuntRun]:
        with self.store.unit() as unit:
            return list(unit.hunts.list(state))

    def drain(self, count: int, within: float) -> float:
        """Wait until so many hunts are concluded; the seconds that took.

        Where nothing moves for a while, or only what killed workers had is missing, plan-hunts is
        asked again, as its schedule does.
        """
        began = moved = time.monotonic()
        seen = 0
        plan = ""
        while (done := len(self.hunts(HuntState.CONCLUDED))) < count:
            now = time.monotonic()
            if done > seen:
                seen, moved = done, now
            assert now - began < within, f"{done} of {count} hunts ended within {within:.0f} s"
            lost = sum(now - at > SILENT for at in self.killed)
            only_lost = not plan and count - done <= lost
            if only_lost or now - moved > STUCK:
                # A second one would wait for the first, and only take a worker's time.
                if not plan or self.served.state(plan)["type"] in ENDED:
                    plan = self.served.start("plan-hunts", most=count)
                moved = now
            time.sleep(0.2)
        return time.monotonic() - began

    def deliver(self) -> list[Message]:
        """Let what waits to leave arrive; every message and what became of it.

        A hunt is concluded before its tickets are sent: the living are given the time. What a
        killed one had claimed is sent by whoever sends next once the claim has lapsed, which here
        is a sender whose clock is that far ahead.
        """
        with suppress(pytest.fail.Exception):
            wait_for(lambda: not self._waiting(), "what was to leave", within=STUCK)
        if self._waiting():
            later = timedelta(seconds=STALE_AFTER + 1)
            home = Home(path=self.served.home, clock=lambda: now() + later)
            try:
                dispatch(home.kit())
            finally:
                home.close()
        with self.store.unit() as unit:
            return list(unit.outbox.list())

    def _waiting(self) -> list[Message]:
        with self.store.unit() as unit:
            return list(unit.outbox.list(MessageState.PENDING, MessageState.CLAIMED))

    def spent(self) -> float:
        """Processor seconds of the server, the workers that live, and all that they ran."""
        return sum(processor_seconds(w.pid) for w in self.workers if w.poll() is None)

    def close(self) -> None:
        """End what is still running."""
        for worker in self.workers:
            if worker.poll() is None:
                self.kill(worker)


def store_due(store: Store, count: int) -> None:
    """Store so many hypotheses that are due."""
    with store.unit() as unit:
        for one in hypotheses(count):
            unit.hypotheses.add(one, actor="test", why="to be hunted")
        unit.commit()


def descendants(pid: int) -> list[int]:
    """Processes below one, children first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def processor_seconds(pid: int) -> float:
    """Of a process and those below it, and of their children that have ended."""
    total = 0
    for each in (pid, *descendants(pid)):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(one) for one in fields[11:15])
    return total / os.sysconf("SC_CLK_TCK")


@contextmanager
def cluster(server: str, folder: Path, *, lean: bool = False) -> Iterator[Cluster]:
    """A cluster without workers over a small lab, on databases of its own; ends with the block.

    ``lean`` is for a test of hunts and nothing else: a concluded hunt starts no run of
    close-the-loop, which is a second process a hunt.
    """
    home = folder / "home"
    home.mkdir()
    company = build_company(LabSpec(hosts=20, days=2))
    load_paths(home / "lake", write_lab(company, folder / "lab").paths)
    with ExitStack() as stack:
        ours = stack.enter_context(postgresql_database(server))
        theirs = make_url(stack.enter_context(postgresql_database(server)))
        (home / "huntonce.toml").write_text(
            f'[store]\nurl = "{ours}"\n[policy]\nsilent_seconds = {SILENT}\n'
        )
        (home / "lean").mkdir()
        (home / "lean" / "sitecustomize.py").write_text(LEAN)
        store = stack.enter_context(open_store(ours))
        served = Served(home, f"http://127.0.0.1:{free_port()}")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "HUNTONCE_"))}
        environment = {
            **clean,
            **QUIET,
            "HUNTONCE_HOME": str(home),
            "PYTHONPATH": str(home / "lean"),
            "PREFECT_API_URL": served.api,
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        }
        made = Cluster(served, store, environment)
        stack.callback(made.close)
        made.environment["PREFECT_API_DATABASE_CONNECTION_URL"] = theirs.set(
            drivername="postgresql+asyncpg"
        ).render_as_string(hide_password=False)
        made.workers.append(_server(made))
        del made.environment["PREFECT_API_DATABASE_CONNECTION_URL"]
        _register(made)
        if lean:
            _pause(made, ROUTES)
        yield made


def _server(made: Cluster) -> "subprocess.Popen[bytes]":
    port = made.served.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui", "--port", port]
    process = made._child(command, "server")

    def answers() -> bool:
        assert process.poll() is None, (made.served.home / "server.log").read_text()
        with suppress(httpx.HTTPError):
            return httpx.get(f"{made.served.api}/health", timeout=2).is_success
        return False

    wait_for(answers, "the Prefect server", READY)
    return process


def _register(made: Cluster) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "huntonce.cli", "register"],
        env=made.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Three workers are to hunt at a time, beside a slot that a killed one holds for a while.
    address = f"{made.served.api}/v2/concurrency_limits/huntonce-siem-lake"
    ask("PATCH", address, {"limit": 8})


def _pause(made: Cluster, name: str) -> None:
    """Switch an automation of the deployments off."""
    found = ask("POST", f"{made.served.api}/automations/filter", {})
    (one,) = [each for each in found if each["name"].endswith(name)]
    ask("PATCH", f"{made.served.api}/automations/{one['id']}", {"enabled": False})


def outcomes(store: Store) -> dict[str, list[Any]]:
    """What hunts left in a store."""
    with store.unit() as unit:
        return {
            "hunts": list(unit.hunts.list(HuntState.CONCLUDED)),
            "findings": list(unit.findings.list()),
            "gaps": list(unit.gaps.list()),
            "detections": list(unit.detections.list()),
            "cases": list(unit.cases.list()),
        }
