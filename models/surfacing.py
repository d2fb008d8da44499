"""Surfacing: from probes to gaps, one a source, with where, why and how to mend it."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from huntonce.models.evidence import Atom, EvidenceGroup, EvidenceModel, Remedy
from huntonce.models.gap import Gap, GapKind, Wait
from huntonce.models.seeing import FILL_FLOOR
from huntonce.models.visibility import HostProbe, ProbeResult
from huntonce.models.windows import Window
from huntonce.models.wording import duration

_KINDS = {
    ProbeResult.MISSING: GapKind.NO_SOURCE,
    ProbeResult.EMPTY: GapKind.NO_SOURCE,
    ProbeResult.STALE: GapKind.NO_SOURCE,
    ProbeResult.FIELD_MISSING: GapKind.MISSING_FIELD,
    ProbeResult.LAGGING: GapKind.LAG,
    ProbeResult.RETENTION_SHORT: GapKind.RETENTION,
    ProbeResult.UNAVAILABLE: GapKind.PERMISSION,
    ProbeResult.UNSUPPORTED: GapKind.PARSE,
}
_IN_PART = frozenset({ProbeResult.STALE, ProbeResult.LAGGING, ProbeResult.RETENTION_SHORT})
"""Faults of a trace that is nevertheless live in some hours."""
_OF_CHANNEL = frozenset({GapKind.LAG, GapKind.RETENTION, GapKind.PERMISSION, GapKind.PARSE})
"""Faults of the way that a whole channel takes, whichever switch turned its events on."""
_RANK = {"low": 0, "medium": 1, "high": 2}
_SEVERAL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """For whom a model is probed, and what the gaps are to say of it.

    Attributes:
        hypothesis_key: The hypothesis that waits; "" where none does.
        behaviour: Names the technique in the reason.
        window: What was probed.
        owner: Who mends gaps that no host's owner does.
        owners: Host to owner.
        refused: Atom id to why the SIEM would or could not say.
        mute: Hosts that never sent anything: it is their agent that is missing, not a switch.
    """

    siem: str
    hypothesis_key: str
    behaviour: str
    owner: str
    window: Window
    owners: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    mute: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class _Fault:
    """One way in which a primary atom fails: where, and where nothing else of its group helps."""

    group: EvidenceGroup
    atom: Atom
    kind: GapKind
    field_name: str
    answers: tuple[HostProbe, ...]
    dark: frozenset[str]

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(answer.host for answer in self.answers)

    @property
    def blind(self) -> int:
        return len(self.hosts & self.dark)

    @property
    def source(self) -> str:
        if self.kind in _OF_CHANNEL:
            return f"channel/{self.atom.channel}"
        return self.atom.source

    @property
    def severity(self) -> str:
        if not self.group.required:
            return "low"
        return "high" if self.blind else "medium"


@dataclass(slots=True)
class _Source:
    """What is wrong with one source in one way: its worst fault, and every host with any."""

    worst: _Fault
    hosts: set[str] = field(default_factory=set)
    faults: list[_Fault] = field(default_factory=list)

    @property
    def hiding(self) -> frozenset[str]:
        """Groups of which it hides a part of the window, though no host is dark by it."""
        return frozenset(f.group.name for f in self.faults if f.kind in _OF_CHANNEL)

    def add(self, fault: _Fault) -> None:
        self.hosts |= fault.hosts
        self.faults.append(fault)
        if _RANK[fault.severity] > _RANK[self.worst.severity]:
            self.worst = fault


def surface(model: EvidenceModel, probes: Sequence[HostProbe], asking: Asking) -> tuple[Gap, ...]:
    """The gaps in the primary traces of a model, worst first.

    Atoms that one switch turns on share a gap, and so do all atoms of a channel that is late, not
    kept, not readable or not understood. An alternative trace (not primary) raises none, unless
    its group has no primary one: it is named in the reason where it helps.
    """
    hosts = sorted({p.host for p in probes})
    sources: dict[tuple[str, str, GapKind], _Source] = {}
    dark = _dark(model, probes)
    for fault in _faults(model, probes, dark):
        key = (fault.source, fault.field_name, fault.kind)
        sources.setdefault(key, _Source(worst=fault)).add(fault)
    waits = _waits(model, sources.values(), dark, len(hosts), asking)
    gaps = [
        _gap(source, len(hosts), asking, waits[number])
        for number, source in enumerate(sources.values())
    ]
    return tuple(sorted(gaps, key=lambda g: (-_RANK[g.severity], -len(g.hosts), g.source)))


def _gap(source: _Source, population: int, asking: Asking, waits: tuple[Wait, ...]) -> Gap:
    fault, hosts = source.worst, tuple(sorted(source.hosts))
    kind = fault.kind
    if kind is GapKind.NO_SOURCE and len(hosts) < population:
        kind = GapKind.PARTIAL_POPULATION
    key = asking.hypothesis_key
    return Gap(
        gap_kind=kind,
        source=fault.source,
        atom_id=fault.atom.id,
        atom_label=fault.atom.label,
        field_name=fault.field_name,
        siem=asking.siem,
        hosts=hosts,
        population=population,
        group=fault.group.name,
        severity=fault.severity,
        reason=_reason(fault, kind, len(hosts), population, asking),
        remedy=_remedy(fault, asking),
        unlocks=(key,) if key else (),
        owner=_owner(hosts, asking),
        waits=waits,
        wanted_hours=asking.window.hours if kind is GapKind.RETENTION else 0,
    )


def _primary(group: EvidenceGroup) -> tuple[Atom, ...]:
    primary = tuple(atom for atom in group.atoms if atom.primary)
    return primary or group.atoms


def _dark(model: EvidenceModel, probes: Sequence[HostProbe]) -> dict[str, frozenset[str]]:
    """Group to the hosts on which nothing shows it (any more)."""
    hosts = {p.host for p in probes}
    live = {(p.host, p.atom_id) for p in probes if p.live and p.result is not ProbeResult.STALE}
    return {
        group.name: frozenset(
            host for host in hosts if not any((host, atom.id) in live for atom in group.atoms)
        )
        for group in model.groups
    }


def _faults(
    model: EvidenceModel, probes: Sequence[HostProbe], dark: Mapping[str, frozenset[str]]
) -> Iterator[_Fault]:
    answers: dict[str, list[HostProbe]] = {}
    for answer in probes:
        answers.setdefault(answer.atom_id, []).append(answer)
    for group in model.groups:
        for atom in _primary(group):
            failing: dict[tuple[GapKind, str], list[HostProbe]] = {}
            for answer in answers.get(atom.id, ()):
                if answer.live and answer.result not in _IN_PART:
                    continue
                for way in _ways(answer):
                    failing.setdefault(way, []).append(answer)
            for (kind, name), found in failing.items():
                yield _Fault(group, atom, kind, name, tuple(found), dark[group.name])


def _ways(answer: HostProbe) -> Iterator[tuple[GapKind, str]]:
    """In which ways an atom fails on a host: the kind, and the field where it is one."""
    kind = _KINDS.get(answer.result)
    if kind is None:  # present, and yet not live: switched on and off again within the window
        kind = GapKind.NO_SOURCE
    if kind is not GapKind.MISSING_FIELD:
        yield kind, ""
        return
    if len(answer.fill) >= _SEVERAL and not any(answer.fill.values()):
        yield GapKind.PARSE, ""  # that nothing at all is filled is no missing setting on the host
        return
    for name in _empty_fields(answer.fill):
        yield kind, name


def _empty_fields(fill: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(sorted(name for name, share in fill.items() if share < FILL_FLOOR))


def _waits(
    model: EvidenceModel,
    sources: Collection[_Source],
    dark: Mapping[str, frozenset[str]],
    population: int,
    asking: Asking,
) -> list[tuple[Wait, ...]]:
    """For each source what mending it would do for the hypothesis, group by group."""
    required = [group.name for group in model.groups if group.required]
    lit = [
        {
            name: frozenset[str]().union(*(f.hosts for f in source.faults if f.group.name == name))
            & dark[name]
            for name in required
        }
        for source in sources
    ]
    lightable = {name for name in required if any(one[name] for one in lit)}
    rest = min(
        (1 - len(dark[name]) / population for name in required if name not in lightable),
        default=1.0,
    )
    key, window = asking.hypothesis_key, asking.window
    return [
        tuple(
            Wait(
                hypothesis=key,
                group=name,
                dark=len(dark[name]) / population,
                lit=len(hosts) / population,
                rest=rest,
                start=window.start.isoformat(),
                end=window.end.isoformat(),
            )
            for name, hosts in one.items()
            if key and (hosts or name in source.hiding)
        )
        for source, one in zip(sources, lit, strict=True)
    ]


def _owner(hosts: Sequence[str], asking: Asking) -> str:
    """Who owns most of the hosts; the organisation's owner of gaps where nobody is named."""
    named = Counter(asking.owners[host] for host in hosts if host in asking.owners)
    if not named:
        return asking.owner
    return min(named, key=lambda owner: (-named[owner], owner))


def _remedy(fault: _Fault, asking: Asking) -> Remedy:
    if fault.kind in _OF_CHANNEL:
        return Remedy(text=_way(fault, asking))
    return _switched_on(fault, fault.hosts & frozenset(asking.mute))


def _switched_on(fault: _Fault, mute: Collection[str]) -> Remedy:
    """What to do where a trace does not arrive: it depends on what else does."""
    channel, remedy, count = fault.atom.channel, fault.atom.remedy, len(fault.answers)
    if len(mute) == count:
        return Remedy(
            text="These hosts send nothing at all: see that they run, install or mend their agent "
            f"and forwarder, and measure again. Then: {remedy.text}",
            commands=remedy.commands,
        )
    stopped = sum(answer.result is ProbeResult.STALE for answer in fault.answers)
    look = (
        f"{channel} did arrive and stopped: see whether agent and forwarder run on these hosts, "
        "and whether the channel was cleared, filled up or switched off."
    )
    if stopped == count:
        return Remedy(text=look, commands=(f'wevtutil gli "{channel}"',))
    text = remedy.text
    if sum(answer.result is ProbeResult.EMPTY for answer in fault.answers) == count:
        text += (
            f" {channel} itself arrives from these hosts: see also what the forwarder's filter "
            "leaves out."
        )
    if stopped:
        text += f" On {stopped} of the hosts: {look}"
    if mute:
        text += f" {_hosts(len(mute))} nothing at all: see to the agent there first."
    return Remedy(text=text, commands=remedy.commands)


def _hosts(count: int) -> str:
    return "1 host sends" if count == 1 else f"{count} hosts send"


def _way(fault: _Fault, asking: Asking) -> str:
    """How to mend the way that a channel takes; the switch on the host is not at fault."""
    channel, siem = fault.atom.channel, asking.siem
    names = ", ".join(fault.atom.fields) or "its fields"
    days = -(-asking.window.hours // 24)
    texts = {
        # Whether the source is on is not known: the first thing to mend is our own reading.
        GapKind.PERMISSION: f"Let Huntonce's account at {siem} read {channel}, or mend what "
        f"answers in place of {siem} (see what was said), and measure again.",
        GapKind.LAG: f"Find where {channel} waits on its way to {siem}: the forwarder's queue on "
        "these hosts, its batch size, the collector, the clock of the host.",
        GapKind.RETENTION: f"Let {siem} keep {channel} for {days} days or more.",
        GapKind.PARSE: f"The events are there and cannot be read: map {names} of {channel} at "
        f"{siem} (parser, add-on or ingest pipeline); the hosts need no change.",
    }
    return texts[fault.kind]


def _reason(fault: _Fault, kind: GapKind, count: int, population: int, asking: Asking) -> str:
    atom, group = fault.atom, fault.group
    where = f"{count} of {population} hosts"
    told = f": {asking.refused[atom.id]}" if atom.id in asking.refused else ""
    what = {
        GapKind.NO_SOURCE: f"{atom.label} {_not_from(fault)} {population} hosts",
        GapKind.PARTIAL_POPULATION: f"{atom.label} {_not_from(fault, some=True)} {where}",
        GapKind.MISSING_FIELD: f"{atom.label} arrives without {fault.field_name} on {where}",
        GapKind.PERMISSION: f"{atom.channel} could not be asked for{told}",
        GapKind.LAG: _late(fault, where),
        GapKind.RETENTION: _short(fault, asking.window),
        GapKind.PARSE: f"{atom.label} arrives from {where} and its fields cannot be read"
        if not told
        else f"{atom.label} cannot be asked for at {asking.siem}{told}",
    }[kind]
    if kind in {GapKind.NO_SOURCE, GapKind.PARTIAL_POPULATION}:
        what += _instead(fault, frozenset(asking.mute))
    if fault.blind and group.required:
        on = "there" if fault.blind == count else f"on {fault.blind} of them"
        effect = (
            f"{on} nothing else shows the {group.name} of {asking.behaviour}, we are blind to it"
        )
    else:
        effect = f"the {group.name} of {asking.behaviour} rests on weaker traces there"
    if kind in {GapKind.LAG, GapKind.RETENTION} and not fault.blind:
        effect = f"the {group.name} of {asking.behaviour} cannot be seen in all of the window"
    default = "; off by default" if atom.off_by_default else ""
    return f"{what}: {effect} ({atom.gives}{default})."


def _not_from(fault: _Fault, *, some: bool = False) -> str:
    """That it does not come; where it came earlier, which the grid of a hunt shows, that too."""
    stopped = [answer.quiet_since is not None for answer in fault.answers]
    if some:
        return "no longer arrives from" if stopped and all(stopped) else "does not arrive from"
    return "no longer arrives from any of" if any(stopped) else "arrives from none of"


def _instead(fault: _Fault, mute: frozenset[str]) -> str:
    """What the hosts without a trace do send: nothing, other events of the channel, or once it."""
    silent = len(fault.hosts & mute)
    empty = sum(answer.result is ProbeResult.EMPTY for answer in fault.answers)
    stale = [a.quiet_since for a in fault.answers if a.quiet_since is not None]
    parts = []
    if silent:
        parts.append(f"{silent} of them never sent anything at all")
    if empty:
        parts.append(f"{empty} of them send other events of the channel")
    if stale:
        parts.append(
            f"{len(stale)} of them sent it until {max(stale):%Y-%m-%d %H:%M} UTC at the latest"
        )
    return f" ({', '.join(parts)})" if parts else ""


def _late(fault: _Fault, where: str) -> str:
    worst = max((answer.lag or 0.0 for answer in fault.answers), default=0.0)
    return f"{fault.atom.channel} of {where} comes late, 95 % only within {duration(worst / 3600)}"


def _short(fault: _Fault, window: Window) -> str:
    depth = max((answer.depth for answer in fault.answers), default=0)
    return (
        f"{fault.atom.channel} is not kept for the first {duration(depth)} of the "
        f"{duration(window.hours)} asked for"
    )
