"""Visibility: what of the evidence can be seen, where, and how much a verdict is worth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

MAX_LAG = timedelta(hours=24)
"""Longest time until 95 % of a channel's events are taken in that is no fault."""


class ProbeResult(StrEnum):
    """A measured answer for one atom on one host.

    ``empty``: the same channel (for Security, the same audit subcategory) delivered something
    from the host in the window, but not this trace. ``missing``: it delivered nothing.
    """

    PRESENT = "present"
    STALE = "stale"
    EMPTY = "empty"
    MISSING = "missing"
    FIELD_MISSING = "field_missing"
    LAGGING = "lagging"
    RETENTION_SHORT = "retention_short"
    UNAVAILABLE = "unavailable"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProbe:
    """One atom on one host over a window.

    Attributes:
        live: The trace would have been seen here, had it occurred.
        hours: Bit per hour of the window (1 = source live), as a Python int, bit 0 the first hour.
        fill: Field name to share of events (0..1) in which it is filled; only needed fields.
        lag: 95th percentile of the seconds until its events are taken in; None where nothing says.
        quiet_since: Where it stopped: when the channel last delivered anything.
        depth: Where it is kept too short: hours of the window that lie before what is kept.
    """

    host: str
    atom_id: str
    result: ProbeResult
    live: bool
    events: int
    hours: int = 0
    fill: Mapping[str, float] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    lag: float | None = None
    quiet_since: datetime | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldShare:
    """How well a field that the evidence needs is filled, over all hosts in scope."""

    label: str
    field: str
    filled: int
    events: int

    @property
    def share(self) -> float:
        """0..1."""
        return self.filled / self.events if self.events else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace of a group: on how many hosts in scope it is live."""

    label: str
    hosts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPower:
    """Share of host-hours in which one evidence group had a live atom.

    Attributes:
        traces: Those that are meant to show the group, and any other that does.
    """

    name: str
    required: bool
    value: float
    hosts: int
    atoms: tuple[str, ...]
    traces: tuple[Trace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """How much of the population and the window a hunt could see.

    Attributes:
        value: Mean over hosts in scope and hours of the window of "every required group had a
            live atom"; 0..1.
        seen: Hosts with at least one such hour.
        blind: Names of the hosts without any.
        weakest: Name of the required group with the least power.
        words: The statement for people.
        fields: How well the fields are filled that live atoms of required groups rest on, the
            worst first.
        lag: Worst 95th percentile of the seconds until events of live atoms are taken in; None
            where no event says when it was.
    """

    value: float
    population: int
    seen: int
    hours: int
    groups: tuple[GroupPower, ...]
    blind: tuple[str, ...]
    weakest: str
    words: str
    fields: tuple[FieldShare, ...] = ()
    lag: float | None = None
