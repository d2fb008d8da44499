"""Visibility gaps, and how they are closed: by evidence.

surfaced ──> accepted ──> remediating ──> verifying ──> closed ──> regressed
    │            │             │              │                        │
    └────────────┴─────────────┴──> risk_accepted (expires, or is taken on after all)
A probe may move any open state to ``verifying``; only consecutive passes move it to ``closed``.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from huntonce.models.entity import Kind
from huntonce.models.evidence import Remedy
from huntonce.models.ids import digest


class GapKind(StrEnum):
    """What is wrong with a source."""

    NO_SOURCE = "no_source"
    PARTIAL_POPULATION = "partial_population"
    MISSING_FIELD = "missing_field"
    LAG = "lag"
    RETENTION = "retention"
    PARSE = "parse"
    PERMISSION = "permission"


class GapState(StrEnum):
    """Where a gap stands."""

    SURFACED = "surfaced"
    ACCEPTED = "accepted"
    REMEDIATING = "remediating"
    VERIFYING = "verifying"
    CLOSED = "closed"
    RISK_ACCEPTED = "risk_accepted"
    REGRESSED = "regressed"


OPEN = frozenset(
    {
        GapState.SURFACED,
        GapState.ACCEPTED,
        GapState.REMEDIATING,
        GapState.VERIFYING,
        GapState.REGRESSED,
    }
)
TRANSITIONS: dict[GapState, frozenset[GapState]] = {
    GapState.SURFACED: frozenset(
        {GapState.ACCEPTED, GapState.REMEDIATING, GapState.VERIFYING, GapState.RISK_ACCEPTED}
    ),
    GapState.ACCEPTED: frozenset(
        {GapState.REMEDIATING, GapState.VERIFYING, GapState.RISK_ACCEPTED}
    ),
    GapState.REMEDIATING: frozenset({GapState.VERIFYING, GapState.RISK_ACCEPTED}),
    GapState.VERIFYING: frozenset(
        {GapState.CLOSED, GapState.REMEDIATING, GapState.SURFACED, GapState.RISK_ACCEPTED}
    ),
    GapState.CLOSED: frozenset({GapState.REGRESSED}),
    GapState.RISK_ACCEPTED: frozenset(
        {GapState.SURFACED, GapState.ACCEPTED, GapState.REMEDIATING, GapState.VERIFYING}
    ),
    GapState.REGRESSED: frozenset(
        {GapState.ACCEPTED, GapState.REMEDIATING, GapState.VERIFYING, GapState.RISK_ACCEPTED}
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What mending a gap would do for one hypothesis, in one group of its evidence.

    Attributes:
        hypothesis: Its key.
        dark: Share of the hosts in scope (0..1) that show nothing of the group.
        lit: Share of the hosts in scope that would show it, were this gap alone mended.
        rest: Least share of hosts seen over the groups that no gap could light.
        start, end: The window (ISO) that could not be looked at as it should.
    """

    hypothesis: str
    group: str
    dark: float
    lit: float
    rest: float
    start: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Evidence that should exist and does not arrive as needed.

    Attributes:
        gap_kind: What is wrong.
        source: Id of the switch that is off ("security/other-object-access").
        atom_id, atom_label: The trace it shows in ("security/4698", "Security 4698").
        field_name: The empty field, for ``missing_field``.
        hosts: Where; all of them, sorted. The set may change, the gap stays the same one.
        population: Hosts in scope when it was last measured.
        group: Evidence group it weakens.
        reason: Why it matters, in words.
        unlocks: Keys (fingerprints) of the hypotheses that wait on it or are weakened by it.
        passes: Consecutive passing probes so far.
        measured_to: End of the telemetry (ISO) that the last probe saw; the same telemetry looked
            at twice is one probe.
        waits: What mending it would do, for each hypothesis that could not be looked at in full.
        guards: Ids of the detections that lost their sight by it.
        business: Why mending it is worth the work, in words: what waits, and who is behind it.
        accepted: Somebody took it on.
        risk_until, risk_reason, risk_by: Until when (ISO date) somebody lives with it, why, who.
        wanted_hours: For ``retention``: how far back the telemetry should reach.
    """

    id: str = ""
    gap_kind: GapKind
    source: str
    atom_id: str
    atom_label: str
    field_name: str = ""
    siem: str
    hosts: tuple[str, ...]
    population: int
    group: str
    severity: str
    reason: str
    remedy: Remedy
    unlocks: tuple[str, ...] = ()
    owner: str = ""
    state: GapState = GapState.SURFACED
    passes: int = 0
    measured_to: str = ""
    ticket: str = ""
    waits: tuple[Wait, ...] = ()
    guards: tuple[str, ...] = ()
    business: str = ""
    accepted: bool = False
    risk_until: str = ""
    risk_reason: str = ""
    risk_by: str = ""
    wanted_hours: int = 0

    def risk_holds(self, today: date) -> bool:
        """Whether somebody lives with it on a day; the last day is included."""
        return bool(self.risk_until) and today <= date.fromisoformat(self.risk_until)

    def standing(self, today: date) -> GapState:
        """The state that it has while it is as it is: where a failed probe puts it back."""
        if self.risk_holds(today):
            return GapState.RISK_ACCEPTED
        return GapState.REMEDIATING if self.accepted else GapState.SURFACED

    @property
    def kind(self) -> Kind:
        """Always a gap."""
        return Kind.GAP

    @property
    def key(self) -> str:
        """The same source (and field) of the same SIEM, wrong in the same way: one gap."""
        return digest("gap", self.siem, self.source, self.field_name, self.family)[:32]

    @property
    def family(self) -> str:
        """``no_source`` and ``partial_population`` are one gap that grew or shrank."""
        absent = {GapKind.NO_SOURCE, GapKind.PARTIAL_POPULATION}
        return "absent" if self.gap_kind in absent else str(self.gap_kind)
