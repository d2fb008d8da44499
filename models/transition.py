"""The transition log: append-only, hash-chained rows that every metric is computed from."""

from dataclasses import dataclass
from datetime import datetime

from huntonce.models.entity import Kind
from huntonce.models.ids import digest

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of state of one thing.

    Attributes:
        seq: Position in the chain, from 1; 0 before it is stored.
        kind: What it is about; as the row has it where this version knows no such kind.
        subject: Short id ("GAP-3").
        before: State before; "" at birth.
        actor: Who or what did it.
        evidence: SHA-256 of the stored document after the change.
        previous: Hash of the row before; ``GENESIS`` for the first.
    """

    seq: int = 0
    kind: Kind | str
    subject: str
    before: str
    after: str
    at: datetime
    actor: str
    why: str
    evidence: str
    previous: str = GENESIS

    @property
    def hash(self) -> str:
        """SHA-256 over the row and its predecessor's hash."""
        return digest(
            self.seq,
            str(self.kind),
            self.subject,
            self.before,
            self.after,
            self.at.isoformat(timespec="microseconds"),
            self.actor,
            self.why,
            self.evidence,
            self.previous,
        )
