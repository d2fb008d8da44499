"""What a stage is handed: ports, and the snapshot that was taken when the run started."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from huntonce.models.attack import Catalogue
from huntonce.models.content import Library
from huntonce.models.feedback import CaseIntel, Mask, OpinionIntel, RuledOutIntel
from huntonce.models.keeping import OpenUnit
from huntonce.models.policy import Policy
from huntonce.models.ports import (
    CaseDesk,
    Clock,
    DetectionStore,
    RuleBook,
    RuleRunner,
    Siem,
    TicketDesk,
)
from huntonce.models.profile import Profile
from huntonce.models.rules import RuleText

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
class Kit:
    """Ports and snapshot of one run.

    Attributes:
        rules: Where promoted detections are kept and scheduled.
        targets: SIEMs by name that they are deployed to besides; each is opened when it is asked.
        check_rule: Validates a Sigma rule offline.
        read_rule: Reads a Sigma rule of others, bounded in size; names what is wrong with it.
        try_out: Makes the second engine of a certificate; None: there is none, and it says so.
        runner: Runs promoted rules over the SIEM; None: one search a rule.
        others: Other SIEMs by name that rules are deployed to, which must find the same events
            as this one; each is opened when it is asked.
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
    targets: Mapping[str, DetectionStore] = field(default_factory=dict)
    others: Mapping[str, Siem] = field(default_factory=dict)
    engine: str = ""
    memo: dict[object, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def own_identities(self) -> frozenset[str]:
        """STIX ids of all identities that are ours."""
        return frozenset({self.own_identity, *self.policy.identities})
