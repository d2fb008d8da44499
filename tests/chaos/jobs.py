"""What is done, in a process that is killed: turns of the loop through its flow."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson
from prefect.settings import PREFECT_API_URL

from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.flows import bootstrap
from huntonce.flows.loop import loop
from huntonce.models.state import engine
from tests.chaos.crossings import Crossings, watch


def arrive(base: Path, folder: str) -> None:
    """Log files arrive, and the loop turns twice: what the first turn publishes, the second pulls.

    A job that was killed is done again, so it has one turn more than one that was not; after two
    turns there must be nothing left to do.
    """
    home = base / "home"
    load_paths(home / "lake", sorted((base / folder).glob("*.jsonl")))
    loop(home=str(home))
    loop(home=str(home))


JOBS: dict[str, str] = {"look": "lab", "learn": "nothing", "mend": "later-1", "close": "later-2"}
"""What arrives before the two turns of a job.

look: the first logs; all three outcomes. learn: nothing, but IR has closed the cases, and what it
learned leaves and comes back. mend: a day on which a gap's evidence arrives, a first passing probe.
close: another one; the gap closes, and what waited for it is hunted.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """How a job is to go.

    Attributes:
        later: Hours by which its clock is ahead: what a dead one claimed has lapsed.
        die_at: Number of the crossing at which it dies; 0: none.
        full_at: Number of the crossing from which on the disk is full; 0: none.
        patience: Seconds that it waits for a locked store; 0: as always.
        crossed: File for the names of all crossings.
    """

    later: float = 0.0
    die_at: int = 0
    full_at: int = 0
    patience: float = 0.0
    crossed: Path | None = None


def main(base: Path, job: str, orders: Orders) -> None:
    """Do a job of ``JOBS`` at a site as ordered."""

    def clock() -> datetime:
        return bootstrap.now() + timedelta(hours=orders.later)

    # Whoever opens a home takes this clock unless told otherwise.
    usual = bootstrap.Home.__init__.__kwdefaults__
    assert usual is not None
    usual["clock"] = clock
    if orders.patience:
        engine.WAIT_SECONDS = orders.patience  # type: ignore[assignment] - SQLite takes a part of one
    crossings = Crossings(orders.die_at, orders.full_at, ours=PREFECT_API_URL.value() or "")
    watch(crossings)
    logging.disable()
    arrive(base, JOBS[job])
    if orders.crossed:
        orders.crossed.write_bytes(orjson.dumps(crossings.names))
