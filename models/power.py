"""Power: how much of the hosts and hours in scope a hunt could see, in a number and in words."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from huntonce.models.evidence import Atom, EvidenceGroup, EvidenceModel
from huntonce.models.visibility import (
    Answers,
    Bits,
    FieldShare,
    GroupPower,
    HostProbe,
    Power,
    Trace,
    by_atom,
    hour_bits,
)
from huntonce.models.windows import HOUR, Window, floor_hour
from huntonce.models.wording import duration, percent

_WORST_FIELDS = 2
_MINUTE = timedelta(minutes=1)
_TELL_LAG = 15 * 60
"""Seconds; a lag below that is not worth a word."""


def power(
    model: EvidenceModel,
    population: Sequence[str],
    window: Window,
    probes: Sequence[HostProbe],
    scope: Mapping[str, int] | None = None,
) -> Power:
    """Share of the host-hours in scope in which every required group had a live atom.

    Formula: mean over hosts in scope and hours of the window of the product over required groups
    of [some atom of the group is live]. Telemetry with its needed fields filled can only add
    bits, so it never lowers the value (events without them may: they show that a trace would have
    been of no use); hosts outside the population are not counted at all. ``scope`` has the hours
    (bits) of hosts that are in scope for a part of the window only.
    """
    answers = by_atom(probes)
    hours = window.hours
    within = scope or {}
    every = (1 << hours) - 1
    inside = hour_bits([within.get(host, every) for host in population], hours)
    scoped = inside.any(axis=1)
    hosts = {population[number] for number in np.flatnonzero(scoped).tolist()}
    cells = max(1, _count(inside))
    groups: list[GroupPower] = []
    together = inside.copy()
    for group in model.groups:
        seen = np.zeros_like(inside)
        counted = {}
        for atom in group.atoms:
            one = answers.get(atom.id)
            counted[atom.id] = len(one.live.keys() & hosts) if one else 0
            if one and one.live:
                seen |= one.rows(population, hours)
        seen &= inside
        groups.append(
            GroupPower(
                name=group.name,
                required=group.required,
                value=_count(seen) / cells,
                hosts=int(seen.any(axis=1).sum()),
                atoms=tuple(atom.id for atom in group.atoms if counted[atom.id]),
                traces=_traces(group, counted),
            )
        )
        if group.required:
            together &= seen
    able = together.any(axis=1)
    blind = tuple(sorted(population[number] for number in np.flatnonzero(scoped & ~able).tolist()))
    required = [group for group in groups if group.required]
    lags = [one.lag for one in answers.values() if one.lag is not None]
    found = Power(
        value=_count(together) / cells,
        population=len(hosts),
        seen=len(hosts) - len(blind),
        hours=hours,
        groups=tuple(groups),
        blind=blind,
        weakest=min(required, key=lambda group: group.value).name,
        words="",
        fields=_fields(model, answers),
        lag=max(lags, default=None),
    )
    return with_words(found, window)


def _count(bits: Bits) -> int:
    """Hours of all hosts together."""
    return int(np.bitwise_count(bits).sum(dtype=np.int64))


def with_words(value: Power, window: Window, gap_ids: Sequence[str] = ()) -> Power:
    """The same power with its statement; ``gap_ids`` say why hosts are blind."""
    return replace(value, words=statement(value, window, gap_ids))


def statement(value: Power, window: Window, gap_ids: Sequence[str] = ()) -> str:
    """Where it could be seen, and where not: "412 of 450 hosts (91.6 %) for 2026-07-01 ..."."""
    if not value.population:
        return f"no host in scope for {span(window)}"
    share = value.seen / value.population
    parts = [f"{value.seen} of {value.population} hosts ({percent(share)}) for {span(window)}"]
    if percent(value.value) != percent(share):
        parts[0] += f", {percent(value.value)} of the host-hours"
    parts += [
        f"{f.field} in {percent(f.share)} of {f.label}"
        for f in value.fields[:_WORST_FIELDS]
        if f.filled < f.events
    ]
    if value.fields and all(f.filled == f.events for f in value.fields):
        parts.append("every needed field filled")
    if value.lag is not None and value.lag > _TELL_LAG:
        parts.append(f"95 % taken in within {duration(value.lag / 3600)}")
    if value.blind:
        noun = "host" if len(value.blind) == 1 else "hosts"
        why = f": {', '.join(gap_ids)}" if gap_ids else ""
        parts.append(f"{len(value.blind)} {noun} blind{why}")
    weakest = next(group for group in value.groups if group.name == value.weakest)
    if weakest.value < 1:
        parts.append(f"weakest: {weakest.name} ({percent(weakest.value)})")
    return "; ".join(parts)


def span(window: Window) -> str:
    """A window in words: by days where it is made of days, to the minute."""
    start, end = window.start, window.end + _MINUTE
    if start.hour or start.minute or end.hour or end.minute > 1:
        return str(window)
    last = window.end - timedelta(microseconds=1)
    days = (f"{start:%Y-%m-%d}", f"{last:%Y-%m-%d}")
    return days[0] if days[0] == days[1] else " .. ".join(days)


def short(atom: Atom) -> str:
    """Where an atom's events are, as people say it: "Security 4688"."""
    channel = atom.channel.removeprefix("Microsoft-Windows-").partition("/")[0]
    return f"{channel} {'/'.join(str(event_id) for event_id in atom.event_ids)}"


def _traces(group: EvidenceGroup, live_on: Mapping[str, int]) -> tuple[Trace, ...]:
    """``live_on`` has the number of hosts on which each atom is live."""
    named: dict[str, int] = {}
    for atom in group.atoms:
        hosts = live_on[atom.id]
        if atom.primary or hosts:
            named[atom.label] = max(hosts, named.get(atom.label, 0))
    return tuple(Trace(label=label, hosts=hosts) for label, hosts in named.items())


def _fields(model: EvidenceModel, answers: Mapping[str, Answers]) -> tuple[FieldShare, ...]:
    """Every needed field of what arrived, the worst filled first."""
    labels = {atom.id: short(atom) for atom in model.atoms if not atom.where}
    counts: dict[tuple[str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
    for atom_id, one in answers.items():
        for name, hosts in one.filled.items() if atom_id in labels else ():
            # Two atoms of the same events are counted once.
            counts[labels[atom_id], name].update(hosts)
    found = [
        FieldShare(
            label=label,
            field=name,
            filled=sum(filled for filled, _ in hosts.values()),
            events=sum(events for _, events in hosts.values()),
        )
        for (label, name), hosts in counts.items()
    ]
    return tuple(sorted(found, key=lambda f: (f.share, f.label, f.field)))


def hours_between(window: Window, joined: datetime | None, left: datetime | None) -> int:
    """Hours (bits) of a window from when a host joined until it left."""
    bits = (1 << window.hours) - 1
    start = floor_hour(window.start)
    if joined is not None and joined > window.start:
        bits &= -1 << int((joined - start) / HOUR)
    if left is not None and left < window.end:
        bits &= (1 << max(0, int((left - start) / HOUR))) - 1
    return bits
