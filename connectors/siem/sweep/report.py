"""What a sweep found."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from huntonce.connectors.sigma.pack import Unsupported
from huntonce.models.finding import EventRef

LEVELS = ("critical", "high", "medium", "low", "informational", "")
"""Of rules, gravest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindRule:
    """A rule that could not fire because of what the lake does not hold.

    Attributes:
        sources: Channels (and event ids) in which its events would be.
        fields: Fields that no event there has; empty where there are no such events at all.
        partly: It could fire elsewhere: only these sources are blind.
    """

    id: str
    title: str
    level: str
    sources: tuple[str, ...]
    fields: tuple[str, ...]
    reason: str
    partly: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHits:
    """The events that one rule matched, or the groups of events that a correlation did.

    Attributes:
        table: ``hits.SCHEMA``, in the order of time.
        count: Events; of a correlation the number of its groups in time.
    """

    id: str
    title: str
    level: str
    author: str
    count: int
    table: pa.Table

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the events come from."""
        return tuple(sorted(pc.unique(self.table.column("host").cast(pa.string())).to_pylist()))

    def events(self) -> Iterator[tuple[EventRef, str]]:
        """Each event with the branch that matched it."""
        for row in self.table.to_pylist():
            ref = EventRef(
                uid=row["uid"],
                host=row["host"],
                channel=row["channel"],
                event_id=row["event_id"],
                record_id=row["record_id"],
                time=row["time"],
            )
            yield ref, row["branch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """The answer of a sweep.

    Attributes:
        rules: Rules found, correlations included.
        evaluated: Rules that were run over the data of the window, blind ones included.
        events: Events in the files of the window; None where the SIEM searched for itself.
        scanned: Events looked at in this sweep, the others were known; None likewise.
        hits: Gravest first.
    """

    rules: int
    evaluated: int
    events: int | None
    scanned: int | None
    unsupported: tuple[Unsupported, ...]
    blind: tuple[BlindRule, ...]
    hits: tuple[RuleHits, ...]
    seconds: float


def gravity(hits: RuleHits) -> tuple[int, int, str, str]:
    """Sorts the gravest level first, within a level the rule with the most hits."""
    level = LEVELS.index(hits.level) if hits.level in LEVELS else len(LEVELS)
    return level, -hits.count, hits.title, hits.id
