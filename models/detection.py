"""Detections: the automated form of a finished hunt, and the proof that it works.

draft ──> experimental ──> test ──> stable ──> deprecated ──> retired
No step forward without a certificate that holds.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Proof, pinned to the hash of the rule's source text.

    Attributes:
        rule_sha256: Of the canonical YAML that was tested.
        fixtures: Events that must fire, and did.
        fired, expected: How many of the malicious events the rule found, of how many.
        benign_hits, benign_events: How many of the benign events it hit, of how many.
        days: Length of the replay.
        alerts_a_day: Mean of the replay.
        interval: 95 % Poisson interval of that rate (exact, Garwood 1936).
        hosts: Distinct hosts that alerted.
        top_share: Share of the alerts that the loudest host had.
        branches: Selection name to events it matched.
        siems: SIEM name to digest of the event ids found there; equal digests = same events.
        holds: All of it together is good enough for promotion.
        faults: Why it does not, in words.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A detection on one SIEM."""

    siem: str
    desired: str
    observed: str
    remote_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A Sigma rule with its history.

    Attributes:
        rule_id: The Sigma rule's UUID, stable for hunt and analytic.
        rule: Sigma YAML, the source text.
        atoms: Ids of the evidence atoms that feed it.
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
