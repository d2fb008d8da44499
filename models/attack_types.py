"""What ATT&CK is made of: techniques, analytics, names, and the answer for an id that is asked."""

import re
from dataclasses import dataclass
from enum import StrEnum

LONGEST_ID = 100
"""Longer texts are no ids; shown ones are cut here."""
_TECHNIQUE = re.compile(
    r"(?:https?://attack\.mitre\.org/(?:versions/v[0-9.]{1,6}/)?techniques/|attack[.:-])?"
    r"T([0-9]{4})(?:[./]([0-9]{3}))?/?",
    re.IGNORECASE | re.ASCII,
)


class TechniqueState(StrEnum):
    """Standing of a technique in its version of ATT&CK."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Technique:
    """A technique or sub-technique.

    Attributes:
        tactics: Short names ("persistence") in the order ATT&CK gives them.
        platforms: ATT&CK's names ("Windows", "Network Devices").
        replaced_by: Technique id, where the state is revoked and ATT&CK names one; else "".
        has_subtechniques: Whether active sub-techniques divide it further.
    """

    id: str
    stix_id: str
    name: str
    tactics: tuple[str, ...]
    platforms: tuple[str, ...]
    state: TechniqueState
    replaced_by: str = ""
    has_subtechniques: bool = False

    @property
    def is_subtechnique(self) -> bool:
        """Whether it has a parent."""
        return "." in self.id

    @property
    def parent_id(self) -> str:
        """Id of the technique it belongs to; "" for a technique."""
        return self.id.partition(".")[0] if self.is_subtechnique else ""


class Outcome(StrEnum):
    """What became of a technique id that was looked up."""

    CURRENT = "current"
    REVOKED = "revoked"
    FROM_V19 = "from_v19"
    DEPRECATED = "deprecated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The answer for a technique id.

    Attributes:
        asked: The id as it was asked for.
        id: The active technique that stands for it; "" where there is none.
        why: What happened, in a sentence.
        others: Further candidates, where a newer id stands for more than one technique.
    """

    asked: str
    id: str
    outcome: Outcome
    why: str
    others: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether there is an active technique to hunt."""
        return bool(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """A log source as an ATT&CK analytic refers to it; the channel may be free text."""

    name: str
    channel: str
    component: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Analytic:
    """One analytic ("AN1221") of a detection strategy, for one platform as a rule."""

    id: str
    strategy_id: str
    technique_id: str
    platforms: tuple[str, ...]
    log_sources: tuple[LogSource, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A group, campaign or piece of software that ATT&CK names."""

    stix_id: str
    id: str
    name: str
    aliases: tuple[str, ...]


def normalise(technique_id: str) -> str:
    """An id as ATT&CK writes it ("T1053.005"); "" for what is not a technique id.

    Understood are any case, T1053/005, attack.t1053.005 and the address of a technique's page.
    """
    text = technique_id.strip()
    found = _TECHNIQUE.fullmatch(text) if len(text) <= LONGEST_ID else None
    if found is None:
        return ""
    return f"T{found[1]}.{found[2]}" if found[2] else f"T{found[1]}"
