"""The plan of a generated history: what is to happen when, on a clock of its own."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

from huntonce.models.attack import load_catalogue
from huntonce.models.detection import Certificate, DetectionState
from huntonce.models.gap import GapKind
from huntonce.models.keeping import UnitOfWork
from huntonce.models.visibility import GroupPower, Power

START = datetime(2025, 11, 1, 8, tzinfo=UTC)
DAYS = 365
POPULATION = 980
HOSTS = tuple(f"PC-{n:04}" for n in range(POPULATION))
FEEDS = ("isac", "vendor-a", "vendor-b", "government", "own", "open-source")
ACTORS = tuple(f"{a} {b}" for a in ("AMBER", "COPPER", "SALT", "IRON") for b in ("HERON", "FOX"))
OWNERS = ("windows-platform", "network", "cloud", "identity", "")
FLOOR = 0.8
KINDS = (GapKind.NO_SOURCE, GapKind.PARTIAL_POPULATION, GapKind.MISSING_FIELD, GapKind.LAG)
OF = {"actor": "history", "why": "a year of it"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much happens in the year; hypotheses are hunted about once, a third of them twice."""

    hypotheses: int = 2000
    gaps: int = 500
    detections: int = 300
    cases: int = 60


@dataclass
class Moving:
    """A clock that the history sets."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


class Plan:
    """A queue of acts by time; seeded, so that the same numbers give the same history."""

    def __init__(self, clock: Moving, size: Size | None = None, seed: int = 1) -> None:
        self.clock, self.size = clock, size or Size()
        self.dice = random.Random(seed)  # noqa: S311 - nothing secret is drawn
        self.plan: list[tuple[datetime, int, Callable[[UnitOfWork], None]]] = []
        self._order = count()
        self.keys: list[str] = []
        catalogue = load_catalogue()
        self.techniques = [t for t in catalogue.active if "Windows" in t.platforms]

    def at(self, moment: datetime, act: Callable[[UnitOfWork], None]) -> None:
        if moment < START + timedelta(days=DAYS):
            heapq.heappush(self.plan, (moment, next(self._order), act))

    def later(self, least: float, mean: float, act: Callable[[UnitOfWork], None]) -> None:
        days = least + self.dice.expovariate(1 / mean)
        self.at(self.clock.now + timedelta(days=days), act)

    def moment(self, first: float = 0, early: float = 0.0) -> datetime:
        """Some time of the year; a share of them in its first fortnight."""
        span = 14 if self.dice.random() < early else DAYS
        return START + timedelta(days=first + self.dice.random() * (span - first * (span > first)))

    def key(self) -> str:
        return self.dice.choice(self.keys)


def power_of(value: float) -> Power:
    seen = round(POPULATION * value)
    return Power(
        value=value,
        population=POPULATION,
        seen=seen,
        hours=336,
        groups=tuple(
            GroupPower(name=name, required=True, value=value, hosts=seen, atoms=("Security 4688",))
            for name in ("creation", "actor")
        ),
        blind=HOSTS[seen:],
        weakest="creation",
        words=f"{seen} of {POPULATION} hosts ({value:.1%})",
    )


def certificate_of(rate: float) -> Certificate:
    return Certificate(
        rule_sha256="0" * 64,
        fixtures=(),
        fired=5,
        expected=5,
        benign_hits=0,
        benign_events=2000,
        days=30.0,
        alerts_a_day=rate,
        interval=(0.0, rate * 2 + 0.1),
        hosts=3,
        top_share=0.4,
        branches=(("selection", 5),),
        siems=(),
        holds=True,
        allows=DetectionState.STABLE,
    )
