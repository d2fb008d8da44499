"""A ticket of the desks that live here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class TicketState(StrEnum):
    """Life of a ticket."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One ticket.

    Attributes:
        remote_id: The desk's id of it ("TICKET-1").
        key: Idempotency key that it was opened with.
        gap: What the desk was handed.
        comments: Oldest first.
    """

    remote_id: str
    key: str
    state: TicketState
    gap: Mapping[str, object]
    comments: tuple[str, ...] = ()
