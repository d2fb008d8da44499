"""Publications: intelligence of ours on its way out.

planned ──> approved ──> sent | already_present | failed ──> retracted
   │                        (failed may be approved again)
   ├──> skipped_tlp | rejected_field   (planned again when what held it back is gone)
   └──> superseded          (a newer version took its place before it left)
"""

from dataclasses import dataclass
from enum import StrEnum

from huntonce.models.entity import Kind
from huntonce.models.ids import digest
from huntonce.models.tlp import Tlp


class PublicationState(StrEnum):
    """Where one object stands on its way to one destination."""

    PLANNED = "planned"
    APPROVED = "approved"
    SKIPPED_TLP = "skipped_tlp"
    REJECTED_FIELD = "rejected_field"
    SENT = "sent"
    ALREADY_PRESENT = "already_present"
    FAILED = "failed"
    RETRACTED = "retracted"
    SUPERSEDED = "superseded"


HELD = frozenset({PublicationState.SKIPPED_TLP, PublicationState.REJECTED_FIELD})
"""States of what stays here."""
THERE = frozenset({PublicationState.SENT, PublicationState.ALREADY_PRESENT})
"""States of what the destination has."""
MAY_BE_THERE = THERE | {PublicationState.APPROVED, PublicationState.FAILED}
"""States of what the destination has, or may have: its bytes must not change any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One version of one object for one destination.

    Attributes:
        destination: Registered name of the TAXII destination.
        body: The object's JSON exactly as it will be sent.
        subject: Id of what it came from ("CASE-1").
        why: For skipped, rejected and failed: the reason.
    """

    id: str = ""
    destination: str
    object_id: str
    object_type: str
    version: str
    name: str
    tlp: Tlp
    body: str
    subject: str
    state: PublicationState = PublicationState.PLANNED
    why: str = ""

    @property
    def kind(self) -> Kind:
        """Always a publication."""
        return Kind.PUBLICATION

    @property
    def key(self) -> str:
        """One version of an object goes to a destination once."""
        return digest("publication", self.destination, self.object_id, self.version)[:32]
