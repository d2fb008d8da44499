"""Bad input, kept: what could not be taken, where it stood, and why."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class InputKind(StrEnum):
    """What sort of input was refused."""

    INTEL = "intel"
    TELEMETRY = "telemetry"
    RULE = "rule"
    HUNT = "hunt"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """One piece of input that was refused while the rest went on.

    Attributes:
        source: File name or address it came from.
        place: Where in the source: "line 12", "record 7 (chunk 2)", "object 3 indicator--…".
        reason: What is wrong, in one sentence.
        hint: What a person can do about it.
        payload: The refused bytes, cut to ``PAYLOAD_LIMIT``, so that it can be looked at again.
    """

    kind: InputKind
    source: str
    place: str
    reason: str
    hint: str = ""
    payload: bytes = b""
    at: datetime | None = None

    @property
    def key(self) -> str:
        """Same source, place and reason: the same refusal, recorded once."""
        return f"{self.kind}|{self.source}|{self.place}|{self.reason}"


PAYLOAD_LIMIT = 1_048_576
