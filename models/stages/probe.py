"""Probe: what of a technique's evidence arrives, from which hosts, before any hunt runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from huntonce.models.arrivals import Arrivals
from huntonce.models.errors import ConnectorError, TransientError, UnsupportedError
from huntonce.models.evidence import Atom, EvidenceModel, Hosts
from huntonce.models.ports import Siem
from huntonce.models.power import hours_between, power
from huntonce.models.profile import Asset, Profile
from huntonce.models.query import FILL_SCHEMA, INVENTORY_SCHEMA, LAG_SCHEMA, SigmaSearch
from huntonce.models.seeing import Prober, needs_match, wants
from huntonce.models.visibility import MAX_LAG, HostProbe, Power, by_atom
from huntonce.models.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The hosts in scope, and how they compare with what sends telemetry.

    Attributes:
        hosts: Short names, upper case, sorted.
        listed: They are an asset list's; else those that the telemetry shows.
        silent: In scope, and never sent anything.
        unlisted: Send telemetry, and are not on the asset list.
        scope: Hours (bits) of hosts that joined or left during the window.
        owners: Host to who mends it, where the asset list says so.
    """

    hosts: tuple[str, ...]
    listed: bool
    silent: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    scope: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What can be seen of a technique in a window.

    Attributes:
        refused: Atom id to why the SIEM would or could not say.
    """

    model: EvidenceModel
    window: Window
    population: tuple[str, ...]
    probes: Sequence[HostProbe]
    power: Power
    estate: Population | None = None
    refused: Mapping[str, str] = field(default_factory=dict)

    def live_share(self, atom_id: str) -> float:
        """Share of the population on which an atom is live."""
        answers = by_atom(self.probes).get(atom_id)
        return sum(p.live for p in answers.probes) / len(answers.probes) if answers else 0.0


def look(
    siem: Siem,
    model: EvidenceModel,
    window: Window,
    profile: Profile,
    *,
    max_lag: timedelta = MAX_LAG,
    now: datetime | None = None,
) -> Sight:
    """Measure every atom of a model on every host in scope.

    The population is the asset list of the profile; without one, the hosts that the SIEM knows.
    A SIEM that refuses makes atoms ``unavailable``: never an empty answer.

    Raises:
        TransientError: It did not answer. That says nothing of what arrives: to be tried again.
        ConnectorError: It refused even to name its hosts, and no asset list does.
    """
    (sight,) = look_for_all(siem, [model], window, profile, max_lag=max_lag, now=now)
    return sight


def look_for_all(
    siem: Siem,
    models: Sequence[EvidenceModel],
    window: Window,
    profile: Profile,
    *,
    max_lag: timedelta = MAX_LAG,
    now: datetime | None = None,
) -> tuple[Sight, ...]:
    """Measure many models at once: the SIEM is asked once for what they have in common.

    ``now`` is from when the SIEM's retention counts back; None: from the newest telemetry.

    Raises:
        TransientError, ConnectorError: As for ``look``.
    """
    estates = {
        hosts: estate_of(siem, profile, window, hosts)
        for hosts in dict.fromkeys(model.hosts for model in models)
    }
    asked = [(batch, _ask(siem, batch, window, now)) for batch in _batches(models)]
    sights: dict[str, Sight] = {}
    for batch, arrivals in asked:
        refused = {**arrivals.refused, **arrivals.unsupported}
        probers = {
            hosts: Prober(estates[hosts].hosts, arrivals, max_lag)
            for hosts in {model.hosts for model in batch}
        }
        for model in batch:
            estate = estates[model.hosts]
            probes = probers[model.hosts].probe(model)
            sights[model.technique_id] = Sight(
                model=model,
                window=window,
                population=estate.hosts,
                probes=probes,
                power=power(model, estate.hosts, window, probes, estate.scope),
                estate=estate,
                refused={a.id: refused[a.id] for a in model.atoms if a.id in refused},
            )
    return tuple(sights[model.technique_id] for model in models)


def remember(siem: Siem, models: Sequence[EvidenceModel], window: Window) -> None:
    """Ask now for what the probes of the models will ask of a window first.

    A SIEM that remembers has read its newest events then before somebody waits for a hunt; to any
    other it is of no use.

    Raises:
        TransientError, ConnectorError: As for ``look``.
    """
    siem.inventory(window)
    siem.field_fill(window, wants(*models))
    asked = {atom.id: atom for model in models for atom in model.atoms if needs_match(atom)}
    siem.counts_of([arrival_search(atom) for atom in asked.values()], window)


def _batches(models: Iterable[EvidenceModel]) -> list[list[EvidenceModel]]:
    """Models that can be asked for together: the same id means the same atom in all of a batch."""
    batches: list[tuple[list[EvidenceModel], dict[str, tuple[object, ...]]]] = []
    for model in models:
        own = {a.id: (a.channel, a.event_ids, a.where) for a in model.atoms}
        for batch, known in batches:
            if all(known.get(atom_id, meant) == meant for atom_id, meant in own.items()):
                batch.append(model)
                known.update(own)
                break
        else:
            batches.append(([model], dict(own)))
    return [batch for batch, _ in batches]


def population_of(siem: Siem, profile: Profile, hosts: Hosts = Hosts.ALL) -> tuple[str, ...]:
    """Hosts in scope, short names, upper case, sorted; ``hosts`` says which behave so at all."""
    return tuple(sorted(_meant(profile, hosts) if profile.assets else siem.hosts()))


def _meant(profile: Profile, hosts: Hosts) -> dict[str, Asset]:
    """The assets in scope by name; empty where there is no asset list.

    Which hosts are domain controllers only the asset list's roles tell; where none is one there,
    every host is in scope: too many rather than a blind one left out.
    """
    assets = [asset for asset in profile.assets if asset.platform == "windows"]
    return {a.name: a for a in ([a for a in assets if hosts.include(a.role)] or assets)}


def estate_of(siem: Siem, profile: Profile, window: Window, hosts: Hosts = Hosts.ALL) -> Population:
    """The population, with what the asset list and the telemetry do not agree on."""
    assets = _meant(profile, hosts)
    if not profile.assets:
        return Population(hosts=tuple(sorted(siem.hosts())), listed=False)
    try:
        sending = siem.hosts()
    except TransientError:
        raise
    except ConnectorError:
        sending = None  # what it will not say is no silence
    known = {asset.name for asset in profile.assets}
    return Population(
        hosts=tuple(sorted(assets)),
        listed=True,
        silent=tuple(sorted(set(assets) - sending)) if sending is not None else (),
        unlisted=tuple(sorted(sending - known)) if sending is not None else (),
        scope={
            name: hours_between(window, asset.joined, asset.left)
            for name, asset in assets.items()
            if asset.joined is not None or asset.left is not None
        },
        owners={name: asset.owner for name, asset in assets.items() if asset.owner},
    )


def _ask(
    siem: Siem, models: Sequence[EvidenceModel], window: Window, now: datetime | None
) -> Arrivals:
    atoms = {atom.id: atom for model in models for atom in model.atoms}
    refused: dict[str, str] = {}
    unsupported: dict[str, str] = {}
    inventory, fill = INVENTORY_SCHEMA.empty_table(), FILL_SCHEMA.empty_table()
    lags, extent = LAG_SCHEMA.empty_table(), None
    try:
        inventory = siem.inventory(window)
        fill = siem.field_fill(window, wants(*models))
        lags = siem.lags(window)
        extent = siem.extent()
    except TransientError:
        raise
    except UnsupportedError as error:
        unsupported = dict.fromkeys(atoms, str(error))
    except ConnectorError as error:
        refused = dict.fromkeys(atoms, str(error))
    matches: dict[str, pa.Table] = {}
    asked = [
        atom
        for atom in atoms.values()
        if needs_match(atom) and atom.id not in refused and atom.id not in unsupported
    ]
    answers = siem.counts_of([arrival_search(atom) for atom in asked], window)
    for atom, answer in zip(asked, answers, strict=True):
        if isinstance(answer, UnsupportedError):
            unsupported[atom.id] = str(answer)
        elif isinstance(answer, ConnectorError):
            refused[atom.id] = str(answer)
        else:
            matches[atom.id] = answer
    return Arrivals(
        window=window,
        inventory=inventory,
        fill=fill,
        matches=matches,
        refused=refused,
        unsupported=unsupported,
        lags=lags,
        kept=_kept(siem, atoms.values(), extent, now),
        newest=extent.end if extent is not None else None,
    )


def _kept(
    siem: Siem, atoms: Iterable[Atom], extent: Window | None, now: datetime | None
) -> dict[str, datetime]:
    """Channel to the moment before which the SIEM keeps nothing; "" for every other channel."""
    if extent is None:
        return {}
    able, end = siem.capabilities(), now or extent.end
    kept = {"": extent.start}  # held by nobody: not kept, or never sent to this SIEM
    for channel in {atom.channel for atom in atoms}:
        days = able.channel_retention_days.get(channel, able.retention_days)
        if days is not None:
            kept[channel] = max(extent.start, end - timedelta(days=days))
    return kept


def arrival_search(atom: Atom) -> SigmaSearch:
    """The search that counts the events of an atom with a ``where``."""
    ids: dict[str, object] = {"EventID": list(atom.event_ids)}
    service = _SERVICES.get(atom.channel)
    if service is None:  # Sigma has no name for it: the channel by its own
        ids["Channel"] = atom.channel
    return SigmaSearch(
        name=f"arrival of {atom.label}",
        logsource={"product": "windows", **({"service": service} if service else {})},
        detection={
            "ids": ids,
            **{key: value for key, value in atom.where.items() if key != "condition"},
            "condition": f"ids and ({atom.where['condition']})",
        },
    )


_SERVICES = {
    "Security": "security",
    "System": "system",
    "Microsoft-Windows-Sysmon/Operational": "sysmon",
    "Microsoft-Windows-TaskScheduler/Operational": "taskscheduler",
}
