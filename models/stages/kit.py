"""What a stage is handed: ports, and the snapshot that was taken when the run started."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from huntonce.models.attack import Catalogue
from huntonce.models.content import Library
from huntonce.models.feedback import CaseIntel, Mask
from huntonce.models.ports import (
    CaseDesk,
    Clock,
    DetectionStore,
    OpenUnit,
    RuleRunner,
    Siem,
    TicketDesk,
)
from huntonce.models.profile import Profile
from huntonce.models.tlp import Tlp
from huntonce.models.visibility import MAX_LAG

AuthorCase = Callable[[CaseIntel, Mask], tuple[str, ...]]
"""A closed case as STIX objects (JSON texts), pseudonyms by the mask."""
RuleCheck = Callable[[str], tuple[str, ...]]
"""Faults of a Sigma rule (YAML); empty where it is sound."""
TryOut = Callable[[Sequence[str]], Siem]
"""A SIEM that holds just these events (JSON texts): a second engine, and a bench for fixtures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the organisation decided beforehand.

    Attributes:
        power_floor: Least power for ``ruled_out``.
        default_tlp: Marking of what carries none.
        approvals: Kind of change (deploy, open_case, open_ticket, publish) to "ask" or "auto".
        gap_passes: Consecutive passing probes that close a gap.
        rule_author: Author line of promoted rules.
        max_alerts_a_day: Highest mean rate of false alerts of a rule that stands guard.
        replay_days: How far back a rule is replayed.
        test_days: Least replay for status test.
        stable_days: Least replay for status stable.
        stale_days: A certificate older than this is stale.
        max_lag: Longest time until 95 % of a channel's events are taken in that is no fault.
    """

    power_floor: float = 0.8
    default_tlp: Tlp = Tlp.AMBER
    approvals: Mapping[str, str]
    gap_passes: int = 2
    rule_author: str = "Huntonce"
    max_alerts_a_day: float = 1.0
    replay_days: float = 30.0
    test_days: float = 7.0
    stable_days: float = 30.0
    stale_days: float = 30.0
    max_lag: timedelta = MAX_LAG


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Ports and snapshot of one run.

    Attributes:
        rules: Where promoted detections are kept and scheduled.
        check_rule: Validates a Sigma rule offline.
        try_out: Makes the second engine of a certificate; None: there is none, and it says so.
        runner: Runs promoted rules over the SIEM; None: one search a rule.
        others: Other SIEMs by name, which must find the same events as this one.
        engine: What runs the rules, with versions, for the certificates.
        author_case: Writes the STIX of a closed case.
        own_identity: STIX id of our identity.
        mask_key: Key of the pseudonyms that leave.
        actor: Who acts, for the transition log ("huntonce", "demo", a person's name).
    """

    open_unit: OpenUnit
    clock: Clock
    profile: Profile
    policy: Policy
    library: Library
    catalogue: Catalogue
    siem: Siem
    tickets: TicketDesk
    cases: CaseDesk
    rules: DetectionStore
    check_rule: RuleCheck
    author_case: AuthorCase
    own_identity: str
    mask_key: bytes = field(repr=False)
    actor: str = "huntonce"
    try_out: TryOut | None = None
    runner: RuleRunner | None = None
    others: Mapping[str, Siem] = field(default_factory=dict)
    engine: str = ""
