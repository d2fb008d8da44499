"""A case of the desks that live here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from huntonce.models.case import CaseState, Determination


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """One case as its desk keeps it.

    Attributes:
        remote_id: The desk's id of it ("IR-1").
        key: Idempotency key that it was opened with.
        case: What the desk was handed.
        determination, closed_at: None while it is open.
    """

    remote_id: str
    key: str
    case: Mapping[str, object]
    determination: Determination | None = None
    note: str = ""
    closed_at: datetime | None = None

    @property
    def state(self) -> CaseState:
        """Open until somebody determined what it was."""
        return CaseState.OPEN if self.determination is None else CaseState.CLOSED
