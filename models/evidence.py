"""Evidence: the traces that a behaviour would leave, before anybody looks for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from huntonce.models.errors import DomainError


class Provenance(StrEnum):
    """Where a requirement is from, the most trusted first."""

    CURATED = "curated"
    SIGMA = "sigma"
    ATTACK = "attack"


class Trust(StrEnum):
    """How far a requirement may be relied on.

    ``high``: written by hand from the vendor's documentation. ``medium``: rules of a pack search
    there, or ATT&CK and rules agree. ``low``: only an ATT&CK analytic says so.
    """

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Hosts(StrEnum):
    """On which hosts a behaviour leaves its traces."""

    ALL = "all"
    DOMAIN_CONTROLLERS = "domain_controllers"

    def include(self, role: str) -> bool:
        """Whether a host of that role (as the asset list has it) is one of them."""
        if self is Hosts.ALL:
            return True
        words = role.casefold().replace("_", " ").replace("-", " ")
        return "domain controller" in words or "dc" in words.split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """How to switch a source on: words and the commands or settings that do it."""

    text: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """One observable trace.

    Attributes:
        id: "security/4698".
        label: What people call it: "Security 4698".
        gives: What it shows: "task created".
        channel: Windows event channel, exact name.
        event_ids: Ids of which any one is this trace.
        fields: Event fields the hunt needs filled.
        where: Sigma detection (named selections and a condition) that narrows the events of
            those ids to this trace; empty where the id says it all.
        siblings: Ids whose arrival on this channel proves the source is on although this trace
            did not occur: the events of the same audit subcategory, or of an all-or-nothing
            channel, or the same id without ``where``. Empty where nothing proves it (Sysmon
            include rules).
        source: Id of the switch that turns it on; atoms of one source share a gap.
        primary: Its absence is worth a ticket. Others are only alternatives to a primary one.
        notes: What it cannot show, or what it takes to read it.
        provenance: Which of the three sources of requirements names it.
        refs: What names it, for derived ones: rule ids, analytic ids.
    """

    id: str
    label: str
    gives: str
    channel: str
    event_ids: tuple[int, ...]
    fields: tuple[str, ...] = ()
    where: Mapping[str, object] = field(default_factory=dict)
    siblings: tuple[int, ...] = ()
    source: str
    primary: bool = False
    off_by_default: bool = False
    remedy: Remedy
    notes: str = ""
    provenance: Provenance = Provenance.CURATED
    trust: Trust = Trust.HIGH
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceGroup:
    """Traces of which at least one is needed to see one aspect of the behaviour.

    Attributes:
        required: Without one of them the behaviour cannot be seen at all.
        why: What the group is for, where its name does not say it.
    """

    name: str
    required: bool
    atoms: tuple[Atom, ...]
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceModel:
    """All that a technique would leave, in groups.

    Attributes:
        version: Of the content; a change makes earlier verdicts stale.
        provenance: Where it is from: "curated", or for derived ones "sigma", "attack" or
            "sigma+attack".
        hosts: Hosts on which the traces arise: the population of a hunt is taken from them.
        notes: What the telemetry can and cannot show of the behaviour.
    """

    technique_id: str
    version: str
    provenance: str
    groups: tuple[EvidenceGroup, ...]
    hosts: Hosts = Hosts.ALL
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not any(group.required for group in self.groups):
            raise DomainError(
                f"{self.technique_id}: evidence without a required group tests nothing"
            )

    @property
    def curated(self) -> bool:
        """Written by hand, not derived from rules or analytics."""
        return self.provenance == Provenance.CURATED

    @property
    def atoms(self) -> tuple[Atom, ...]:
        """Every atom once, in the order of the groups."""
        seen = {atom.id: atom for group in self.groups for atom in group.atoms}
        return tuple(seen.values())
