"""Policy: what the organisation decided beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from huntonce.models.approval import Approver, Rule
from huntonce.models.tlp import Tlp
from huntonce.models.visibility import MAX_LAG


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
