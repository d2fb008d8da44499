"""Records: what analytics reason about, one for each thing that happened, from its events."""

from dataclasses import dataclass, field
from datetime import datetime

from huntonce.models.finding import EventRef


@dataclass(slots=True, kw_only=True)
class Record:
    """One occurrence, seen through one or more events.

    Attributes:
        entity: What it is about (a task name).
        host: Where it took effect, as far as the events say.
        facts: Named values for the analytics; a fact that is not known is absent.
        refs: The events that showed it, the most telling first.
        hosts: Every host that has a part in it.
        fired: Analytic name to the reason in words.
    """

    entity: str
    host: str
    time: datetime
    facts: dict[str, str]
    refs: list[EventRef]
    hosts: set[str] = field(default_factory=set)
    fired: dict[str, str] = field(default_factory=dict)

    def fact(self, name: str) -> str:
        """A fact, or "" where it is not known."""
        return self.facts.get(name, "")


def ref_of(row: dict[str, object], role: str = "") -> EventRef:
    """The event pointer of one result row, and what it shows."""
    record_id = row.get("record_id")
    time = row["time"]
    if not isinstance(time, datetime):
        raise TypeError(f"a result row without a time: {row!r}")
    return EventRef(
        uid=str(row["uid"]),
        host=str(row["host"]),
        channel=str(row["channel"]),
        event_id=int(str(row["event_id"])),
        record_id=int(str(record_id)) if record_id is not None else None,
        time=time,
        role=role,
    )
