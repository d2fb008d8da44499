"""Disturb the loop at many points and compare where it ends with a run that nobody disturbed.

Each trial: everything is put back to where it stood before a job, the job is started in a process
of its own and disturbed, it is started again until it ends, and the whole end state is compared.
Disturbed is: killed at a crossing (a commit, a request, a file that gets its name) or after a
random time, a full disk, misbehaving servers, a locked store, two at once, a clock set back.
"""

import json
import logging
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.aging import RELEASED, age
from tests.chaos.faults import ORDERS, ended_server, locked, lost
from tests.chaos.site import Site, end_state

JOBS = ("look", "learn", "mend", "close")
LAPSED = 1.0
"""Hours between an end and the next start: longer than any claim lasts."""
BACK = -48.0
"""Hours by which the clock is set back."""
TIMEOUT = 300.0
TWO, CLOCK, LOCK = "two at once", "clock set back", "locked store"
LONG = "store locked for longer than it waits"
LOST = "store not there for a while"
SERVER = "PostgreSQL ended and started again"
UPGRADES = {f"killed, then upgraded from {revision}": revision for revision in RELEASED}
OTHERS = (*ORDERS, TWO, CLOCK, LOCK, LONG, LOST, *UPGRADES)
PATIENCE = 0.5
"""Seconds that a job waits for the store where it is locked for longer."""
MIDST = 0.5
"""Share of the usual time after which the store goes, or the upgrade comes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One disturbance of one job.

    Attributes:
        crossing: Where it is killed, from 1.
        share: After which share of its usual time it is killed.
        full: From which crossing on the disk is full.
        fault: One of ``OTHERS``.
    """

    job: str
    crossing: int = 0
    share: float = 0.0
    full: int = 0
    fault: str = ""

    @property
    def name(self) -> str:
        """Its name in the ledger."""
        if self.crossing:
            return f"{self.job}: kill at {self.crossing}"
        if self.full:
            return f"{self.job}: full disk from {self.full}"
        return f"{self.job}: {self.fault or f'kill after {self.share:.3f}'}"

    @property
    def kills(self) -> bool:
        """Whether it is a kill."""
        return bool(self.crossing or self.share)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended.

    Attributes:
        ended: Exit code of the disturbed process; -9 where it was killed.
        at: Name of the crossing.
        wrong: Parts of the end state that differ: what was to be, what is.
    """

    trial: Trial
    ended: int
    at: str
    wrong: dict[str, Any]
    seconds: float

    @property
    def happened(self) -> bool:
        """Whether it was disturbed as planned: a process may end before its kill."""
        return self.ended == -signal.SIGKILL if self.trial.kills else True


class Campaign:
    """A site whose undisturbed course is known, ready for trials."""

    def __init__(self, base: Path, server: str = "") -> None:
        """Start the servers; call ``course`` before the first trial.

        ``server`` is the address of a PostgreSQL for the store; without it is in a file.
        """
        self.site = Site(base, server=server)
        self.sound: dict[str, dict[str, Any]] = {}
        self.crossings: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}
        self._fresh = multiprocessing.get_context("forkserver")
        self._fresh.set_forkserver_preload(["tests.chaos.jobs"])

    def course(self, jobs: Sequence[str] = JOBS) -> None:
        """Do the jobs one after the other undisturbed, and remember where each began and ended.

        Raises:
            RuntimeError: One of them fails undisturbed.
        """
        self.site.build()
        for job in jobs:
            if job == "learn":
                self.site.close_cases()
            self.site.keep(f"before-{job}")
            crossed = self.site.base / f"{job}.json"
            with self.site.taxii():
                began = time.monotonic()
                _ended(self._start(job, crossed=crossed))
                self.seconds[job] = time.monotonic() - began
            self.crossings[job] = json.loads(crossed.read_text())
            self.sound[job] = end_state(self.site)

    def run(self, trial: Trial) -> Outcome:
        """Carry out one trial.

        Raises:
            RuntimeError: The job does not end when it is started again undisturbed.
        """
        began = time.monotonic()
        self.site.put_back(f"before-{trial.job}")
        with self.site.taxii():
            ended = self._disturbed(trial)
            self.site.behave()
            _ended(self._start(trial.job, later=LAPSED))
        at = self.place(trial)
        found, sound = end_state(self.site), self.sound[trial.job]
        wrong = {part: [sound[part], found[part]] for part in sound if sound[part] != found[part]}
        return Outcome(trial, ended, at, wrong, time.monotonic() - began)

    def place(self, trial: Trial) -> str:
        """Name of the crossing of a trial; "" where it has none."""
        number = trial.crossing or trial.full
        names = self.crossings[trial.job]
        return names[number - 1] if 0 < number <= len(names) else ""

    def _disturbed(self, trial: Trial) -> int:
        """Exit code of the first process."""
        if trial.fault in ORDERS:
            ORDERS[trial.fault](self.site)
        share = MIDST if trial.fault in UPGRADES else trial.share
        with self._meanwhile(trial):
            later = BACK if trial.fault == CLOCK else 0.0
            process = self._start(
                trial.job,
                later=later,
                die_at=trial.crossing,
                full_at=trial.full,
                patience=PATIENCE if trial.fault == LONG else 0.0,
            )
            if share:
                process.join(share * self.seconds[trial.job])
                if process.is_alive():
                    os.kill(process.pid or 0, signal.SIGKILL)
            other = self._start(trial.job) if trial.fault == TWO else None
            process.join(TIMEOUT)
            if other is not None:
                other.join(TIMEOUT)
        if trial.fault in UPGRADES:
            age(self.site.store, UPGRADES[trial.fault])
        ended: int = process.exitcode if process.exitcode is not None else 1
        return ended

    def _meanwhile(self, trial: Trial) -> AbstractContextManager[None]:
        """What goes on beside the job."""
        after = MIDST * self.seconds[trial.job]
        match trial.fault:
            case fault if fault == LOCK:
                return locked(self.site)
            case fault if fault == LONG:
                return locked(self.site, TIMEOUT)
            case fault if fault == LOST:
                return lost(self.site, after)
            case fault if fault == SERVER:
                return ended_server(after)
        return nullcontext()

    def _start(self, job: str, **orders: Any) -> Any:
        process = self._fresh.Process(target=_work, args=(self.site.base, job, orders))
        process.start()
        return process

    def close(self) -> None:
        """Stop the servers."""
        self.site.close()


def _ended(process: Any) -> None:
    process.join(TIMEOUT)
    if process.exitcode != 0:
        process.kill()
        raise RuntimeError(f"undisturbed it ended with {process.exitcode}")


def _work(base: Path, job: str, orders: dict[str, Any]) -> None:
    from tests.chaos.jobs import Orders, main  # noqa: PLC0415 - Prefect reads its settings once

    main(base, job, Orders(**orders))


def every_crossing(campaign: Campaign, seed: int) -> list[Trial]:
    """A kill for each crossing of each job, rare kinds of crossing first, then shuffled."""
    dice = random.Random(seed)  # noqa: S311 - an order, no secret
    first: list[Trial] = []
    rest: list[Trial] = []
    for job, names in campaign.crossings.items():
        seen: set[str] = set()
        for number, name in enumerate(names, 1):
            (rest if name in seen else first).append(Trial(job, crossing=number))
            seen.add(name)
    dice.shuffle(rest)
    return first + rest


def at_random(campaign: Campaign, count: int, seed: int) -> list[Trial]:
    """Kills after random times of random jobs."""
    dice = random.Random(seed)  # noqa: S311 - moments, no secret
    jobs = sorted(campaign.crossings)
    return [
        Trial(dice.choice(jobs), share=round(dice.uniform(0.02, 0.95), 3)) for _ in range(count)
    ]


def others(campaign: Campaign) -> list[Trial]:
    """Every other fault in every job that it may harm, and full disks."""
    if campaign.site.server:
        return [Trial(job, fault=SERVER) for job in campaign.crossings]
    found = [
        Trial(job, fault=fault)
        for job in campaign.crossings
        for fault in OTHERS
        # The first job makes the store, and a feed's first page has no earlier one to repeat.
        if not (job == "look" and fault in {LOCK, LONG, CLOCK})
    ]
    for job, names in campaign.crossings.items():
        writes = [
            n for n, name in enumerate(names, 1) if name in {"before commit", "before replace"}
        ]
        found += [Trial(job, full=number) for number in writes[:: max(1, len(writes) // 5)]]
    return found


@contextmanager
def quiet_server(base: Path) -> Iterator[None]:
    """A Prefect server of our own that this process and its children talk to, without a word."""
    from huntonce.flows.runtime import prefect_server  # noqa: PLC0415 - sets the environment first

    with prefect_server(base / "orchestrator") as server:
        os.environ.update(server.environment())
        os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server.ready()
        yield


@contextmanager
def campaign_at(base: Path, server: str = "") -> Iterator[Campaign]:
    """A campaign with a Prefect server of its own for the flows."""
    with quiet_server(base):
        campaign = Campaign(base / "site", server)
        try:
            yield campaign
        finally:
            campaign.close()
