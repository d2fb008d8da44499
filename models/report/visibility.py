"""Visibility in the formats of others: DeTT&CT's two files and an ATT&CK Navigator layer.

Everything is computed from probes and marked so (``auto_generated``); nothing is typed in. DeTT&CT
scores visibility 0 to 4 and data quality 0 to 5; what a score stands for is in its comment.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from huntonce.models.attack import Catalogue
from huntonce.models.evidence import Atom, EvidenceModel
from huntonce.models.report.navigator import DOMAIN, Ink, layer_of
from huntonce.models.seeing import FILL_FLOOR
from huntonce.models.visibility import HostProbe, Power
from huntonce.models.windows import Window
from huntonce.models.wording import duration, percent

PROMPT = 15 * 60
"""Seconds; what is taken in within that is timely."""
_CODES = re.compile(r"EventCode\s*=\s*([0-9]{1,5}(?:\s*,\s*[0-9]{1,5})*)", re.ASCII)
_NAMES = {
    "WinEventLog:Sysmon": "Microsoft-Windows-Sysmon/Operational",
    "WinEventLog:PowerShell": "Microsoft-Windows-PowerShell/Operational",
    "WinEventLog:TaskScheduler": "Microsoft-Windows-TaskScheduler/Operational",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of one technique."""

    model: EvidenceModel
    window: Window
    population: int
    probes: Sequence[HostProbe]
    power: Power


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """A data component as it arrives, in shares (0..1).

    Attributes:
        devices: Hosts in scope on which one of its traces is live.
        fields: Needed fields that are filled, over its events.
        consistent: Hosts with events on which every needed field is filled well enough.
        kept: The window that is kept.
        lag: Worst 95th percentile of the seconds until events are taken in; None: not known.
        atoms: Labels of the traces.
    """

    devices: float
    fields: float
    consistent: float
    kept: float
    lag: float | None
    atoms: tuple[str, ...]


def components_of(measured: Iterable[Measured], catalogue: Catalogue) -> dict[str, str]:
    """Atom id to the name of the ATT&CK data component that it is.

    Which one that is, most references of ATT&CK's analytics to the same events say; a trace that
    ATT&CK does not refer to is of the component of the other traces in its group.
    """
    votes = _votes(catalogue)
    found: dict[str, str] = {}
    for one in measured:
        for group in one.model.groups:
            named = {a.id: _elected(a, votes) for a in group.atoms}
            usual = Counter(name for name in named.values() if name).most_common(1)
            for atom in group.atoms:
                name = named[atom.id] or (usual[0][0] if usual else "")
                if name:
                    found.setdefault(atom.id, catalogue.components.get(name, name))
    return found


def _votes(catalogue: Catalogue) -> Mapping[tuple[str, int], Counter[str]]:
    votes: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for analytics in catalogue.analytics.values():
        for source in (source for analytic in analytics for source in analytic.log_sources):
            channel = _NAMES.get(source.name, source.name.removeprefix("WinEventLog:"))
            codes = _CODES.search(source.channel)
            for code in codes[1].split(",") if codes else ():
                votes[channel, int(code)][source.component] += 1
    return votes


def _elected(atom: Atom, votes: Mapping[tuple[str, int], Counter[str]]) -> str:
    counted: Counter[str] = Counter()
    for event_id in atom.event_ids:
        counted.update(votes.get((atom.channel, event_id), {}))
    return min(counted, key=lambda name: (-counted[name], name), default="")


def qualities(measured: Sequence[Measured], components: Mapping[str, str]) -> dict[str, Quality]:
    """Data component to how it arrives, in the order of the names."""
    traces: dict[str, dict[str, tuple[Atom, Measured]]] = defaultdict(dict)
    for one in measured:
        for atom in one.model.atoms:
            if atom.id in components:
                traces[components[atom.id]].setdefault(atom.id, (atom, one))
    return {name: _quality(list(found.values())) for name, found in sorted(traces.items())}


def _quality(traces: Sequence[tuple[Atom, Measured]]) -> Quality:
    live: set[str] = set()
    with_events: set[str] = set()
    badly: set[str] = set()
    filled = events = 0.0
    depth, lags = 0, []
    for atom, one in traces:
        for answer in (p for p in one.probes if p.atom_id == atom.id):
            if answer.live:
                live.add(answer.host)
            depth = max(depth, answer.depth)
            if answer.lag is not None:
                lags.append(answer.lag)
            if not answer.events:
                continue
            with_events.add(answer.host)
            if any(share < FILL_FLOOR for share in answer.fill.values()):
                badly.add(answer.host)
            for share in answer.fill.values():
                filled, events = filled + share * answer.events, events + answer.events
    window = traces[0][1].window
    return Quality(
        devices=len(live) / max(1, traces[0][1].population),
        fields=filled / events if events else float(bool(with_events)),
        consistent=1 - len(badly) / len(with_events) if with_events else 0.0,
        kept=1 - depth / window.hours if with_events else 0.0,
        lag=max(lags, default=None),
        atoms=tuple(atom.label for atom, _ in traces),
    )


def by_quarters(share: float) -> int:
    """DeTT&CT's 0 to 5: nothing, up to 25 %, 50 %, 75 %, under 100 %, all of it."""
    if share <= 0:
        return 0
    if share >= 1:
        return 5
    return math.ceil(share * 4)


def by_halves(share: float) -> int:
    """DeTT&CT's score of consistency: 0, 1 (up to half), 3 (more), 5 (all)."""
    if share <= 0:
        return 0
    if share >= 1:
        return 5
    return 1 if share <= 0.5 else 3  # noqa: PLR2004 - half


def by_lag(lag: float | None, max_lag: float) -> int:
    """DeTT&CT's score of timeliness: 5 prompt, 3 within what is allowed, 1 later, 0 not known."""
    if lag is None:
        return 0
    if lag <= PROMPT:
        return 5
    return 3 if lag <= max_lag else 1


def visibility_score(share: float) -> int:
    """DeTT&CT's 0 to 4 by the share of a technique's data that is there."""
    return min(by_quarters(share), 3) if share < 1 else 4


def data_sources(
    measured: Sequence[Measured],
    catalogue: Catalogue,
    *,
    organisation: str,
    today: date,
    max_lag: float,
) -> dict[str, Any]:
    """A DeTT&CT data source administration file, version 1.1."""
    found = qualities(measured, components_of(measured, catalogue))
    return {
        "version": 1.1,
        "file_type": "data-source-administration",
        "name": f"{organisation}, measured by Huntonce",
        "domain": DOMAIN,
        "systems": [{"applicable_to": "all", "platform": ["Windows"]}],
        "data_sources": [
            {
                "data_source_name": name,
                "data_source": [
                    {
                        "applicable_to": ["all"],
                        "date_registered": today,
                        "date_connected": today if quality.devices else None,
                        "products": list(quality.atoms),
                        "available_for_data_analytics": quality.devices > 0,
                        "comment": _told(quality),
                        "auto_generated": True,
                        "data_quality": {
                            "device_completeness": by_quarters(quality.devices),
                            "data_field_completeness": by_quarters(quality.fields),
                            "timeliness": by_lag(quality.lag, max_lag) if quality.devices else 0,
                            "consistency": by_halves(quality.consistent),
                            "retention": by_quarters(quality.kept),
                        },
                    }
                ],
            }
            for name, quality in found.items()
        ],
        "exceptions": [],
    }


def _told(quality: Quality) -> str:
    lag = "not known" if quality.lag is None else f"95 % within {duration(quality.lag / 3600)}"
    return (
        f"measured: live on {percent(quality.devices)} of the hosts, needed fields "
        f"{percent(quality.fields)} filled, time to arrive {lag}"
    )


def techniques(
    measured: Sequence[Measured], catalogue: Catalogue, *, organisation: str, today: date
) -> dict[str, Any]:
    """A DeTT&CT technique administration file, version 1.2, with the visibility computed.

    Detections are left at -1 (none): what stands guard is in the report, not measured here.
    """
    components = components_of(measured, catalogue)
    found = qualities(measured, components)
    return {
        "version": 1.2,
        "file_type": "technique-administration",
        "name": f"{organisation}, measured by Huntonce",
        "domain": DOMAIN,
        "platform": ["Windows"],
        "techniques": [
            {
                "technique_id": one.model.technique_id,
                "technique_name": catalogue.name(one.model.technique_id),
                "detection": [
                    {
                        "applicable_to": ["all"],
                        "location": [""],
                        "comment": "",
                        "score_logbook": [{"date": None, "score": -1, "comment": ""}],
                    }
                ],
                "visibility": [
                    {
                        "applicable_to": ["all"],
                        "comment": "",
                        "score_logbook": [_score(one, components, found, today)],
                    }
                ],
            }
            for one in measured
        ],
    }


def _score(
    one: Measured, components: Mapping[str, str], found: Mapping[str, Quality], today: date
) -> dict[str, Any]:
    names = sorted({components[a.id] for a in one.model.atoms if a.id in components})
    share = sum(found[name].devices for name in names) / len(names) if names else 0.0
    return {
        "date": today,
        "score": visibility_score(share),
        "comment": f"{percent(share)} of {len(names)} data components over the hosts in scope; "
        f"all that a hunt needs: {one.power.words}",
        "auto_generated": True,
    }


def layer(
    measured: Sequence[Measured], catalogue: Catalogue, *, organisation: str, today: date
) -> dict[str, Any]:
    """A Navigator layer, format 4.5: a technique's score is its power in percent."""
    return layer_of(
        f"Visibility: {organisation}",
        "Share of hosts and hours in which all evidence that a hunt needs could be "
        f"seen, measured by probes on {today.isoformat()}. Techniques without a score have no "
        "evidence model.",
        [
            {
                "techniqueID": one.model.technique_id,
                "score": round(one.power.value * 100, 1),
                "comment": one.power.words,
                "enabled": True,
                "metadata": [
                    {"name": group.name, "value": percent(group.value)}
                    for group in one.power.groups
                ],
            }
            for one in measured
        ],
        Ink(
            colours=("#d7301f", "#fdcc8a", "#2c7fb8"),
            highest=100,
            legend={
                "#d7301f": "could not be looked at",
                "#2c7fb8": "all of it is seen everywhere",
            },
        ),
        attack=catalogue.version,
    )
