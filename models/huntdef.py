"""Hunt definitions: what to look for and what would be abnormal, as data that needs no Python."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntSearch:
    """A base selection: a Sigma detection, and the fields the analytics want of its events."""

    name: str
    logsource: Mapping[str, str]
    detection: Mapping[str, object]
    fields: tuple[str, ...]


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

    ``when`` maps a record's facts to regular expressions (any case); all must match.
    """

    name: str
    when: Mapping[str, str]
    owner: str
    reason: str
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
    """A hunt as an analyst writes it."""

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
