"""What a stage is handed: ports, and the snapshot that was taken when the run started."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from huntonce.models.attack import Catalogue
from huntonce.models.content import Library
from huntonce.models.feedback import CaseIntel, Mask
from huntonce.models.ports import CaseDesk, Clock, DetectionStore, OpenUnit, Siem, TicketDesk
from huntonce.models.profile import Profile
from huntonce.models.tlp import Tlp
from huntonce.models.visibility import MAX_LAG

AuthorCase = Callable[[CaseIntel, Mask], tuple[str, ...]]
"""A closed case as STIX objects (JSON texts), pseudonyms by the mask."""
RuleCheck = Callable[[str], tuple[str, ...]]
"""Faults of a Sigma rule (YAML); empty where it is sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the organisation decided beforehand.

    Attributes:
        power_floor: Least power for ``ruled_out``.
        default_tlp: Marking of what carries none.
        approvals: Kind of change (deploy, open_case, open_ticket, publish) to "ask" or "auto".
        gap_passes: Consecutive passing probes that close a gap.
        rule_author: Author line of promoted rules.
        max_lag: Longest time until 95 % of a channel's events are taken in that is no fault.
    """

    power_floor: float = 0.8
    default_tlp: Tlp = Tlp.AMBER
    approvals: Mapping[str, str]
    gap_passes: int = 2
    rule_author: str = "Huntonce"
    max_lag: timedelta = MAX_LAG


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Ports and snapshot of one run.

    Attributes:
        rules: Where promoted detections are kept and scheduled.
        check_rule: Validates a Sigma rule offline.
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
