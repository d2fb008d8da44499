"""Surfacing: from probes to gaps, one a source, with where, why and how to mend it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from huntonce.models.evidence import Atom, EvidenceGroup, EvidenceModel, Remedy
from huntonce.models.gap import Gap, GapKind
from huntonce.models.seeing import FILL_FLOOR
from huntonce.models.visibility import HostProbe, ProbeResult

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
_RANK = {"low": 0, "medium": 1, "high": 2}


@dataclass(frozen=True, slots=True)
class _Fault:
    """One way in which a primary atom fails: where, and where nothing else of its group helps."""

    group: EvidenceGroup
    atom: Atom
    kind: GapKind
    field_name: str
    hosts: frozenset[str]
    blind: int

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

    def add(self, fault: _Fault) -> None:
        self.hosts |= fault.hosts
        if _RANK[fault.severity] > _RANK[self.worst.severity]:
            self.worst = fault


def surface(
    model: EvidenceModel,
    probes: Sequence[HostProbe],
    *,
    siem: str,
    hypothesis_key: str,
    behaviour: str,
    owner: str,
) -> tuple[Gap, ...]:
    """The gaps in the primary traces of a model, worst first.

    Atoms that one switch turns on share a gap. An alternative trace (not primary) raises none: it
    is named in the reason where it helps. ``behaviour`` names the technique in the reason.
    """
    population = len({p.host for p in probes})
    sources: dict[tuple[str, str, GapKind], _Source] = {}
    for fault in _faults(model, probes):
        key = (fault.atom.source, fault.field_name, fault.kind)
        sources.setdefault(key, _Source(worst=fault)).add(fault)
    gaps = []
    for source in sources.values():
        fault, hosts = source.worst, tuple(sorted(source.hosts))
        kind = fault.kind
        if kind is GapKind.NO_SOURCE and len(hosts) < population:
            kind = GapKind.PARTIAL_POPULATION
        gaps.append(
            Gap(
                gap_kind=kind,
                source=fault.atom.source,
                atom_id=fault.atom.id,
                atom_label=fault.atom.label,
                field_name=fault.field_name,
                siem=siem,
                hosts=hosts,
                population=population,
                group=fault.group.name,
                severity=fault.severity,
                reason=_reason(fault, kind, len(hosts), population, behaviour),
                remedy=_remedy(fault, siem),
                unlocks=(hypothesis_key,),
                owner=owner,
            )
        )
    return tuple(sorted(gaps, key=lambda g: (-_RANK[g.severity], -len(g.hosts), g.source)))


def _faults(model: EvidenceModel, probes: Sequence[HostProbe]) -> Iterator[_Fault]:
    answers: dict[str, list[HostProbe]] = {}
    for answer in probes:
        answers.setdefault(answer.atom_id, []).append(answer)
    live = {(p.host, p.atom_id) for p in probes if p.live}
    for group in model.groups:
        ids = {atom.id for atom in group.atoms}
        seen = {host for host, atom_id in live if atom_id in ids}
        for atom in group.atoms:
            if not atom.primary:
                continue
            failing: dict[tuple[GapKind, str], set[str]] = {}
            for answer in answers.get(atom.id, ()):
                for way in () if answer.live else _ways(answer):
                    failing.setdefault(way, set()).add(answer.host)
            for (kind, name), hosts in failing.items():
                yield _Fault(group, atom, kind, name, frozenset(hosts), len(hosts - seen))


def _ways(answer: HostProbe) -> Iterator[tuple[GapKind, str]]:
    """In which ways an atom fails on a host: the kind, and the field where it is one."""
    kind = _KINDS[answer.result]
    if kind is not GapKind.MISSING_FIELD:
        yield kind, ""
        return
    for name in _empty_fields(answer.fill):
        yield kind, name


def _empty_fields(fill: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(sorted(name for name, share in fill.items() if share < FILL_FLOOR))


def _remedy(fault: _Fault, siem: str) -> Remedy:
    if fault.kind is GapKind.PERMISSION:
        # Whether the source is on is not known: the first thing to mend is our own reading.
        return Remedy(
            text=f"Let Huntonce's account at {siem} read {fault.atom.channel}, and measure again."
        )
    if fault.kind is GapKind.PARSE:
        names = ", ".join(fault.atom.fields)
        return Remedy(
            text=f"Map {names} of {fault.atom.channel} in {siem} so that they are indexed, index"
            " anew, and measure again."
        )
    return fault.atom.remedy


def _reason(fault: _Fault, kind: GapKind, count: int, population: int, behaviour: str) -> str:
    atom, group = fault.atom, fault.group
    where = f"{count} of {population} hosts"
    what = {
        GapKind.NO_SOURCE: f"{atom.label} arrives from none of {population} hosts",
        GapKind.PARTIAL_POPULATION: f"{atom.label} does not arrive from {where}",
        GapKind.MISSING_FIELD: f"{atom.label} arrives without {fault.field_name} on {where}",
        GapKind.PERMISSION: f"{atom.label} could not be asked for",
        GapKind.PARSE: f"{atom.label} is stored without its fields being searchable on {where}",
    }.get(kind, f"{atom.label} is {kind} on {where}")
    if fault.blind and group.required:
        others = "nothing else shows it there"
        effect = (
            f"on {fault.blind} of them we are blind to the {group.name} of {behaviour}: {others}"
        )
    else:
        effect = f"the {group.name} of {behaviour} rests on weaker traces there"
    default = "; off by default" if atom.off_by_default else ""
    return f"{what}: {effect} ({atom.gives}{default})."
