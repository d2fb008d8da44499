"""Visibility: what of the evidence can be seen, where, and how much a verdict is worth."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from typing_extensions import override

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Bits: TypeAlias = "npt.NDArray[np.unsignedinteger[Any]]"
"""Hours as bits, 64 a word, a row a host."""
_KEPT_BYTES = 2**20
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


class Answers:
    """The probes of one atom, with what power asks of them; atoms that are alike share them."""

    def __init__(self, probes: Sequence[HostProbe]) -> None:
        self.probes = probes
        self._rows: tuple[Sequence[str], int, Bits] | None = None

    @cached_property
    def live(self) -> Mapping[str, int]:
        """Host to the hours (bits) in which it is live; only such hosts."""
        return {p.host: p.hours for p in self.probes if p.live and p.hours}

    @cached_property
    def lag(self) -> float | None:
        """The worst lag of a live host, in seconds."""
        return max((p.lag for p in self.probes if p.live and p.lag is not None), default=None)

    @cached_property
    def filled(self) -> Mapping[str, Mapping[str, tuple[int, int]]]:
        """Field to host to the events in which it is filled, and all events."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for probe in self.probes:
            if probe.events:
                for name, share in probe.fill.items():
                    counted = (round(share * probe.events), probe.events)
                    found.setdefault(name, {})[probe.host] = counted
        return found

    def rows(self, population: Sequence[str], hours: int) -> Bits:
        """The live hours of each host of a population; kept where small, for models share them."""
        if self._rows is not None and self._rows[0] is population and self._rows[1] == hours:
            return self._rows[2]
        rows = hour_bits([self.live.get(host, 0) for host in population], hours)
        if rows.nbytes <= _KEPT_BYTES:
            self._rows = (population, hours, rows)
        return rows


def hour_bits(masks: Sequence[int], hours: int) -> Bits:
    """Hours as an array, a row a mask; bits beyond ``hours`` are left out."""
    import numpy as np  # noqa: PLC0415 - commands that only read verdicts start without it

    size, every = (hours + 63) // 64 * 8, (1 << hours) - 1
    raw = b"".join([(mask & every).to_bytes(size, "little") for mask in masks])
    return np.frombuffer(raw, np.uint64).reshape(len(masks), size // 8)


class HostProbes(Sequence[HostProbe]):
    """The probes of a model, atom by atom; made when one is looked at, for there are many."""

    def __init__(self, answers: Mapping[str, Answers]) -> None:
        self.answers = answers

    @cached_property
    def _all(self) -> tuple[HostProbe, ...]:
        return tuple(
            _of(atom_id, probe)
            for atom_id, answers in self.answers.items()
            for probe in answers.probes
        )

    @overload
    def __getitem__(self, index: int) -> HostProbe: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[HostProbe, ...]: ...
    @override
    def __getitem__(self, index: int | slice) -> HostProbe | tuple[HostProbe, ...]:
        return self._all[index]

    @override
    def __iter__(self) -> Iterator[HostProbe]:
        return iter(self._all)

    @override
    def __len__(self) -> int:
        return sum(len(answers.probes) for answers in self.answers.values())

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, HostProbes | tuple) and self._all == tuple(other)

    @override
    def __hash__(self) -> int:
        return hash(self._all)


def by_atom(probes: Iterable[HostProbe]) -> Mapping[str, Answers]:
    """Atom id to the answers for it."""
    if isinstance(probes, HostProbes):
        return probes.answers
    found: dict[str, list[HostProbe]] = {}
    for probe in probes:
        found.setdefault(probe.atom_id, []).append(probe)
    return {atom_id: Answers(several) for atom_id, several in found.items()}


def _of(atom_id: str, answer: HostProbe) -> HostProbe:
    """The same answer for another atom; quicker than ``replace``, and there are many."""
    if answer.atom_id == atom_id:
        return answer
    return HostProbe(
        host=answer.host,
        atom_id=atom_id,
        result=answer.result,
        live=answer.live,
        events=answer.events,
        hours=answer.hours,
        fill=answer.fill,
        first=answer.first,
        last=answer.last,
        lag=answer.lag,
        quiet_since=answer.quiet_since,
        depth=answer.depth,
    )


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
