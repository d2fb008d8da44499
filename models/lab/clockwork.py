"""Chance and time: seeded dice, local clocks, and the rhythm of a working day."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import TypeVar
from zoneinfo import ZoneInfo

T = TypeVar("T")

ZONE_NAME = "Europe/Berlin"
ZONE = ZoneInfo(ZONE_NAME)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SATURDAY = 5
LUNCH_LENGTH = 45 * MINUTE


def dice(*parts: object) -> Random:
    """A source of chance that depends on the parts alone."""
    return Random("|".join(map(str, parts)))  # noqa: S311 - a lab, not a secret


def micros(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    """The moment of ``micros``."""
    return EPOCH + timedelta(microseconds=at)


def day_start(day: date) -> int:
    """Midnight UTC of a day, in microseconds."""
    return micros(datetime.combine(day, time(), UTC))


def at_local(day: date, hour: float) -> int:
    """A local wall-clock hour (13.5 is half past one) of a day, in microseconds."""
    seconds = round(hour * 3600)
    wall = datetime.combine(day, time()) + timedelta(seconds=seconds)
    return micros(wall.replace(tzinfo=ZONE).astimezone(UTC))


def local_text(at: int) -> str:
    """Local wall time as task definitions write it: 2026-11-12T02:45:00."""
    return moment(at).astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:%S")


def is_working_day(day: date) -> bool:
    """Monday to Friday."""
    return day.weekday() < SATURDAY


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of the items; quicker than ``rng.choice``."""
    return items[int(rng.random() * len(items))]


def some(rng: Random, mean: float) -> int:
    """A count around a mean, a third more or less."""
    return math.floor(mean * (0.67 + 0.66 * rng.random()) + rng.random())


@dataclass(frozen=True, slots=True)
class Presence:
    """When somebody is at the desk, and when lunch starts, in microseconds."""

    arrives: int
    leaves: int
    lunch: int

    def moment(self, rng: Random) -> int:
        """A moment of the day at work; few over lunch."""
        span = self.leaves - self.arrives
        at = self.arrives + int(rng.random() * span)
        if 0 <= at - self.lunch < LUNCH_LENGTH:
            at = self.arrives + int(rng.random() * span)
        return at


def presence(rng: Random, day: date, early: bool) -> Presence | None:
    """Somebody's day at work; None on days off. ``early``: shift work from six on."""
    if not is_working_day(day):
        if day.weekday() != SATURDAY or rng.random() > (0.3 if early else 0.05):
            return None
    elif rng.random() < 0.1:  # noqa: PLR2004 - holidays, travel, illness
        return None
    first = rng.gauss(5.9, 0.15) if early else rng.gauss(8.0, 0.7)
    first = min(max(first, 5.25), 10.5)
    length = min(max(rng.gauss(8.0 if early else 8.7, 0.5), 4.0), 10.5)
    lunch = at_local(day, first + 3.8)
    return Presence(at_local(day, first), at_local(day, first + length), lunch)
