"""Hypotheses: a testable statement about adversary behaviour, and its life.

proposed ──> ready ──> hunting ──> concluded ──> superseded
    │          ^ │        │            │
    └─> blocked┘ └>blocked└> ready     └─> ready (new window, stale, reopened)
"""

from dataclasses import dataclass
from enum import StrEnum

from huntonce.models.entity import Kind
from huntonce.models.errors import DomainError
from huntonce.models.ids import digest
from huntonce.models.intel import SourceRef


class HypothesisState(StrEnum):
    """Where a hypothesis stands."""

    PROPOSED = "proposed"
    READY = "ready"
    BLOCKED = "blocked"
    HUNTING = "hunting"
    CONCLUDED = "concluded"
    SUPERSEDED = "superseded"


TRANSITIONS: dict[HypothesisState, frozenset[HypothesisState]] = {
    HypothesisState.PROPOSED: frozenset(
        {HypothesisState.READY, HypothesisState.BLOCKED, HypothesisState.SUPERSEDED}
    ),
    HypothesisState.READY: frozenset(
        {HypothesisState.HUNTING, HypothesisState.BLOCKED, HypothesisState.SUPERSEDED}
    ),
    HypothesisState.BLOCKED: frozenset(
        {HypothesisState.READY, HypothesisState.HUNTING, HypothesisState.SUPERSEDED}
    ),
    # A hunt that was killed leaves "hunting" behind: the next one takes it up from ready.
    HypothesisState.HUNTING: frozenset(
        {HypothesisState.CONCLUDED, HypothesisState.BLOCKED, HypothesisState.READY}
    ),
    HypothesisState.CONCLUDED: frozenset(
        {HypothesisState.READY, HypothesisState.HUNTING, HypothesisState.SUPERSEDED}
    ),
    HypothesisState.SUPERSEDED: frozenset(),
}


class Verdict(StrEnum):
    """What a hunt says of its hypothesis."""

    CONFIRMED_MALICIOUS = "confirmed_malicious"
    CONFIRMED_BENIGN = "confirmed_benign"
    RULED_OUT = "ruled_out"
    INCONCLUSIVE = "inconclusive"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One addend of a score, with the reason for it."""

    name: str
    value: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """The claim that a behaviour is present in a scope.

    Attributes:
        technique_id: ATT&CK technique ("T1053.005").
        scope: Platform that it is about ("windows").
        parameters: What narrows the behaviour beyond its technique, sorted; part of identity.
        priority: 0..1, the sum of ``terms``.
        verdict: Of the last concluded hunt; None before the first.
        logic_version, evidence_version, attack_version: What the last derivation used; a change
            makes an earlier verdict stale, it does not make a new hypothesis.
        hunted: (start, end, SIEM) of the windows that concluded hunts have seen there, in ISO
            times; pairs without a SIEM, as they were written once, are of the lake. ``ledger``
            reads and writes it.
    """

    id: str = ""
    technique_id: str
    technique_name: str
    scope: str
    parameters: tuple[str, ...] = ()
    statement: str
    state: HypothesisState = HypothesisState.PROPOSED
    verdict: Verdict | None = None
    priority: float = 0.0
    terms: tuple[Term, ...] = ()
    actors: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()
    sources: tuple[SourceRef, ...] = ()
    own_only: bool = False
    logic_version: str = ""
    evidence_version: str = ""
    attack_version: str = ""
    hunted: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.statement.strip():
            raise DomainError(f"{self.technique_id}: a hypothesis needs a statement in words")

    @property
    def kind(self) -> Kind:
        """Always a hypothesis."""
        return Kind.HYPOTHESIS

    @property
    def key(self) -> str:
        """The fingerprint."""
        return fingerprint(self.technique_id, self.scope, self.parameters)


def fingerprint(technique_id: str, scope: str, parameters: tuple[str, ...] = ()) -> str:
    """Identity of a behaviour in a scope, independent of the report that claimed it."""
    return digest("hypothesis", technique_id.upper(), scope.casefold(), sorted(parameters))[:32]
