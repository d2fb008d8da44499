"""Detections: the automated form of a finished hunt, and the proof that it works.

draft ──> experimental ──> test ──> stable ──> deprecated ──> retired
No step forward without a certificate that holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from huntonce.models.entity import Kind
from huntonce.models.finding import EventRef
from huntonce.models.ledger import Guard


class DetectionState(StrEnum):
    """Life of a detection; the names of Sigma's status where it has them."""

    DRAFT = "draft"
    EXPERIMENTAL = "experimental"
    TEST = "test"
    STABLE = "stable"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


_S = DetectionState
TRANSITIONS: Mapping[DetectionState, frozenset[DetectionState]] = {
    _S.DRAFT: frozenset({_S.EXPERIMENTAL, _S.RETIRED}),
    _S.EXPERIMENTAL: frozenset({_S.TEST, _S.DRAFT, _S.DEPRECATED, _S.RETIRED}),
    _S.TEST: frozenset({_S.STABLE, _S.EXPERIMENTAL, _S.DEPRECATED, _S.RETIRED}),
    _S.STABLE: frozenset({_S.TEST, _S.EXPERIMENTAL, _S.DEPRECATED, _S.RETIRED}),
    _S.DEPRECATED: frozenset({_S.EXPERIMENTAL, _S.RETIRED}),
    _S.RETIRED: frozenset({_S.DRAFT}),
}
"""Steps of a detection's life: up one at a time, down as far as its proof has fallen."""

ON_DUTY = (_S.EXPERIMENTAL, _S.TEST, _S.STABLE)
"""States in which a detection stands guard, least proven first."""

LADDER = (_S.DRAFT, *ON_DUTY)
"""What a certificate can allow, least first."""


def rises(before: DetectionState, after: DetectionState) -> bool:
    """Whether a step claims more than was claimed before, and so needs proof."""
    if after not in ON_DUTY:
        return False
    return before not in LADDER or LADDER.index(after) > LADDER.index(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """An event kept whole with a rule, so that the rule can be tried on it for ever.

    Attributes:
        malicious: The rule must fire on it; on the others it must be silent.
        body: The original event as JSON text, as the SIEM held it.
    """

    ref: EventRef
    malicious: bool
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Proof by running, pinned to the hashes of all that was run.

    Attributes:
        rule_sha256: Of the canonical YAML that was tested; a change of status or date is no change.
        fixtures: Events that must fire, and did.
        fired, expected: How many of the malicious events the rule found, of how many.
        benign_hits: Alerts of the replay on anything that is not known to be evil.
        benign_events: How many usual records the same history held.
        days: Length of the replay.
        alerts_a_day: Mean of the replay, without the intrusions it was made from.
        interval: 95 % Poisson interval of that rate (exact, Garwood 1936).
        hosts: Distinct hosts that alerted.
        top_share: Share of the alerts that the loudest host had.
        branches: Selection name to how many of the rule's events it held for; for a selection
            that the condition excludes, to how many events of the history it matched (1: some).
        unexercised: Selections that nothing matched: nobody knows whether they work.
        siems: Engine or SIEM to digest of the sample's events it found; equal digests = same
            events, "" = it could not be asked (``faults`` or ``limits`` say why).
        sample: How many events that sample held.
        benign_fixtures: Usual events, as near to the evil ones as there were, on which the rule
            was silent.
        filters_sha256: Of the Sigma filters beside the rule.
        fixtures_sha256: Of the fixtures' originals.
        engine: What ran it, with versions.
        logic_version: Of the hunt that it comes from.
        start, end: The replay's window.
        holds: All of it together is good enough to stand guard.
        faults: Why it does not, in words.
        allows: The highest status that it supports.
        limits: Why it supports no higher one.
        seal: Hash over everything above; ``sealing.sealed`` makes it.
    """

    rule_sha256: str
    fixtures: tuple[EventRef, ...]
    fired: int
    expected: int
    benign_hits: int
    benign_events: int
    days: float
    alerts_a_day: float
    interval: tuple[float, float]
    hosts: int
    top_share: float
    branches: tuple[tuple[str, int], ...]
    siems: tuple[tuple[str, str], ...]
    holds: bool
    faults: tuple[str, ...] = ()
    unexercised: tuple[str, ...] = ()
    sample: int = 0
    benign_fixtures: tuple[EventRef, ...] = ()
    filters_sha256: str = ""
    fixtures_sha256: str = ""
    engine: str = ""
    logic_version: str = ""
    start: datetime | None = None
    end: datetime | None = None
    issued_at: datetime | None = None
    allows: DetectionState = DetectionState.EXPERIMENTAL
    limits: tuple[str, ...] = ()
    seal: str = ""


OFF, ON, SWITCHED_OFF, GONE = "disabled", "enabled", "switched off", "retired"
"""What is seen of a deployed rule: off as it starts on a SIEM, on, off again, taken out."""
THERE = frozenset({OFF, ON, SWITCHED_OFF})


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A detection in one store of rules or on one SIEM.

    On a SIEM the switch is its operators': what they made of it is wanted as it is.

    Attributes:
        desired: ``OFF`` or ``ON``, or as observed.
        observed: One of ``THERE`` or ``GONE``; "" before it is there.
    """

    siem: str
    desired: str
    observed: str
    remote_id: str = ""

    @property
    def there(self) -> bool:
        """Whether the rule is there, on or off."""
        return self.observed in THERE


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRule:
    """A rule as a SIEM holds it.

    Attributes:
        enabled: Whether its operators have it switched on.
        untouched: Whether what would run there is what was written.
    """

    rule_id: str
    enabled: bool
    untouched: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A Sigma rule with its history.

    Attributes:
        rule_id: The Sigma rule's UUID, stable for hunt and analytic.
        rule: Sigma YAML, the source text.
        atoms: Ids of the evidence atoms that feed it.
        filters: Sigma filters (YAML) of this environment, applied beside the rule.
        origin: The hunt that it came from, as it was: name, version, hypothesis, searches.
        since: Alerts count from here on: the end of the replay that first promoted it.
        healthy: Its atoms deliver and it is scheduled; None before the first check.
    """

    id: str = ""
    rule_id: str
    title: str
    technique_ids: tuple[str, ...]
    hypothesis_key: str
    hunt_name: str
    analytic: str
    level: str
    rule: str
    atoms: tuple[str, ...]
    state: DetectionState = DetectionState.DRAFT
    certificate: Certificate | None = None
    deployments: tuple[Deployment, ...] = ()
    healthy: bool | None = None
    filters: tuple[str, ...] = ()
    since: datetime | None = None
    origin: Mapping[str, object] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Always a detection."""
        return Kind.DETECTION

    @property
    def key(self) -> str:
        """The rule's id."""
        return self.rule_id


def guard_of(detection: Detection, siem: str = "") -> Guard:
    """A detection as the ledger looks at it: as a guard on a SIEM ("" = on any)."""
    certificate = detection.certificate
    return Guard(
        detection_id=detection.id,
        state=detection.state.value,
        certified=certificate is not None and certificate.holds,
        scheduled=any(
            d.observed == "enabled" and siem in {"", d.siem} for d in detection.deployments
        ),
        healthy=detection.healthy,
    )
