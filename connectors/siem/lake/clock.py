"""Recorded times in UTC: what a collector wrote, and how far off it was.

Some collectors write local wall clock, even with a Z behind it. Sysmon puts the true UTC time into
its own events (UtcTime), so the constant offset of a recording can be measured from them.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

STEP = 900_000_000
"""Zones are offsets of whole quarters of an hour, in microseconds."""

MAX_OFFSET = 26 * 3_600_000_000
"""Farther than any zone and a 12-hour clock can put a time off, in microseconds."""

SLACK = 180_000_000
"""Farthest a Sysmon event's recorded time trails its UtcTime, in microseconds."""

SAMPLES_A_HOST = 64
AGREEMENT = 2 / 3
"""Share of the samples that must name the same offset for it to be believed."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DOTNET_DATE = re.compile(r"/Date\((-?\d{1,15})\)/")
_EPOCH_TEXT = re.compile(r"(?:\d{9,10}|\d{13}|\d{16})(?:\.\d{1,9})?", re.ASCII)
_LONGEST_TIME = 40


def parse_time(value: object) -> tuple[int, bool]:
    """Microseconds since 1970 and whether the text named a zone; without one, as if UTC.

    Raises:
        ValueError: It is no time.
    """
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _parse_number(float(value)), True
    raise ValueError("no time")


def _parse_text(text: str) -> tuple[int, bool]:
    if len(text) > _LONGEST_TIME:
        raise ValueError("too long for a time")
    text = text.strip().removesuffix(" UTC")
    if match := _DOTNET_DATE.fullmatch(text):
        return _parse_number(float(match[1]) / 1000), True
    # First: the digits of a number may also read as a date and time without separators.
    if text[:9].isdecimal() and _EPOCH_TEXT.fullmatch(text):
        return _parse_number(float(text)), True
    moment = datetime.fromisoformat(text)
    zone = moment.tzinfo is not None
    delta = (moment if zone else moment.replace(tzinfo=UTC)) - _EPOCH
    return delta // _MICROSECOND, zone


def _parse_number(number: float) -> int:
    for unit, limit in ((1_000_000, 1e11), (1_000, 1e14), (1, 1e17)):
        if 0 <= number < limit:
            return int(number * unit)
    raise ValueError("no time")


@dataclass(frozen=True, slots=True)
class Clock:
    """Offsets of one recording.

    Attributes:
        hosts: Host to the microseconds that must be added to its recorded times.
        common: The same for hosts that said nothing themselves; None where nothing is known.
    """

    hosts: Mapping[str, int] = field(default_factory=dict)
    common: int | None = None

    def correct(self, host: str, recorded: int, hint: int | None) -> tuple[int, str]:
        """The time in UTC and how it was got: "utc", "corrected +5.0h" or "assumed utc"."""
        offset = self.hosts.get(host, self.common)
        if offset is None:
            offset = hint
        if offset is None:
            return recorded, "assumed utc"
        return recorded + offset, describe_offset(offset)


def describe_offset(offset: int) -> str:
    """``utc`` for none, else as ``corrected +5.0h``."""
    if offset == 0:
        return "utc"
    hours = f"{offset / 3_600_000_000:+.2f}"
    return f"corrected {hours.removesuffix('0')}h"


def zone_of(utc: int, local: int) -> int | None:
    """The whole quarters of an hour between two clocks that show the same moment."""
    difference = utc - local
    offset = round(difference / STEP) * STEP
    if abs(difference - offset) > SLACK or abs(offset) > MAX_OFFSET:
        return None
    return offset


class ClockSamples:
    """Measurements of a recording's offset, at most ``SAMPLES_A_HOST`` a host."""

    def __init__(self) -> None:
        self._hosts: dict[str, Counter[int]] = defaultdict(Counter)

    def wants(self, host: str) -> bool:
        """Whether more samples of this host are of use."""
        return self._hosts[host].total() < SAMPLES_A_HOST if host in self._hosts else True

    def add(self, host: str, offset: int) -> None:
        """Record one measured offset."""
        self._hosts[host][offset] += 1

    def clock(self) -> Clock:
        """The offsets that the samples agree on."""
        hosts = {
            host: offset
            for host, counts in self._hosts.items()
            if (offset := _agreed(counts.items())) is not None
        }
        together: Counter[int] = Counter()
        for counts in self._hosts.values():
            together.update(counts)
        return Clock(hosts, _agreed(together.items()))


def _agreed(counts: Iterable[tuple[int, int]]) -> int | None:
    pairs = sorted(counts, key=lambda pair: -pair[1])
    total = sum(count for _, count in pairs)
    return pairs[0][0] if pairs and pairs[0][1] >= total * AGREEMENT else None
