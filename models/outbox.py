"""The outbox: what is to leave, written down in the same transaction as what caused it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Channel(StrEnum):
    """What sort of thing leaves."""

    TICKET = "ticket"
    CASE = "case"
    DETECTION = "detection"
    PUBLICATION = "publication"


class MessageState(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing to be sent, once.

    Attributes:
        key: Idempotency key; the remote object carries it too. Unique.
        action: "create", "comment", "close", "reopen", "deploy", "retire", "publish".
        target: Registered name of the desk, repository, SIEM or destination.
        subject: Short id of the entity it is about.
        payload: JSON-able body, exactly what the connector is handed.
        remote_id: The other side's id, once known.
    """

    key: str
    channel: Channel
    action: str
    target: str
    subject: str
    payload: Mapping[str, object]
    state: MessageState = MessageState.PENDING
    attempts: int = 0
    remote_id: str = ""
    error: str = ""
    created_at: datetime | None = None
    sent_at: datetime | None = None
