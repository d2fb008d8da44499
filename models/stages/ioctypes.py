"""What a sweep for indicators works with and answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from huntonce.models.case import Case
from huntonce.models.deriving.standing import Claim
from huntonce.models.finding import EventRef, Finding, Observable
from huntonce.models.hunt import Check, HuntRun
from huntonce.models.hypothesis import Term
from huntonce.models.indicators.matching import Tree
from huntonce.models.indicators.patterns import Comparison, Compiled, Group, Place
from huntonce.models.windows import Window

EVENTS_KEPT = 50
"""Events of a claim that are shown and stored."""
Pattern = Comparison | Group[Comparison]


@dataclass(frozen=True, slots=True, kw_only=True)
class Languages:
    """How patterns are read; each raises ``DomainError`` with the reason where it cannot.

    Attributes:
        parse_stix: A STIX pattern as comparisons.
        compile_stix: Comparisons as searches.
        rule_values: What a Sigma rule looks for, as comparisons; None where that cannot be told.
        rule_place: Where the events of a Sigma rule's log source are recorded.
    """

    parse_stix: Callable[[str], Pattern]
    compile_stix: Callable[[Pattern], Compiled]
    rule_values: Callable[[str], Pattern | None]
    rule_place: Callable[[str], Place]


class Status(StrEnum):
    """What a sweep says of one claim."""

    HIT = "hit"
    MISS = "miss"
    COULD_NOT_LOOK = "could_not_look"
    NOT_MATCHABLE = "not_matchable"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer for one claim, or for one indicator that is not in force.

    Attributes:
        hosts_seen: Hosts whose logs could have shown it, of ``population``.
        looked: Places where it was looked for.
        blind: Places that could show it, but whose events (or the field needed) do not arrive.
        events: The first ones, at most 50, of ``count``.
    """

    ids: tuple[str, ...]
    name: str
    pattern_type: str
    status: Status
    why: str
    confidence: float = 0.0
    terms: tuple[Term, ...] = ()
    feeds: tuple[str, ...] = ()
    looked: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    hosts_seen: int = 0
    population: int = 0
    count: int = 0
    hosts: tuple[str, ...] = ()
    events: tuple[EventRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """A sweep.

    Attributes:
        results: Hits first, then by confidence.
        findings: As stored.
        checks: The searches as sent.
        run: The sweep as it is kept, with its verdict; None where it is not.
        cases: Those of the evil among the findings.
    """

    window: Window
    results: tuple[Result, ...]
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    run: HuntRun | None = None
    cases: tuple[Case, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many claims ended how."""
        return {status.value: sum(r.status is status for r in self.results) for status in Status}


@dataclass(slots=True)
class Work:
    """One claim on its way."""

    claim: Claim
    branches: tuple[tuple[Place, Tree], ...] = ()
    rule_place: Place | None = None
    notes: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    looked: list[str] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    events: dict[str, EventRef] = field(default_factory=dict)
    values: tuple[Observable, ...] = ()
