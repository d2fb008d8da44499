"""Findings: a few things for a person to judge, each with its reasons and its events."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from huntonce.models.entity import Kind
from huntonce.models.hypothesis import Term
from huntonce.models.ids import digest

CORE_ROLES = frozenset({"registration", "tool", "occurrence"})
"""What the attacker did, as opposed to what followed from it."""


class Disposition(StrEnum):
    """What we take a finding to be."""

    MALICIOUS = "malicious"
    SUSPICIOUS = "suspicious"
    BENIGN = "benign"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRef:
    """A pointer to one event in a SIEM.

    Attributes:
        uid: The lake's id of the event (content-derived), or the SIEM's document id.
        record_id: Windows EventRecordID, where the source kept it.
        time: Corrected UTC.
        role: What it shows in a finding: registration, tool, occurrence, trace, logon, run,
            deletion.
    """

    uid: str
    host: str
    channel: str
    event_id: int
    record_id: int | None
    time: datetime
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observable:
    """A value worth handing on: kind is one of host, user, task, command, file, ip, hash."""

    type: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    r"""A cluster of events with a reason.

    Attributes:
        entity: What the cluster is about ("\\Updater\\Sync").
        score: 0..1, explained by ``terms``.
        details: Named facts that show the pattern ("command", "run_as", "registered_by" ...).
        analytics: Names of the hunt's analytics that fired.
    """

    id: str = ""
    hypothesis_key: str
    technique_id: str
    title: str
    reason: str
    entity: str
    score: float
    terms: tuple[Term, ...]
    state: Disposition
    hosts: tuple[str, ...]
    accounts: tuple[str, ...]
    first: datetime
    last: datetime
    events: tuple[EventRef, ...]
    observables: tuple[Observable, ...] = ()
    analytics: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Always a finding."""
        return Kind.FINDING

    @property
    def core(self) -> tuple[EventRef, ...]:
        """The events that it is made of: those of a core role; all, where there are none.

        Runs, logons and traces around it are context: a longer window shows more of them.
        """
        core = tuple(ref for ref in self.events if ref.role in CORE_ROLES)
        return core or self.events

    @property
    def key(self) -> str:
        """The same entity with the same core events is the same finding."""
        return digest(
            "finding", self.hypothesis_key, self.entity, sorted(e.uid for e in self.core)
        )[:32]

    @property
    def disposition(self) -> Disposition:
        """The state under the name that people use."""
        return self.state


def may_become(held: Finding, seen: Finding) -> bool:
    """Whether a known finding is to become what was seen of it now: worse, and judged by nobody."""
    return (held.state, seen.state) == (Disposition.SUSPICIOUS, Disposition.MALICIOUS)


def raised(held: Finding, seen: Finding) -> Finding:
    """A known finding with the disposition of what was seen of it now, and the reasons."""
    return replace(held, state=seen.state, score=seen.score, terms=seen.terms, reason=seen.reason)
