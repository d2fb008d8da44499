"""Visibility: what of the evidence can be seen, where, and how much a verdict is worth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


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


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPower:
    """Share of host-hours in which one evidence group had a live atom."""

    name: str
    required: bool
    value: float
    hosts: int
    atoms: tuple[str, ...]


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
    """

    value: float
    population: int
    seen: int
    hours: int
    groups: tuple[GroupPower, ...]
    blind: tuple[str, ...]
    weakest: str
    words: str
