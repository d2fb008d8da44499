"""Seeing: from what arrived to what could have been seen, in probes and power.

An hour of a host is *live* for a trace when the host's channel was delivering then (two events
not further apart than ``MAX_SILENCE``, so that a weekend does not look like a dead agent) and
the source behind the trace was proven on not far from it (``PROOF_REACH``, because the proof may
be a rare event): by the trace itself, or by a sibling. A source that was switched on today says
nothing of last month. Hours are bits of a Python int: union, intersection and count are then
single operations, whatever the length of the window.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from huntonce.models.evidence import Atom, EvidenceModel
from huntonce.models.query import FieldWant
from huntonce.models.visibility import GroupPower, HostProbe, Power, ProbeResult
from huntonce.models.windows import HOUR, Window, floor_hour

MAX_SILENCE = timedelta(hours=72)
PROOF_REACH = timedelta(days=7)
"""Longest time between two proofs of a source in which it is taken to have been on."""
FILL_FLOOR = 0.5
"""Below this share of filled events a needed field counts as missing on a host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """What a SIEM delivered in a window, as far as one technique cares.

    Attributes:
        inventory: ``INVENTORY_SCHEMA``.
        fill: ``FILL_SCHEMA``.
        matches: Atom id to host to number of events that match the atom's ``where``.
        refused: Atom id to why the SIEM would not say (permission, error).
    """

    window: Window
    inventory: pa.Table
    fill: pa.Table
    matches: Mapping[str, Mapping[str, int]]
    refused: Mapping[str, str]


_Fill = Mapping[tuple[str, str, str], tuple[int | None, int]]
"""Host, channel and id, field to filled (None: stored and not searchable) of so many events."""


@dataclass(slots=True)
class _Seen:
    """One host and channel: hours and number of events by id; hours in which it delivered."""

    hours: dict[int, int]
    events: dict[int, int]
    first: datetime
    last: datetime
    delivering: int = 0


def wants(model: EvidenceModel) -> tuple[FieldWant, ...]:
    """The fields whose fill a probe of the model needs."""
    fields: dict[tuple[str, int], set[str]] = {}
    for atom in model.atoms:
        for event_id in atom.event_ids:
            fields.setdefault((atom.channel, event_id), set()).update(atom.fields)
    return tuple(
        FieldWant(channel=channel, event_id=event_id, fields=tuple(sorted(names)))
        for (channel, event_id), names in sorted(fields.items())
        if names
    )


def needs_match(atom: Atom) -> bool:
    """Whether only a search for its ``where`` can tell that an atom arrives."""
    return bool(atom.where) and not set(atom.event_ids) <= set(atom.siblings)


def probe(
    model: EvidenceModel, population: Sequence[str], arrivals: Arrivals
) -> tuple[HostProbe, ...]:
    """One answer for every atom of the model and every host of the population."""
    seen = _index(arrivals)
    fill = _fill_index(arrivals.fill)
    return tuple(
        _probe_one(atom, host, arrivals, seen.get((host, atom.channel)), fill)
        for atom in model.atoms
        for host in population
    )


def power(
    model: EvidenceModel, population: Sequence[str], window: Window, probes: Sequence[HostProbe]
) -> Power:
    """Share of the host-hours in which every required group had a live atom.

    Formula: mean over hosts in scope and hours of the window of the product over required groups
    of [some atom of the group is live]. Telemetry with its needed fields filled can only add
    bits, so it never lowers the value (events without them may: they show that a trace would have
    been of no use); hosts outside the population are not counted at all.
    """
    bits = {(p.host, p.atom_id): p.hours if p.live else 0 for p in probes}
    hours = window.hours
    cells = max(1, len(population) * hours)
    groups: list[GroupPower] = []
    together = dict.fromkeys(population, (1 << hours) - 1)
    for group in model.groups:
        union = {
            host: _union(bits.get((host, atom.id), 0) for atom in group.atoms)
            for host in population
        }
        groups.append(
            GroupPower(
                name=group.name,
                required=group.required,
                value=sum(mask.bit_count() for mask in union.values()) / cells,
                hosts=sum(1 for mask in union.values() if mask),
                atoms=tuple(
                    atom.id
                    for atom in group.atoms
                    if any(bits.get((h, atom.id)) for h in population)
                ),
            )
        )
        if group.required:
            together = {host: mask & union[host] for host, mask in together.items()}
    value = sum(mask.bit_count() for mask in together.values()) / cells if population else 0.0
    blind = tuple(sorted(host for host, mask in together.items() if not mask))
    required = [group for group in groups if group.required]
    weakest = min(required, key=lambda group: group.value)
    return Power(
        value=value,
        population=len(population),
        seen=len(population) - len(blind),
        hours=hours,
        groups=tuple(groups),
        blind=blind,
        weakest=weakest.name,
        words=_words(value, population, blind, window, weakest),
    )


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union


def _words(
    value: float,
    population: Sequence[str],
    blind: Sequence[str],
    window: Window,
    weakest: GroupPower,
) -> str:
    total = len(population)
    if not total:
        return f"no host in scope for {window}"
    seen = total - len(blind)
    words = (
        f"seen {seen} of {total} hosts ({seen / total:.1%}), "
        f"{value:.1%} of the host-hours of {window}"
    )
    if blind:
        words += f"; {len(blind)} hosts blind"
    if weakest.value < 1:
        words += f"; weakest: {weakest.name} ({weakest.value:.1%})"
    return words


def _index(arrivals: Arrivals) -> dict[tuple[str, str], _Seen]:
    start = floor_hour(arrivals.window.start)
    index: dict[tuple[str, str], _Seen] = {}
    table = arrivals.inventory
    columns = (table.column(name).to_pylist() for name in table.schema.names)
    for host, channel, event_id, hour, events, first, last in zip(*columns, strict=True):
        offset = int((hour - start) / HOUR)
        if not 0 <= offset < arrivals.window.hours:
            continue
        seen = index.get((host, channel))
        if seen is None:
            seen = index[host, channel] = _Seen(hours={}, events={}, first=first, last=last)
        seen.hours[event_id] = seen.hours.get(event_id, 0) | 1 << offset
        seen.events[event_id] = seen.events.get(event_id, 0) + events
        seen.first, seen.last = min(seen.first, first), max(seen.last, last)
    silence = int(MAX_SILENCE / HOUR)
    for seen in index.values():
        seen.delivering = bridge(_union(seen.hours.values()), arrivals.window.hours, silence)
    return index


def _fill_index(fill: pa.Table) -> _Fill:
    index: dict[tuple[str, str, str], tuple[int | None, int]] = {}
    columns = (fill.column(name).to_pylist() for name in fill.schema.names)
    for host, channel, event_id, name, filled, events in zip(*columns, strict=True):
        key = (host, f"{channel}|{event_id}", name)
        known, total = index.get(key, (0, 0))
        both = None if known is None or filled is None else known + filled
        index[key] = (both, total + events)
    return index


def bridge(mask: int, hours: int, silence: int) -> int:
    """Fill the holes of a mask of ``hours`` bits that are at most ``silence`` bits wide.

    The edges of the window are holes too: what lies within ``silence`` of the first or last set
    bit counts as live.
    """
    inside = (1 << hours) - 1
    mask &= inside
    if not mask:
        return 0
    # A closing: grown by ``silence`` and shrunk again, holes up to that width stay filled. A bit
    # before the first hour and one after the last make holes of the edges.
    filled = mask << 1 | 1 | 1 << (hours + 1)
    for step in _doubling(silence):
        filled |= filled << step
    for step in _doubling(silence):
        filled &= filled >> step
    return filled >> 1 & inside


def _doubling(reach: int) -> Iterator[int]:
    """Shifts that add up to ``reach``, each at most what the ones before it cover."""
    covered = 1
    while covered <= reach:
        step = min(covered, reach + 1 - covered)
        yield step
        covered += step


def _probe_one(
    atom: Atom,
    host: str,
    arrivals: Arrivals,
    seen: _Seen | None,
    fill: _Fill,
) -> HostProbe:
    if atom.id in arrivals.refused:
        return _answer(atom, host, ProbeResult.UNAVAILABLE)
    if seen is None:
        return _answer(atom, host, ProbeResult.MISSING)
    if needs_match(atom):
        events = arrivals.matches.get(atom.id, {}).get(host, 0)
    else:
        events = sum(seen.events.get(event_id, 0) for event_id in atom.event_ids)
    shares = _fill_shares(atom, host, fill)
    proven = events > 0 or any(seen.events.get(sibling) for sibling in atom.siblings)
    result = ProbeResult.PRESENT if events else ProbeResult.EMPTY
    if not events and not proven and atom.channel == "Security":
        # Of the Security channel, only the same audit subcategory says that the trace could come.
        result = ProbeResult.MISSING
    live = proven
    if events and _unsearchable(atom, host, fill):
        result, live = ProbeResult.UNSUPPORTED, False
    elif events and any(share < FILL_FLOOR for share in shares.values()):
        result, live = ProbeResult.FIELD_MISSING, False
    return HostProbe(
        host=host,
        atom_id=atom.id,
        result=result,
        live=live,
        events=events,
        hours=seen.delivering & _proven(atom, seen, arrivals.window.hours) if live else 0,
        fill=shares,
        first=seen.first if events else None,
        last=seen.last if events else None,
    )


def _proven(atom: Atom, seen: _Seen, hours: int) -> int:
    """Hours in which the source of a live atom was on, as far as its proofs tell."""
    ids = set(atom.siblings) | (set() if needs_match(atom) else set(atom.event_ids))
    proofs = _union(mask for event_id, mask in seen.hours.items() if event_id in ids)
    if not proofs:
        # Proven by a search for its ``where``, which says how often and not when.
        return (1 << hours) - 1
    return bridge(proofs, hours, int(PROOF_REACH / HOUR))


def _fill_shares(atom: Atom, host: str, fill: _Fill) -> dict[str, float]:
    shares: dict[str, float] = {}
    for name in atom.fields:
        filled = events = 0
        for event_id in atom.event_ids:
            counted = fill.get((host, f"{atom.channel}|{event_id}", name), (0, 0))
            filled, events = filled + (counted[0] or 0), events + counted[1]
        if events:
            shares[name] = filled / events
    return shares


def _unsearchable(atom: Atom, host: str, fill: _Fill) -> bool:
    """Whether the SIEM stores a needed field of the atom and cannot search it."""
    return any(
        fill.get((host, f"{atom.channel}|{event_id}", name), (0, 0))[0] is None
        for name in atom.fields
        for event_id in atom.event_ids
    )


def _answer(atom: Atom, host: str, result: ProbeResult) -> HostProbe:
    return HostProbe(host=host, atom_id=atom.id, result=result, live=False, events=0)
