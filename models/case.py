"""Cases: evil, handed to incident response, and what IR concluded."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from huntonce.models.desk import UNSEEN, AtDesk
from huntonce.models.entity import Kind
from huntonce.models.finding import EventRef, Observable
from huntonce.models.tlp import Tlp


class CaseState(StrEnum):
    """Life of a case."""

    OPEN = "open"
    CLOSED = "closed"


class Determination(StrEnum):
    """What IR concluded."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    BLOCKED = "blocked"
    FAILED_ATTEMPT = "failed-attempt"
    FALSE_POSITIVE = "false-positive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What IR said of who and what was behind a case, by name; nothing is concluded for them."""

    malware: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.malware, self.tools, self.campaigns, self.actors))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An incident with its evidence.

    Attributes:
        natural_key: What makes it the same case: the hypothesis and the findings' keys.
        tlp: Tightest marking of all intel that led here.
        remote_id: Its id at the desk.
        at_desk: How it stands there, where others work at that desk.
        actors: Whom the intel behind the hypothesis named; IR may or may not agree.
        stated: Whom and what IR named.
        amended_at: When IR last changed what it had said after the case was closed.
    """

    id: str = ""
    natural_key: str
    title: str
    summary: str
    hypothesis_key: str
    finding_ids: tuple[str, ...]
    detection_ids: tuple[str, ...]
    technique_ids: tuple[str, ...]
    severity: str
    tlp: Tlp
    hosts: tuple[str, ...]
    accounts: tuple[str, ...]
    observables: tuple[Observable, ...]
    events: tuple[EventRef, ...]
    actors: tuple[str, ...]
    source_ids: tuple[str, ...]
    first: datetime
    last: datetime
    state: CaseState = CaseState.OPEN
    determination: Determination | None = None
    note: str = ""
    desk: str = ""
    remote_id: str = ""
    at_desk: AtDesk = UNSEEN
    closed_at: datetime | None = None
    stated: Stated = Stated()
    amended_at: datetime | None = None

    @property
    def kind(self) -> Kind:
        """Always a case."""
        return Kind.CASE

    @property
    def key(self) -> str:
        """The natural key."""
        return self.natural_key
