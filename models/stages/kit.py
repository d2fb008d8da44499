"""What a stage is handed: ports, and the snapshot that was taken when the run started."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from huntonce.models.approval import Approver, Rule
from huntonce.models.attack import Catalogue
from huntonce.models.content import Library
from huntonce.models.feedback import CaseIntel, Mask, OpinionIntel, RuledOutIntel
from huntonce.models.ports import (
    CaseDesk,
    Clock,
    DetectionStore,
    OpenUnit,
    RuleBook,
    RuleRunner,
    Siem,
    TicketDesk,
)
from huntonce.models.profile import Profile
from huntonce.models.rules import RuleText
from huntonce.models.tlp import Tlp
from huntonce.models.visibility import MAX_LAG

AuthorCase = Callable[[CaseIntel, Mask], tuple[str, ...]]
"""A closed case as STIX objects (JSON texts), pseudonyms by the mask."""
AuthorRuledOut = Callable[[RuledOutIntel, Mask], tuple[str, ...]]
"""Negative knowledge as STIX objects; empty where its power is too small to say anything."""
AuthorOpinion = Callable[[OpinionIntel, Mask], tuple[str, ...]]
"""A person's opinion as STIX objects."""
RuleCheck = Callable[[str], tuple[str, ...]]
"""Faults of a Sigma rule (YAML); empty where it is sound."""
RuleReader = Callable[[str], RuleText]
"""A rule of others, from its YAML: a fault where it is none that can be run, never an error."""
TryOut = Callable[[Sequence[str]], Siem]
"""A SIEM that holds just these events (JSON texts): a second engine, and a bench for fixtures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the organisation decided beforehand.

    Attributes:
        power_floor: Least power for ``ruled_out``.
        default_tlp: Marking of what carries none.
        approvals: Kind of change (deploy, open_case, open_ticket, publish) to when it asks.
        approvers: Who may decide, by name; empty: anybody, on trust.
        proposal_life: How long a proposal waits before it lapses.
        silent_for: After this long without a sign of life a hunt's process counts as gone.
        gap_passes: Consecutive passing probes that close a gap.
        rule_author: Author line of promoted rules.
        max_alerts_a_day: Highest mean rate of false alerts of a rule that stands guard.
        replay_days: How far back a rule is replayed.
        test_days: Least replay for status test.
        stable_days: Least replay for status stable.
        stale_days: A certificate older than this is stale.
        max_lag: Longest time until 95 % of a channel's events are taken in that is no fault.
        identities: STIX ids of identities that are ours besides the organisation's own.
    """

    power_floor: float = 0.8
    default_tlp: Tlp = Tlp.AMBER
    approvals: Mapping[str, Rule] = field(default_factory=dict)
    approvers: Mapping[str, Approver] = field(default_factory=dict)
    proposal_life: timedelta = timedelta(days=3)
    silent_for: timedelta = timedelta(minutes=5)
    gap_passes: int = 2
    rule_author: str = "Huntonce"
    max_alerts_a_day: float = 1.0
    replay_days: float = 30.0
    test_days: float = 7.0
    stable_days: float = 30.0
    stale_days: float = 30.0
    max_lag: timedelta = MAX_LAG
    identities: tuple[str, ...] = ()

    def rule(self, change: str) -> Rule:
        """When a kind of change asks; one that nobody decided on asks always."""
        return self.approvals.get(change, Rule(mode="ask"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Ports and snapshot of one run.

    Attributes:
        rules: Where promoted detections are kept and scheduled.
        check_rule: Validates a Sigma rule offline.
        read_rule: Reads a Sigma rule of others, bounded in size; names what is wrong with it.
        try_out: Makes the second engine of a certificate; None: there is none, and it says so.
        runner: Runs promoted rules over the SIEM; None: one search a rule.
        others: Other SIEMs by name, which must find the same events as this one.
        engine: What runs the rules, with versions, for the certificates.
        memo: What was worked out from the stored intel, by what it was worked out from.
        author_case: Writes the STIX of a closed case.
        author_ruled_out, author_opinion: Write the STIX of those.
        rulebook: Sigma rules for the techniques that no hunt is written for; None: no folders.
        own_identity: STIX id of our identity.
        mask_key: Key of the pseudonyms that leave to a destination, by its name.
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
    read_rule: RuleReader
    author_case: AuthorCase
    author_ruled_out: AuthorRuledOut
    author_opinion: AuthorOpinion
    own_identity: str
    mask_key: Callable[[str], bytes] = field(repr=False)
    rulebook: RuleBook | None = None
    actor: str = "huntonce"
    try_out: TryOut | None = None
    runner: RuleRunner | None = None
    others: Mapping[str, Siem] = field(default_factory=dict)
    engine: str = ""
    memo: dict[object, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def own_identities(self) -> frozenset[str]:
        """STIX ids of all identities that are ours."""
        return frozenset({self.own_identity, *self.policy.identities})
