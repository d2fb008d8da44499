"""What a correlation measures over the hits in a time span, kept up while the span moves on."""

import math
import re
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from typing_extensions import override

_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\s*", re.ASCII)
_LONGEST = 64


class Hit(Protocol):
    """What a tally looks at of a hit."""

    @property
    def rule(self) -> str:
        """The rule or correlation that hit."""

    @property
    def uid(self) -> str:
        """Of the event."""

    @property
    def counted(self) -> tuple[str | None, ...]:
        """The values of the counted fields."""


class Tally(Protocol):
    """A measure of some hits."""

    def add(self, hit: Hit) -> None:
        """Take a hit in."""

    def remove(self, hit: Hit) -> None:
        """Leave a hit out that was taken in before."""

    def value(self) -> float | Fraction | None:
        """The measure; None where there is nothing to measure."""


@dataclass(slots=True)
class Distinct:
    """How many different keys the hits have; hits without one do not count."""

    key: Callable[[Hit], Hashable | None]
    counts: Counter[Hashable] = field(default_factory=Counter)

    def add(self, hit: Hit) -> None:
        """Take a hit in."""
        key = self.key(hit)
        if key is not None:
            self.counts[key] += 1

    def remove(self, hit: Hit) -> None:
        """Leave a hit out."""
        key = self.key(hit)
        if key is not None:
            self.counts[key] -= 1
            if not self.counts[key]:
                del self.counts[key]

    def value(self) -> float:
        """The number of keys."""
        return len(self.counts)


@dataclass(slots=True)
class _Numbers(ABC):
    """The numbers in a field, of an event that several rules hit once."""

    counts: Counter[tuple[str, float]] = field(default_factory=Counter)

    def add(self, hit: Hit) -> None:
        """Take a hit in."""
        found = number(hit.counted[0])
        if found is not None:
            self.counts[hit.uid, found] += 1
            if self.counts[hit.uid, found] == 1:
                self._take(found)

    def remove(self, hit: Hit) -> None:
        """Leave a hit out."""
        found = number(hit.counted[0])
        if found is not None:
            self.counts[hit.uid, found] -= 1
            if not self.counts[hit.uid, found]:
                del self.counts[hit.uid, found]
                self._leave(found)

    @abstractmethod
    def _take(self, found: float) -> None:
        """A number came in."""

    @abstractmethod
    def _leave(self, found: float) -> None:
        """A number went."""


@dataclass(slots=True, kw_only=True)
class Total(_Numbers):
    """Sum or mean of the numbers in a field, exactly."""

    mean: bool
    total: Fraction = Fraction()

    def value(self) -> Fraction | None:
        """The sum or mean."""
        if not self.counts:
            return None
        return self.total / len(self.counts) if self.mean else self.total

    @override
    def _take(self, found: float) -> None:
        self.total += Fraction(found)

    @override
    def _leave(self, found: float) -> None:
        self.total -= Fraction(found)


@dataclass(slots=True, kw_only=True)
class Rank(_Numbers):
    """A percentile of the numbers in a field; between two of them it is interpolated."""

    percent: float
    numbers: list[float] = field(default_factory=list)

    def value(self) -> Fraction | None:
        """The percentile."""
        if not self.numbers:
            return None
        place = Fraction(self.percent) / 100 * (len(self.numbers) - 1)
        low = math.floor(place)
        one = Fraction(self.numbers[low])
        if place == low:
            return one
        return one + (Fraction(self.numbers[low + 1]) - one) * (place - low)

    @override
    def _take(self, found: float) -> None:
        insort(self.numbers, found)

    @override
    def _leave(self, found: float) -> None:
        del self.numbers[bisect_left(self.numbers, found)]


def tally_of(kind: str, percentile: float | None) -> Tally:
    """The measure of a kind of correlation."""
    if kind == "event_count":
        return Distinct(lambda hit: hit.uid)
    if kind == "value_count":
        return Distinct(lambda hit: None if None in hit.counted else hit.counted)
    if kind in ("value_sum", "value_avg"):
        return Total(mean=kind == "value_avg")
    if kind in ("value_percentile", "value_median"):
        return Rank(percent=50.0 if percentile is None or kind == "value_median" else percentile)
    return Distinct(lambda hit: hit.rule)


def number(text: str | None) -> float | None:
    """A value as a number, as comparisons in rules take it; None where it is none."""
    if text is None or len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return None
    found = float(text)
    return found if math.isfinite(found) else None


def longest_chain(rules: Sequence[str], hits: Sequence[Hit]) -> list[int]:
    """The most hits that follow the order of the rules, each another event: their positions.

    Hits are in the order of time. Rules may be left out; of two chains as long, the one that is
    complete first.
    """
    ends: dict[int, list[int]] = {}  # position of its last rule to the earliest such chain
    at = 0
    while at < len(hits):
        same = at
        found: dict[int, list[int]] = {}
        while same < len(hits) and hits[same].uid == hits[at].uid:
            for place in (n for n, rule in enumerate(rules) if rule == hits[same].rule):
                before = max(
                    (chain for end, chain in ends.items() if end < place), key=len, default=[]
                )
                if len(before) + 1 > len(found.get(place, ends.get(place, []))):
                    found[place] = [*before, same]
            same += 1
        ends.update(found)
        at = same
    return max(ends.values(), key=lambda chain: (len(chain), -chain[-1]), default=[])


def rules_of(tally: Tally) -> frozenset[str]:
    """The rules that hit, of a tally of a temporal correlation."""
    counts: Mapping[Hashable, int] = tally.counts if isinstance(tally, Distinct) else {}
    return frozenset(str(rule) for rule in counts)
