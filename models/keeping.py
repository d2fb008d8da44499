"""Keeping: what the stages ask of the store. One unit of work is one transaction.

The store implements these (models/state); those of intel and its keeping are in models/intake.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, TypeVar

from huntonce.models.alert import Alert
from huntonce.models.case import Case
from huntonce.models.detection import Detection, Fixture
from huntonce.models.entity import Entity
from huntonce.models.finding import Finding
from huntonce.models.gap import Gap
from huntonce.models.guarding import Watch
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.intake import (
    FeedRepository,
    IntelRepository,
    Quarantine,
    SetAsideRepository,
)
from huntonce.models.outbox import Channel, Message
from huntonce.models.proposal import Proposal
from huntonce.models.publication import Publication
from huntonce.models.transition import Transition
from huntonce.models.windows import Window

E = TypeVar("E", bound=Entity)


class Repository(Protocol[E]):
    """The stored things of one kind. Every change of state is logged by the repository itself."""

    def add(self, entity: E, *, actor: str, why: str) -> E:
        """Store a new thing and give it its short id; if the key is known, the stored one as is.

        Safe under parallel writers: the key is unique in the store, not looked up.
        """
        ...

    def save(self, entity: E, *, actor: str, why: str, logged: bool = False) -> E:
        """Replace the stored document of a thing that has an id.

        A change of state is logged as a transition; with ``logged`` so is any other change, as a
        step from the state to itself.

        Raises:
            StateError: It is not stored, or was changed by someone else since it was read.
            DomainError: Its state machine has no such step.
        """
        ...

    def get(self, entity_id: str) -> E | None: ...

    def by_key(self, key: str) -> E | None: ...

    def list(self, *states: str) -> tuple[E, ...]:
        """All, or those in the given states, in the order of their ids' numbers."""
        ...


class Outbox(Protocol):
    """What is to leave."""

    def put(self, message: Message, *, at: datetime) -> bool:
        """Write it down; False where the key is already there."""
        ...

    def claim(self, channel: Channel | None, *, at: datetime, stale_after: float) -> Message | None:
        """Take the oldest message that waits; None where there is nothing to do.

        A message claimed longer ago than ``stale_after`` seconds waits again: its sender died.
        Commits by itself.
        """
        ...

    def done(self, key: str, *, remote_id: str, at: datetime) -> None: ...

    def failed(self, key: str, *, error: str, again: bool, at: datetime) -> None:
        """Record a failure; ``again`` puts it back to pending."""
        ...

    def list(self, *states: str) -> tuple[Message, ...]: ...


class Log(Protocol):
    """The transition log."""

    def rows(self) -> tuple[Transition, ...]:
        """The whole chain in order."""
        ...

    def verify(self) -> int | None:
        """Seq of the first row whose hash or link is wrong; None where the chain holds."""
        ...


class Proofs(Protocol):
    """What detections are proven with, and how far they were run."""

    def fixtures(self, rule_id: str) -> tuple[Fixture, ...]:
        """The kept events of a rule, evil ones first, in the order of time."""
        ...

    def keep(self, rule_id: str, fixtures: Iterable[Fixture]) -> None:
        """Keep these events of a rule, and no others."""
        ...

    def watched(self, watch: Watch) -> None:
        """Note how far a rule was run."""
        ...

    def watches(self, rule_id: str | None = None) -> tuple[Watch, ...]: ...


class HuntClaims(Protocol):
    """Who is hunting what now: one claim for each hypothesis and SIEM, unique in the store."""

    def take(self, hypothesis_key: str, siem: str, *, run: str, window: Window) -> bool:
        """Claim for a run; False where another run holds it. Safe under parallel writers."""
        ...

    def renew(self, run: str) -> None:
        """Say that a run still lives; nothing where it holds nothing."""
        ...

    def renewed(self) -> Mapping[str, datetime]:
        """Run to when it last said that it lives (took its claim, at first), for every claim."""
        ...

    def release(self, run: str) -> None:
        """Give up what a run holds; nothing where it holds nothing."""
        ...


class UnitOfWork(Protocol):
    """One transaction over the store; leaving the block without ``commit`` rolls back."""

    intel: IntelRepository
    feeds: FeedRepository
    set_aside: SetAsideRepository
    quarantine: Quarantine
    hypotheses: Repository[Hypothesis]
    hunts: Repository[HuntRun]
    claims: HuntClaims
    gaps: Repository[Gap]
    findings: Repository[Finding]
    detections: Repository[Detection]
    alerts: Repository[Alert]
    proofs: Proofs
    cases: Repository[Case]
    proposals: Repository[Proposal]
    publications: Repository[Publication]
    outbox: Outbox
    log: Log

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def lock(self) -> None:
        """Be the only one that writes from here on: what is read after it cannot change.

        For whoever reads something to save it changed; without it ``save`` tells by a StateError
        that somebody was quicker.
        """

    def commit(self) -> None: ...


OpenUnit = Callable[[], UnitOfWork]
