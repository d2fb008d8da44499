"""Records: what numbers are computed from, and the spans of time that they are computed for."""

import bisect
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from huntonce.models.alert import Alert
from huntonce.models.case import Case
from huntonce.models.detection import Detection
from huntonce.models.entity import Kind
from huntonce.models.errors import DomainError
from huntonce.models.gap import Gap
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.publication import Publication
from huntonce.models.transition import Transition

PROMOTED = frozenset({"experimental", "test", "stable"})
"""States of a detection that is meant to stand guard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A span of time: later than ``start``, up to ``end``. None = from the first, to the last."""

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise DomainError("a period ends after it starts", hint="swap --since and --until")

    def has(self, at: datetime | None) -> bool:
        """Whether a moment lies in it."""
        return at is not None and (self.start is None or self.start < at) and self.over(at)

    def over(self, at: datetime) -> bool:
        """Whether a moment had come by its end."""
        return self.end is None or at <= self.end

    def before(self) -> "Period | None":
        """The span of the same length just before; None for one without start and end."""
        if self.start is None or self.end is None:
            return None
        return Period(start=self.start - (self.end - self.start), end=self.start)


EVER = Period()


@dataclass(frozen=True, kw_only=True)
class Records:
    """All that is counted: the transition log, and the things as they stand.

    Attributes:
        now: The moment at which the things stand as they do.
    """

    log: Sequence[Transition]
    now: datetime
    hypotheses: Sequence[Hypothesis] = ()
    hunts: Sequence[HuntRun] = ()
    gaps: Sequence[Gap] = ()
    detections: Sequence[Detection] = ()
    cases: Sequence[Case] = ()
    publications: Sequence[Publication] = ()
    alerts: Sequence[Alert] = ()

    @cached_property
    def lives(self) -> Mapping[str, Mapping[str, Sequence[Transition]]]:
        """Kind, then subject, to the rows of its life in order."""
        lives: dict[str, dict[str, list[Transition]]] = defaultdict(lambda: defaultdict(list))
        for row in self.log:
            lives[row.kind][row.subject].append(row)
        return lives

    def of(self, kind: Kind) -> Mapping[str, Sequence[Transition]]:
        """The lives of one kind of thing."""
        return self.lives.get(kind, {})

    def born(self, kind: Kind, subject: str) -> datetime | None:
        """When a thing was first recorded."""
        life = self.of(kind).get(subject)
        return life[0].at if life else None

    @cached_property
    def concluded(self) -> Sequence[tuple[datetime, HuntRun]]:
        """Hunts with a verdict and when they came to it, in order of that time."""
        ended = [(self._ended(run), run) for run in self.hunts if run.verdict is not None]
        return sorted(ended, key=lambda pair: pair[0])

    def last_hunts(self, period: Period) -> Mapping[str, HuntRun]:
        """Key of a hypothesis to the last hunt for it that came to a verdict in a period."""
        return {run.hypothesis_key: run for at, run in self.concluded if period.has(at)}

    def _ended(self, run: HuntRun) -> datetime:
        life = self.of(Kind.HUNT).get(run.id, ())
        logged = [row.at for row in life if row.after == "concluded"]
        return logged[-1] if logged else run.concluded_at or run.started_at


def state_at(life: Sequence[Transition], period: Period) -> str:
    """State of a thing at the end of a period; "" where it was not there yet."""
    if period.end is None:
        return life[-1].after
    known = bisect.bisect_right(life, period.end, key=lambda row: row.at)
    return life[known - 1].after if known else ""


def hours(span: timedelta) -> float:
    """Hours of a span."""
    return span.total_seconds() / 3600


def quantile(values: Iterable[float], share: float) -> float | None:
    """The value that a share of the values does not exceed; None of nothing.

    Between two values it lies on the straight line (type 7 of Hyndman and Fan 1996), so that the
    half of it is the median.
    """
    ordered = sorted(values)
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
