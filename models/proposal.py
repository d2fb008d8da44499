"""Proposals: changes that a person must decide before they happen."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from huntonce.models.entity import Kind
from huntonce.models.ids import digest


class ProposalState(StrEnum):
    """Where a proposal stands."""

    PENDING = "pending"
    ENDORSED = "endorsed"
    """One of two people has approved it."""
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


WAITING = frozenset({ProposalState.PENDING, ProposalState.ENDORSED})
"""States in which somebody still has to decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change and what is known about it.

    Attributes:
        change: "deploy", "open_case", "publish", "open_ticket".
        subject: Id of the entity concerned.
        subject_sha256: Of what would be sent; the executor checks that it is still the same.
        approvals: Who has approved it so far.
    """

    id: str = ""
    change: str
    subject: str
    subject_sha256: str
    target: str
    summary: str
    evidence: str
    expires_at: datetime
    state: ProposalState = ProposalState.PENDING
    decided_by: str = ""
    decided_at: datetime | None = None
    approvals: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether somebody still has to decide."""
        return self.state in WAITING

    @property
    def kind(self) -> Kind:
        """Always a proposal."""
        return Kind.PROPOSAL

    @property
    def key(self) -> str:
        """The same change of the same subject to the same target is one proposal."""
        return digest("proposal", self.change, self.subject, self.subject_sha256, self.target)[:32]
