"""Small values of the domain for tests: each builder gives a sound one, keywords change it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from huntonce.models.analytics.records import Record
from huntonce.models.arrivals import Arrivals
from huntonce.models.evidence import Atom, EvidenceGroup, EvidenceModel, Remedy
from huntonce.models.finding import Disposition, EventRef, Finding
from huntonce.models.hunt import Check
from huntonce.models.huntdef import AllowEntry, AnalyticSpec, DetectionTemplate, HuntDefinition
from huntonce.models.hypothesis import Hypothesis, HypothesisState
from huntonce.models.ids import digest
from huntonce.models.query import (
    COUNT_SCHEMA,
    EVENT_COLUMNS,
    FILL_SCHEMA,
    INVENTORY_SCHEMA,
    LAG_SCHEMA,
)
from huntonce.models.visibility import GroupPower, Power
from huntonce.models.windows import HOUR, Window

T0 = datetime(2026, 3, 2, 8, tzinfo=UTC)
"""A Monday morning."""
SECURITY = "Security"
SCHEDULER = "Microsoft-Windows-TaskScheduler/Operational"
SYSMON = "Microsoft-Windows-Sysmon/Operational"


def after(**span: float) -> datetime:
    """A moment so long after ``T0``."""
    return T0 + timedelta(**span)


def window(hours: int = 48, start: datetime = T0) -> Window:
    """So many whole hours from ``T0``."""
    return Window(start, start + hours * HOUR)


# ---------------------------------------------------------------- evidence and arrivals


def atom(atom_id: str = "security/4698", **changes: Any) -> Atom:
    """A primary atom of its own source, proven by its own ids."""
    channel = SYSMON if atom_id.startswith("sysmon") else SECURITY
    number = int("".join(c for c in atom_id.partition("/")[2] if c.isdigit()) or "1")
    values: dict[str, Any] = {
        "id": atom_id,
        "label": atom_id,
        "gives": "something",
        "channel": SCHEDULER if atom_id.startswith("taskscheduler") else channel,
        "event_ids": (number,),
        "siblings": (number,),
        "source": f"source of {atom_id}",
        "primary": True,
        "remedy": Remedy(text="switch it on", commands=("auditpol /set",)),
        **changes,
    }
    return Atom(**values)


def model(*groups: EvidenceGroup) -> EvidenceModel:
    """An evidence model; without groups: 4698 or Sysmon 11, and 4688, both required."""
    usual = (
        group("creation", atom("security/4698"), atom("sysmon/11", primary=False)),
        group("execution", atom("security/4688")),
    )
    return EvidenceModel(
        technique_id="T1053.005", version="1", provenance="curated", groups=groups or usual
    )


def group(name: str, *atoms: Atom, required: bool = True) -> EvidenceGroup:
    """A group of atoms."""
    return EvidenceGroup(name=name, required=required, atoms=atoms)


Arrived = tuple[str, str, int, int, int]
"""Host, channel, event id, hour of the window, number of events."""


def inventory(rows: Iterable[Arrived], start: datetime = T0) -> pa.Table:
    """An inventory of (host, channel, event id, hour, events)."""
    return pa.Table.from_pylist(
        [
            {
                "host": host,
                "channel": channel,
                "event_id": event_id,
                "hour": start + hour * HOUR,
                "events": events,
                "first": start + hour * HOUR,
                "last": start + hour * HOUR + timedelta(minutes=59),
            }
            for host, channel, event_id, hour, events in rows
        ],
        INVENTORY_SCHEMA,
    )


def arrivals(
    rows: Iterable[Arrived] = (),
    *,
    hours: int = 48,
    fill: Iterable[tuple[str, str, int, str, int, int]] = (),
    matches: Mapping[str, Mapping[str, int]] | None = None,
    refused: Mapping[str, str] | None = None,
    lags: Iterable[tuple[str, str, int, float]] = (),
    **more: Any,
) -> Arrivals:
    """What arrived; ``fill`` is (host, channel, event id, field, filled, events).

    ``matches`` has numbers of events by host, all in the first hour; ``lags`` is (host, channel,
    events, seconds).
    """
    names = FILL_SCHEMA.names
    return Arrivals(
        window=window(hours),
        inventory=inventory(rows),
        fill=pa.Table.from_pylist(
            [dict(zip(names, row, strict=True)) for row in fill], FILL_SCHEMA
        ),
        matches={
            atom_id: pa.Table.from_pylist(
                [{"host": host, "hour": T0, "events": n} for host, n in hosts.items()],
                COUNT_SCHEMA,
            )
            for atom_id, hosts in (matches or {}).items()
        },
        refused=refused or {},
        lags=pa.Table.from_pylist(
            [dict(zip(LAG_SCHEMA.names, row, strict=True)) for row in lags], LAG_SCHEMA
        ),
        **more,
    )


# ---------------------------------------------------------------- records and findings


def ref(uid: str = "e1", **changes: Any) -> EventRef:
    """A pointer to a Security 4698."""
    values: dict[str, Any] = {
        "uid": uid,
        "host": "PC1",
        "channel": SECURITY,
        "event_id": 4698,
        "record_id": 1,
        "time": T0,
        "role": "registration",
        **changes,
    }
    return EventRef(**values)


def record(
    entity: str = "\\Updater",
    host: str = "PC1",
    time: datetime = T0,
    **facts: str,
) -> Record:
    """A registration by a person; its reference is unique to entity, host and time."""
    uid = digest(entity, host, time, facts)[:12]
    return Record(
        entity=entity,
        host=host,
        time=time,
        facts={"task": entity, "event": "created", "registered_by": "CORP\\ann", **facts},
        refs=[ref(uid, host=host, time=time)],
        hosts={host},
    )


def spec(name: str = "odd", type_: str = "matches", weight: float = 0.4, **changes: Any) -> Any:
    """An analytic of a family of its own name."""
    values: dict[str, Any] = {
        "name": name,
        "type": type_,
        "weight": weight,
        "family": changes.pop("family", name),
        "why": changes.pop("why", f"because of {name}"),
        "options": changes,
    }
    return AnalyticSpec(**values)


def fact_spec(name: str, weight: float, **changes: Any) -> Any:
    """An analytic that fires where a record has the fact of its name."""
    return spec(name, "present", weight, fact=name, **changes)


def definition(
    *analytics: AnalyticSpec,
    allow: Iterable[AllowEntry] = (),
    detections: Iterable[DetectionTemplate] = (),
) -> HuntDefinition:
    """A hunt of these analytics."""
    return HuntDefinition(
        name="a-hunt",
        id="6c1f6a52-3b1c-4e0e-9f2b-7d6f6d0c1a53",
        version="1",
        title="A hunt",
        techniques=("T1053.005",),
        scope="windows",
        hypothesis="Somebody registered a task.",
        evidence="T1053.005",
        records="scheduled_task",
        searches=(),
        analytics=analytics,
        allow=tuple(allow),
        detections=tuple(detections),
        abnormal="odd ones",
        triage=(),
    )


def finding(uids: Iterable[str] = ("e1",), **changes: Any) -> Finding:
    """A malicious finding over events."""
    values: dict[str, Any] = {
        "hypothesis_key": "h",
        "technique_id": "T1053.005",
        "title": "\\Updater on PC1",
        "reason": "it is odd",
        "entity": "\\Updater",
        "score": 0.9,
        "terms": (),
        "state": Disposition.MALICIOUS,
        "hosts": ("PC1",),
        "accounts": ("CORP\\ann",),
        "first": T0,
        "last": T0,
        "events": tuple(ref(uid) for uid in uids),
        **changes,
    }
    return Finding(**values)


def check(name: str = "registered", **changes: Any) -> Check:
    """A check that ran and saw everything."""
    values: dict[str, Any] = {"name": name, "query": "SELECT 1", "events": 3, **changes}
    return Check(**values)


def power(value: float = 1.0, **groups: float) -> Power:
    """Power of a value; ``groups`` are the required groups' own values."""
    return Power(
        value=value,
        population=10,
        seen=10 if value else 0,
        hours=24,
        groups=tuple(
            GroupPower(name=name, required=True, value=share, hosts=10, atoms=())
            for name, share in (groups or {"creation": value}).items()
        ),
        blind=(),
        weakest="creation",
        words=f"{value:.0%} seen",
    )


def hypothesis(**changes: Any) -> Hypothesis:
    """A hypothesis that is ready to be hunted."""
    values: dict[str, Any] = {
        "technique_id": "T1053.005",
        "technique_name": "Scheduled Task",
        "scope": "windows",
        "statement": "Somebody keeps a foothold with a scheduled task.",
        "state": HypothesisState.READY,
        **changes,
    }
    return Hypothesis(**values)


# ---------------------------------------------------------------- result tables


def table(*rows: Mapping[str, Any]) -> pa.Table:
    """A search result; each row needs uid, time, host, channel and event_id."""
    fields = dict.fromkeys(name for row in rows for name in row)
    known = dict(EVENT_COLUMNS)
    schema = pa.schema(
        [*EVENT_COLUMNS, *((name, pa.string()) for name in fields if name not in known)]
    )
    return pa.Table.from_pylist([dict(row) for row in rows], schema)


def row(event_id: int, time: datetime = T0, host: str = "PC1", **fields: str) -> dict[str, Any]:
    """A row of a search result; its uid is a hash of what it says."""
    channel = {1: SYSMON, 11: SYSMON, 12: SYSMON, 13: SYSMON}.get(event_id, SECURITY)
    if event_id < 1000 and channel is SECURITY:
        channel = SCHEDULER
    return {
        "uid": digest(event_id, time, host, fields)[:16],
        "time": time,
        "host": host,
        "channel": channel,
        "event_id": event_id,
        "record_id": 1,
        **fields,
    }
