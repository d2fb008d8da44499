"""Probe: what of a technique's evidence arrives, from which hosts, before any hunt runs."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from huntonce.models.errors import ConnectorError, TransientError
from huntonce.models.evidence import Atom, EvidenceModel, Hosts
from huntonce.models.ports import Siem
from huntonce.models.profile import Profile
from huntonce.models.query import FILL_SCHEMA, INVENTORY_SCHEMA, SigmaSearch
from huntonce.models.seeing import Arrivals, needs_match, power, probe, wants
from huntonce.models.visibility import HostProbe, Power
from huntonce.models.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What can be seen of a technique in a window."""

    model: EvidenceModel
    window: Window
    population: tuple[str, ...]
    probes: tuple[HostProbe, ...]
    power: Power

    def live_share(self, atom_id: str) -> float:
        """Share of the population on which an atom is live."""
        answers = [p for p in self.probes if p.atom_id == atom_id]
        return sum(p.live for p in answers) / len(answers) if answers else 0.0


def look(siem: Siem, model: EvidenceModel, window: Window, profile: Profile) -> Sight:
    """Measure every atom of a model on every host in scope.

    The population is the asset list of the profile; without one, the hosts that the SIEM knows.
    A SIEM that refuses makes atoms ``unavailable``: never an empty answer.

    Raises:
        TransientError: It did not answer. That says nothing of what arrives: to be tried again.
        ConnectorError: It refused even to name its hosts, and no asset list does.
    """
    population = population_of(siem, profile, model.hosts)
    arrivals = _ask(siem, model, window)
    probes = probe(model, population, arrivals)
    return Sight(
        model=model,
        window=window,
        population=population,
        probes=probes,
        power=power(model, population, window, probes),
    )


def population_of(siem: Siem, profile: Profile, hosts: Hosts = Hosts.ALL) -> tuple[str, ...]:
    """Hosts in scope, short names, upper case, sorted.

    Which hosts are domain controllers only the asset list's roles tell; where none is one there,
    every host is in scope: too many rather than a blind one left out.
    """
    assets = [a for a in profile.assets if a.platform == "windows"]
    meant = [a for a in assets if hosts.include(a.role)] or assets
    return tuple(sorted({a.host.split(".", 1)[0].upper() for a in meant} or siem.hosts()))


def _ask(siem: Siem, model: EvidenceModel, window: Window) -> Arrivals:
    refused: dict[str, str] = {}
    inventory, fill = INVENTORY_SCHEMA.empty_table(), FILL_SCHEMA.empty_table()
    try:
        inventory = siem.inventory(window)
        fill = siem.field_fill(window, wants(model))
    except TransientError:
        raise
    except ConnectorError as error:
        refused = {atom.id: str(error) for atom in model.atoms}
    matches: dict[str, dict[str, int]] = {}
    for atom in model.atoms:
        if needs_match(atom) and atom.id not in refused:
            try:
                matches[atom.id] = _matches(siem, atom, window)
            except TransientError:
                raise
            except ConnectorError as error:
                refused[atom.id] = str(error)
    return Arrivals(window=window, inventory=inventory, fill=fill, matches=matches, refused=refused)


def _matches(siem: Siem, atom: Atom, window: Window) -> dict[str, int]:
    ids: dict[str, object] = {"EventID": list(atom.event_ids)}
    service = _SERVICES.get(atom.channel)
    if service is None:  # Sigma has no name for it: the channel by its own
        ids["Channel"] = atom.channel
    search = SigmaSearch(
        name=f"arrival of {atom.label}",
        logsource={"product": "windows", **({"service": service} if service else {})},
        detection={
            "ids": ids,
            **{key: value for key, value in atom.where.items() if key != "condition"},
            "condition": f"ids and ({atom.where['condition']})",
        },
    )
    hosts = siem.search(search, window).table.column("host")
    counted: pa.StructArray = pc.value_counts(hosts)
    return {str(item["values"]): int(item["counts"]) for item in counted.to_pylist()}


_SERVICES = {
    "Security": "security",
    "System": "system",
    "Microsoft-Windows-Sysmon/Operational": "sysmon",
    "Microsoft-Windows-TaskScheduler/Operational": "taskscheduler",
}
