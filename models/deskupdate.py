"""What a desk that others work at tells of one ticket or case."""

from dataclasses import dataclass
from datetime import datetime

from huntonce.models.case import Determination
from huntonce.models.desk import AtDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskUpdate:
    """One ticket or case as it stands there now.

    Attributes:
        is_open: Whether its people still work on it.
        determination: What a closed case was; None for a ticket, and where the words that it was
            closed with stand for no determination.
        note: What was written down at closing.
        closed_at: When it was closed; None where the desk does not say.
    """

    remote_id: str
    is_open: bool
    at_desk: AtDesk
    determination: Determination | None = None
    note: str = ""
    closed_at: datetime | None = None
