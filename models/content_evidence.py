"""Evidence files: the shared catalogue of sources and traces, and what each technique leaves.

A folder's ``evidence/sources.yml`` holds what many techniques share: sources (how a log is switched
on, and which events prove that it is) and traces that a technique takes over with ``use``. Every
other file of the folder is one technique.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.resources.abc import Traversable
from typing import Any

from huntonce.models.content_files import PlacedError, load, yaml_files
from huntonce.models.evidence import Atom, EvidenceGroup, EvidenceModel, Hosts, Remedy
from huntonce.models.setaside import SetAside

SHARED = "sources.yml"
"""Name of a folder's catalogue of what its techniques share."""
_TEXTS = ("label", "gives", "channel", "source", "notes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A switch that turns traces on.

    Attributes:
        channel: The channel that it feeds; "" where it feeds more than one.
        events: Ids whose arrival on the channel proves that it is on; empty where nothing but the
            trace itself does (a rule of Sysmon, an object's audit entry).
        subcategory: GUID of the audit subcategory, without braces; "" for other switches.
    """

    id: str
    channel: str = ""
    events: tuple[int, ...] = ()
    subcategory: str = ""
    off_by_default: bool = False
    remedy: Remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Sources and traces by id, for technique files to refer to."""

    sources: Mapping[str, Source] = field(default_factory=dict)
    atoms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def with_(self, other: "Shared") -> "Shared":
        """Both; the other's win."""
        return Shared(
            sources={**self.sources, **other.sources}, atoms={**self.atoms, **other.atoms}
        )


def load_evidence(
    roots: Iterable[Traversable], shipped: Traversable, refused: list[SetAside]
) -> dict[str, EvidenceModel]:
    """Evidence models of the folders by technique; a later folder's replace an earlier's.

    What is wrong with a file is added to ``refused``. A later folder may use the sources and
    traces of those before it.
    """
    models: dict[str, EvidenceModel] = {}
    shared = Shared()
    for root in roots:
        ours = root is shipped
        items = yaml_files(root / "evidence")
        for item in items:
            if item.name == SHARED:
                added = load(item, "evidence-sources", _shared, refused, ours=ours)
                shared = shared.with_(added) if added else shared
        for item in items:
            if item.name != SHARED:
                model = load(item, "evidence", partial(build, shared=shared), refused, ours=ours)
                if model is not None:
                    models[model.technique_id] = model
    return models


def known_atoms(shared: Shared) -> tuple[Atom, ...]:
    """The shared traces as atoms, those without conditions: what derived models are made of."""
    return tuple(_atom(item, shared.sources, {}, "atoms") for item in shared.atoms.values())


def load_shared(roots: Iterable[Traversable], shipped: Traversable) -> Shared:
    """The sources and traces that the folders share; faulty files are left out."""
    shared = Shared()
    for root in roots:
        for item in yaml_files(root / "evidence"):
            if item.name == SHARED:
                added = load(item, "evidence-sources", _shared, [], ours=root is shipped)
                shared = shared.with_(added) if added else shared
    return shared


def build(data: Any, shared: Shared) -> EvidenceModel:  # noqa: ANN401 - checked against the schema
    """The model of a technique file.

    Raises:
        DomainError: An atom refers to what is not there; says which.
    """
    own = {item["id"]: _source(item) for item in data.get("sources", ())}
    sources = {**shared.sources, **own}
    groups = []
    for group in data["groups"]:
        place = f"groups/{group['name']}"
        atoms = tuple(_atom(item, sources, shared.atoms, place) for item in group["atoms"])
        twice = {a.id for a in atoms if [b.id for b in atoms].count(a.id) > 1}
        if twice:
            raise PlacedError(place, f"two atoms are called {min(twice)!r}")
        groups.append(
            EvidenceGroup(
                name=group["name"],
                required=group["required"],
                atoms=atoms,
                why=" ".join(group.get("why", "").split()),
            )
        )
    _check_same([atom for group in groups for atom in group.atoms])
    return EvidenceModel(
        technique_id=data["technique"],
        version=data["version"],
        provenance=data["provenance"],
        groups=tuple(groups),
        hosts=Hosts(data.get("hosts", Hosts.ALL)),
        notes=tuple(" ".join(note.split()) for note in data.get("notes", ())),
    )


def _check_same(atoms: Iterable[Atom]) -> None:
    """An id means one trace in a model: probes are kept by it."""
    seen: dict[str, Atom] = {}
    for atom in atoms:
        if seen.setdefault(atom.id, atom) != atom:
            raise PlacedError("groups", f"two different atoms are called {atom.id!r}")


def _atom(
    item: Mapping[str, Any],
    sources: Mapping[str, Source],
    templates: Mapping[str, Mapping[str, Any]],
    place: str,
) -> Atom:
    used = item.get("use", "")
    if used and used not in templates:
        raise PlacedError(place, f"no shared atom {used!r}")
    merged = {**templates.get(used, {}), **{k: v for k, v in item.items() if k != "use"}}
    place = f"{place}/{merged.get('id', used)}"
    for name in ("id", "label", "gives", "channel", "event_ids", "source"):
        if name not in merged:
            raise PlacedError(place, f"it has no {name!r}, and uses no shared atom that has")
    source = sources.get(merged["source"])
    if source is None:
        raise PlacedError(place, f"no source {merged['source']!r}")
    where = merged.get("where", {})
    if where and not isinstance(where.get("condition"), str):
        raise PlacedError(place, "its 'where' has no condition")
    proofs = source.events if source.channel == merged["channel"] else ()
    return Atom(
        **{name: merged[name] for name in _TEXTS if name in merged},
        id=merged["id"],
        event_ids=tuple(merged["event_ids"]),
        fields=tuple(merged.get("fields", ())),
        where=where,
        siblings=tuple(merged.get("siblings", proofs)),
        primary=merged.get("primary", False),
        off_by_default=source.off_by_default,
        remedy=source.remedy,
    )


def _shared(data: Any) -> Shared:  # noqa: ANN401 - checked against the schema
    sources = {item["id"]: _source(item) for item in data["sources"]}
    atoms = {item["id"]: item for item in data.get("atoms", ())}
    for name, item in atoms.items():
        if item["source"] not in sources:
            raise PlacedError(f"atoms/{name}", f"no source {item['source']!r}")
    return Shared(sources=sources, atoms=atoms)


def _source(item: Mapping[str, Any]) -> Source:
    audit = item.get("audit")
    if audit is None and "remedy" not in item:
        raise PlacedError(f"sources/{item['id']}", "it has neither 'audit' nor 'remedy'")
    channel = item.get("channel", "Security" if audit else "")
    return Source(
        id=item["id"],
        channel=channel,
        events=tuple(item.get("events", ())),
        subcategory=audit["guid"] if audit else "",
        off_by_default=item.get("off_by_default", False),
        remedy=_remedy(item, audit),
    )


def _remedy(item: Mapping[str, Any], audit: Mapping[str, Any] | None) -> Remedy:
    """Its own words and commands, after those that an audit subcategory needs."""
    given = item.get("remedy", {})
    texts, commands = [], []
    if audit:
        kinds = audit.get("kinds", ["success"])
        ids = audit["collect"]
        texts.append(
            f'Turn on the audit subcategory "{audit["name"]}" ({" and ".join(kinds)}) by group '
            f"policy, and collect Security {ids}. The GUID works on localised Windows too."
        )
        switches = " ".join(f"/{kind}:enable" for kind in kinds)
        commands += [
            f'auditpol /set /subcategory:"{{{audit["guid"]}}}" {switches}',
            f'auditpol /get /subcategory:"{{{audit["guid"]}}}"',
        ]
    if given:
        texts.append(" ".join(given["text"].split()))
        commands += given.get("commands", [])
    return Remedy(text=" ".join(texts), commands=tuple(commands))
