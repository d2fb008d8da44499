"""Surfacing: from probes to gaps, one a source, with where, why and how to mend it."""

from collections.abc import Iterable, Mapping, Sequence

from huntonce.models.evidence import Atom, EvidenceGroup, EvidenceModel
from huntonce.models.gap import Gap, GapKind
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
    by_atom: dict[str, list[HostProbe]] = {}
    for answer in probes:
        by_atom.setdefault(answer.atom_id, []).append(answer)
    live = {(p.host, p.atom_id) for p in probes if p.live}
    found: dict[str, Gap] = {}
    for group in model.groups:
        for atom in group.atoms:
            if not atom.primary:
                continue
            for gap in _gaps_of(group, by_atom.get(atom.id, ()), live, population):
                full = Gap(
                    gap_kind=gap.kind,
                    source=atom.source,
                    atom_id=atom.id,
                    atom_label=atom.label,
                    field_name=gap.field_name,
                    siem=siem,
                    hosts=gap.hosts,
                    population=population,
                    group=group.name,
                    severity=gap.severity,
                    reason=_reason(atom, group, gap, population, behaviour),
                    remedy=atom.remedy,
                    unlocks=(hypothesis_key,),
                    owner=owner,
                )
                kept = found.get(full.key)
                if kept is None or _RANK[full.severity] > _RANK[kept.severity]:
                    found[full.key] = full
    return tuple(
        sorted(found.values(), key=lambda g: (-_RANK[g.severity], -len(g.hosts), g.source))
    )


_RANK = {"low": 0, "medium": 1, "high": 2}


class _Raw:
    """A gap before it is worded."""

    __slots__ = ("blind", "field_name", "hosts", "kind", "severity")

    def __init__(
        self, kind: GapKind, field_name: str, hosts: Iterable[str], blind: int, severity: str
    ) -> None:
        self.kind = kind
        self.field_name = field_name
        self.hosts = tuple(sorted(hosts))
        self.blind = blind
        self.severity = severity


def _gaps_of(
    group: EvidenceGroup,
    answers: Sequence[HostProbe],
    live: set[tuple[str, str]],
    population: int,
) -> Iterable[_Raw]:
    failing: dict[tuple[GapKind, str], list[str]] = {}
    for answer in answers:
        if answer.live:
            continue
        kind = _KINDS[answer.result]
        if kind is GapKind.MISSING_FIELD:
            for name in _empty_fields(answer.fill):
                failing.setdefault((kind, name), []).append(answer.host)
        else:
            failing.setdefault((kind, ""), []).append(answer.host)
    for (kind, name), hosts in failing.items():
        blind = sum(1 for host in hosts if not any((host, a.id) in live for a in group.atoms))
        severity = ("high" if blind else "medium") if group.required else "low"
        whole = kind is GapKind.NO_SOURCE and len(hosts) < population
        yield _Raw(GapKind.PARTIAL_POPULATION if whole else kind, name, hosts, blind, severity)


def _empty_fields(fill: Mapping[str, float]) -> tuple[str, ...]:
    worst = min(fill.values(), default=1.0)
    return tuple(sorted(name for name, share in fill.items() if share <= worst))


def _reason(atom: Atom, group: EvidenceGroup, gap: _Raw, population: int, behaviour: str) -> str:
    where = f"{len(gap.hosts)} of {population} hosts"
    what = {
        GapKind.NO_SOURCE: f"{atom.label} arrives from none of {population} hosts",
        GapKind.PARTIAL_POPULATION: f"{atom.label} does not arrive from {where}",
        GapKind.MISSING_FIELD: f"{atom.label} arrives without {gap.field_name} on {where}",
        GapKind.PERMISSION: f"{atom.label} could not be asked for",
    }.get(gap.kind, f"{atom.label} is {gap.kind} on {where}")
    if gap.blind and group.required:
        others = "nothing else shows it there"
        effect = f"on {gap.blind} of them we are blind to the {group.name} of {behaviour}: {others}"
    else:
        effect = f"the {group.name} of {behaviour} rests on weaker traces there"
    default = "; off by default" if atom.off_by_default else ""
    return f"{what}: {effect} ({atom.gives}{default})."
