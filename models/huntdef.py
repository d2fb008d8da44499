"""Hunt definitions: what to look for and what would be abnormal, as data that needs no Python."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRule:
    r"""Where a fact of a record comes from.

    Attributes:
        fields: Event fields; the first that is filled counts.
        match: Regular expression; the fact is its first group (or all of it), absent where it does
            not occur.
        form: Name of the form that it is brought to.
        joined: The fields' values are put together by a backslash (domain and name).
        text: The fact itself, where it is the same for every row.
    """

    fields: tuple[str, ...] = ()
    match: str = ""
    form: str = ""
    joined: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntSearch:
    """A base selection: a Sigma detection, and the fields the analytics want of its events.

    Attributes:
        view: How its rows become records of the kind ``event``: a name of ``analytics/views``.
        facts: Facts of its own, beside the view's.
        role: What its events show in a finding.
    """

    name: str
    logsource: Mapping[str, str]
    detection: Mapping[str, object]
    fields: tuple[str, ...]
    view: str = ""
    facts: Mapping[str, FactRule] = field(default_factory=dict)
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """When records are one thing.

    Attributes:
        by: Facts that are known and the same in both, on one host.
        within: Seconds between them.
        gather: Facts whose different values are all kept, one a line, and counted.
    """

    by: tuple[str, ...]
    within: float = 60
    gather: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticSpec:
    """One question asked of the events.

    Attributes:
        name: Unique in the hunt; findings name it.
        type: Registered kind of analytic ("matches", "account_mismatch", "burst" ...).
        weight: 0..1, evidence for evil if it fires alone; combined by noisy-or.
        family: Analytics of one family speak of one thing; only the strongest counts.
        why: The sentence that explains it, with {placeholders} of the record's facts.
        options: Of the type.
    """

    name: str
    type: str
    weight: float
    family: str
    why: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowEntry:
    """Something known to be fine, with who says so, why, and until when (ISO date; "" = open).

    ``when`` maps a record's facts to regular expressions (any case); all must match. ``hunts`` are
    the names of the hunts that it is for; empty for the hunt that holds it.
    """

    name: str
    when: Mapping[str, str]
    owner: str
    reason: str
    expires: str = ""
    hunts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A span of time that somebody vouches for: what it shows is usual.

    Attributes:
        days: Instead of start and end: so many days right before what is hunted.
    """

    name: str
    owner: str
    reason: str
    start: datetime | None = None
    end: datetime | None = None
    days: float = 0
    expires: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionTemplate:
    """The Sigma detection that a pattern becomes.

    Attributes:
        needs: Analytics of which all must have fired on a finding for the template to apply.
    """

    name: str
    title: str
    description: str
    level: str
    needs: tuple[str, ...]
    logsource: Mapping[str, str]
    detection: Mapping[str, object]
    falsepositives: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntDefinition:
    """A hunt as an analyst writes it.

    Attributes:
        records: Kind of record that its searches' events become: scheduled_task or event.
        entity: What a record is about, with {facts} filled in.
        merge: When records of several searches are one thing, applied one after the other.
        cluster: Facts that are the same, hosts and numbers aside, in records of one finding.
        context: What is asked about what stands out: process, parent, children, activity, logon.
        baseline: Name of the baseline window that ``first_seen`` compares with.
    """

    name: str
    id: str
    version: str
    title: str
    techniques: tuple[str, ...]
    scope: str
    hypothesis: str
    evidence: str
    records: str
    searches: tuple[HuntSearch, ...]
    analytics: tuple[AnalyticSpec, ...]
    allow: tuple[AllowEntry, ...]
    detections: tuple[DetectionTemplate, ...]
    abnormal: str
    triage: tuple[str, ...]
    malicious_at: float = 0.8
    suspicious_at: float = 0.5
    author: str = ""
    references: tuple[str, ...] = ()
    entity: str = ""
    merge: tuple[Merge, ...] = ()
    cluster: tuple[str, ...] = ("action",)
    context: tuple[str, ...] = ()
    baseline: str = ""
