"""Seeing: from what arrived to what could have been seen, one probe an atom and host.

An hour of a host is *live* for a trace when the host's channel was delivering then (two events
not further apart than ``MAX_SILENCE``, so that a weekend does not look like a dead agent) and
the source behind the trace was proven on not far from it (``PROOF_REACH``, because the proof may
be a rare event): by the trace itself, or by a sibling. A source that was switched on today says
nothing of last month; what is no longer kept, or not yet taken in, is not live either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from huntonce.models.arrivals import (
    MAX_SILENCE,
    Arrivals,
    Delivered,
    bridge,
    longest_hole,
    union,
)
from huntonce.models.evidence import Atom, EvidenceModel
from huntonce.models.query import FieldWant
from huntonce.models.visibility import MAX_LAG, Answers, HostProbe, HostProbes, ProbeResult
from huntonce.models.windows import HOUR

PROOF_REACH = timedelta(days=7)
"""Longest time between two proofs of a source in which it is taken to have been on."""
FILL_FLOOR = 0.5
"""Below this share of filled events a needed field counts as missing on a host."""
_LAPSES = 3
"""A source is taken to have stopped when its proofs stay away so many times longer than ever."""
_RETENTION_SLACK = 24
_REACH_HOURS = int(PROOF_REACH / HOUR)
_SILENCE_HOURS = int(MAX_SILENCE / HOUR)


def wants(*models: EvidenceModel) -> tuple[FieldWant, ...]:
    """The fields whose fill a probe of the models needs."""
    fields: dict[tuple[str, int], set[str]] = {}
    for atom in (atom for model in models for atom in model.atoms):
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
    model: EvidenceModel,
    population: Sequence[str],
    arrivals: Arrivals,
    *,
    max_lag: timedelta = MAX_LAG,
) -> HostProbes:
    """One answer for every atom of the model and every host of the population."""
    return Prober(population, arrivals, max_lag).probe(model)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked of every host.

    Attributes:
        proving: Event ids that prove the source on.
        fills: Needed field to the fill of each of the atom's events that has one, by host.
        unkept: Hours at the start of the window of which nothing is kept, where that counts.
    """

    atom: Atom
    proving: tuple[int, ...]
    fills: tuple[tuple[str, list[Mapping[str, tuple[int | None, int]]]], ...]
    unkept: int


class Prober:
    """Probes many models over the same arrivals and hosts.

    Models ask for the same traces again and again: what two atoms have in common is worked out
    once a host.
    """

    def __init__(
        self, population: Sequence[str], arrivals: Arrivals, max_lag: timedelta = MAX_LAG
    ) -> None:
        self._population = population
        self._arrivals = arrivals
        self._max_lag = max_lag / _SECOND
        self._known: dict[tuple[object, ...], Answers] = {}
        self._seen: dict[str, list[Delivered | None]] = {}
        self._silent: dict[tuple[str, ProbeResult], dict[str, HostProbe]] = {}
        self._on: dict[tuple[str, str, int], tuple[int, datetime | None]] = {}

    def probe(self, model: EvidenceModel) -> HostProbes:
        """One answer for every atom of the model and every host of the population."""
        return HostProbes({atom.id: self._atom(atom) for atom in model.atoms})

    def _atom(self, atom: Atom) -> Answers:
        if atom.id in self._arrivals.unsupported:
            return self._nowhere(atom, ProbeResult.UNSUPPORTED)
        if atom.id in self._arrivals.refused:
            return self._nowhere(atom, ProbeResult.UNAVAILABLE)
        # All that an answer depends on, but the host.
        where = atom.id if needs_match(atom) else ""
        key: tuple[object, ...] = (atom.channel,)  # nothing tells apart what never came
        if not self._nothing_came(atom):
            key = (atom.channel, atom.event_ids, atom.fields, atom.siblings, where)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Answers(self._ask(atom))
        return known

    def _nothing_came(self, atom: Atom) -> bool:
        """Whether neither the trace nor a sibling arrived from any host."""
        if needs_match(atom) and self._arrivals.matched.get(atom.id):
            return False
        came = self._came.get(atom.channel, frozenset())
        return came.isdisjoint(atom.event_ids) and came.isdisjoint(atom.siblings)

    @cached_property
    def _came(self) -> Mapping[str, frozenset[int]]:
        """Channel to every event id that is in the inventory or the fill."""
        came: dict[str, set[int]] = {}
        for (_, channel), seen in self._arrivals.delivered.items():
            came.setdefault(channel, set()).update(seen.hours)
        for channel, event_id, _ in self._arrivals.filled:
            came.setdefault(channel, set()).add(event_id)
        return {channel: frozenset(ids) for channel, ids in came.items()}

    def _nowhere(self, atom: Atom, result: ProbeResult) -> Answers:
        return Answers([_nothing(atom, host, result) for host in self._population])

    def _ask(self, atom: Atom) -> list[HostProbe]:
        arrivals = self._arrivals
        matches = arrivals.matched.get(atom.id, {}) if needs_match(atom) else None
        proving = frozenset(atom.siblings)
        if matches is None:
            proving |= frozenset(atom.event_ids)
        depth = arrivals.unkept(atom.channel)
        question = _Question(
            atom=atom,
            proving=tuple(proving),
            fills=tuple(
                (
                    name,
                    [
                        hosts
                        for event_id in atom.event_ids
                        if (hosts := arrivals.filled.get((atom.channel, event_id, name)))
                    ],
                )
                for name in atom.fields
            ),
            unkept=depth if depth > _RETENTION_SLACK else 0,
        )
        answers = []
        for host, seen in zip(self._population, self._delivered(atom.channel), strict=True):
            if seen is None:
                answers.append(self._silence(host, atom, ProbeResult.MISSING, None))
                continue
            matched = None if matches is None else matches.get(host, (0, 0))
            answers.append(self._one(question, host, seen, matched))
        return answers

    def _delivered(self, channel: str) -> list[Delivered | None]:
        """What each host of the population delivered of a channel."""
        known = self._seen.get(channel)
        if known is None:
            delivered = self._arrivals.delivered
            known = [delivered.get((host, channel)) for host in self._population]
            self._seen[channel] = known
        return known

    def _one(
        self, question: _Question, host: str, seen: Delivered, matched: tuple[int, int] | None
    ) -> HostProbe:
        arrivals, atom = self._arrivals, question.atom
        events, proofs = _evidence(question, seen, matched)
        shares, stored_only = _fill_shares(question, host)
        lag = arrivals.late.get((host, atom.channel)) if arrivals.late else None
        hours, quiet_since, depth = 0, None, 0
        result = ProbeResult.PRESENT if events else ProbeResult.EMPTY
        unreadable = _unreadable(shares, stored_only=stored_only) if events else None
        if not events and not proofs and atom.channel == "Security":
            # Of the Security channel, only the same audit subcategory says that the trace could
            # come.
            result = ProbeResult.MISSING
        if not events and not proofs and not shares:
            return self._silence(host, atom, result, lag)
        if unreadable is not None:
            result = unreadable
        elif proofs:
            hours, quiet_since = self._proven(host, atom.channel, seen, proofs)
            late = _late_hours(lag, arrivals) if lag is not None and lag > self._max_lag else 0
            depth = question.unkept
            hours &= ~late & -1 << depth
            if quiet_since is not None:
                result = ProbeResult.STALE
            elif late:
                result = ProbeResult.LAGGING
            elif depth:
                result = ProbeResult.RETENTION_SHORT
        return HostProbe(
            host=host,
            atom_id=atom.id,
            result=result,
            live=bool(hours),
            events=events,
            hours=hours,
            fill=shares,
            first=seen.first if events else None,
            last=seen.last if events else None,
            lag=lag,
            quiet_since=quiet_since,
            depth=depth,
        )

    def _silence(self, host: str, atom: Atom, result: ProbeResult, lag: float | None) -> HostProbe:
        """That nothing came: most answers are that, and all of a host's channel are alike."""
        hosts = self._silent.setdefault((atom.channel, result), {})
        known = hosts.get(host)
        if known is None:
            known = hosts[host] = HostProbe(
                host=host, atom_id=atom.id, result=result, live=False, events=0, lag=lag
            )
        return known

    def _proven(
        self, host: str, channel: str, seen: Delivered, proofs: int
    ) -> tuple[int, datetime | None]:
        """Hours in which a source with such proofs was on, and since when it is silent."""
        key = (host, channel, proofs)
        known = self._on.get(key)
        if known is None:
            on = seen.delivering & bridge(proofs, self._arrivals.hours, _REACH_HOURS)
            known = self._on[key] = (on, _quiet_since(host, seen, proofs, self._arrivals))
        return known


def _nothing(atom: Atom, host: str, result: ProbeResult) -> HostProbe:
    return HostProbe(host=host, atom_id=atom.id, result=result, live=False, events=0)


_SECOND = timedelta(seconds=1)


def _quiet_since(host: str, seen: Delivered, proofs: int, arrivals: Arrivals) -> datetime | None:
    """Since when a source that was on has been silent; None where it may well be on.

    Silence says something only where it is longer than what is usual there. A channel has stopped
    when its host went on with others for longer than ``MAX_SILENCE`` and than the channel ever
    paused before; a host, when it has been away ``_LAPSES`` times longer than ever (people are on
    holiday). A single source has stopped when its proofs stay away longer than they reach, and
    ``_LAPSES`` times longer than ever.
    """
    end = arrivals.end_hour
    if not seen.delivering >> end & 1:
        hours = union(seen.hours.values())
        usual, last = longest_hole(hours), hours.bit_length()
        alone = arrivals.last_hours[host] + 1 - last
        if alone > max(_SILENCE_HOURS, usual) or end + 1 - last > max(
            _SILENCE_HOURS, _LAPSES * usual
        ):
            return seen.last
    lapse = end + 1 - proofs.bit_length()
    if lapse <= _REACH_HOURS or proofs.bit_count() < _LAPSES:
        return None
    if lapse <= _LAPSES * longest_hole(proofs):
        return None
    return arrivals.start_hour + proofs.bit_length() * HOUR


def _late_hours(lag: float, arrivals: Arrivals) -> int:
    """Hours at the end of which events may still be under way."""
    under_way = int(timedelta(seconds=lag) / HOUR) + 1
    start = max(0, arrivals.end_hour + 1 - under_way)
    return (1 << arrivals.hours) - 1 & -1 << start


def _evidence(
    question: _Question, seen: Delivered, matched: tuple[int, int] | None
) -> tuple[int, int]:
    """How many events are the trace, and the hours in which it or a sibling arrived."""
    events, proofs = matched or (0, 0)
    if matched is None:
        for event_id in question.atom.event_ids:
            events += seen.events.get(event_id, 0)
    for event_id in question.proving:
        proofs |= seen.hours.get(event_id, 0)
    return events, proofs


def _fill_shares(question: _Question, host: str) -> tuple[dict[str, float], bool]:
    """Field to the share of events with it, and whether one is stored and cannot be searched."""
    shares: dict[str, float] = {}
    stored_only = False
    for name, counts in question.fills:
        filled = events = 0
        for hosts in counts:
            counted = hosts.get(host)
            if counted is None:
                continue
            stored_only |= counted[0] is None
            filled, events = filled + (counted[0] or 0), events + counted[1]
        if events:
            shares[name] = filled / events
    return shares, stored_only


def _unreadable(shares: Mapping[str, float], *, stored_only: bool) -> ProbeResult | None:
    """What is wrong with the needed fields of events that arrive; None for nothing."""
    if stored_only:  # the SIEM has them and cannot search them
        return ProbeResult.UNSUPPORTED
    return ProbeResult.FIELD_MISSING if any(s < FILL_FLOOR for s in shares.values()) else None
