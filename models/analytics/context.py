"""Context: what lies around the records that stand out, joined on over every channel.

The process that did it and its parent and children, what else that process did, and the logon
session that it ran in. Processes are joined by ProcessGuid where the telemetry has it, else by
host, process id, program and time; sessions by host and logon id.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa

from huntonce.models.analytics import forms
from huntonce.models.analytics.records import Record, Row, host_of, ref_of, rows, text_of, time_of
from huntonce.models.query import SigmaSearch

PROCESSES, CHILDREN, ACTIVITY = "processes behind it", "children of it", "what the process did"
PARTS = ("process", "parent", "children", "activity", "logon")
"""What a hunt may ask for."""
FACTS = frozenset(
    {
        "command", "image", "image_name", "parent", "parent_name", "parent_command", "parent_guid",
        "parent_pid", "actor", "logon_id", "grandparent", "grandparent_name", "children",
        "child_commands", "connected_to", "wrote",
    }
)  # fmt: skip
"""Facts that the process context may add."""
LOGON_FACTS = frozenset({"remote_from", "remote_address", "session_type"})
"""Facts that the logon session, or the event's own address, may add."""
LIMIT = 200
"""Most processes asked about, each by its id."""
NEAR = timedelta(days=2)
"""A process id is taken to be the same process so long at most."""
SAME_SECOND = timedelta(seconds=1)
"""A logon is written with what it began; the order of two logs within a second means nothing."""
AFTER = timedelta(minutes=30)
"""What a process did counts as its context so long after the record, and a minute before."""
MAX_REFS = 20
"""Most events of one part of the context that a record points at."""

_GUID = re.compile(r"\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?")
"""What must be searched for only where it looks so: events are hostile, * would be a wildcard."""
_LOGON_ID = re.compile(r"(?:0x)?[0-9a-f]{1,16}")

_PROCESS_FIELDS = (
    "Image", "CommandLine", "ParentImage", "ParentCommandLine", "User", "LogonId", "ProcessId",
    "ParentProcessId", "ProcessGuid", "ParentProcessGuid",
)  # fmt: skip
_ACTIVITY_FIELDS = (
    "ProcessGuid", "Image", "DestinationIp", "DestinationPort", "DestinationHostname",
    "QueryName", "TargetFilename", "TargetObject",
)  # fmt: skip
_PROCESS = {"product": "windows", "category": "process_creation"}


def searches(records: Sequence[Record], parts: Iterable[str]) -> tuple[SigmaSearch, ...]:
    """What is to be asked about records; nothing where they tell no id."""
    wanted = set(parts)
    own, parents = _guids(records, "process_guid"), _guids(records, "parent_guid")
    pids = _pids(records)
    found: list[SigmaSearch] = []
    behind = sorted(
        {*(own if "process" in wanted else ()), *(parents if "parent" in wanted else ())}
    )
    selections: dict[str, object] = {}
    if behind:
        selections["guid"] = {"ProcessGuid": behind[: 2 * LIMIT]}
    if pids and wanted & {"process", "parent"}:
        selections["pid"] = {"ProcessId": pids}
    if selections:
        found.append(_search(PROCESSES, _PROCESS, selections, _PROCESS_FIELDS))
    if own and "children" in wanted:
        guids: dict[str, object] = {"guid": {"ParentProcessGuid": own[:LIMIT]}}
        found.append(_search(CHILDREN, _PROCESS, guids, _PROCESS_FIELDS))
    if own and "activity" in wanted:
        done: dict[str, object] = {"done": {"EventID": [3, 11, 22], "ProcessGuid": own[:LIMIT]}}
        source = {"product": "windows", "service": "sysmon"}
        found.append(_search(ACTIVITY, source, done, _ACTIVITY_FIELDS))
    return tuple(found)


def _search(
    name: str, source: Mapping[str, str], selections: Mapping[str, object], fields: Sequence[str]
) -> SigmaSearch:
    return SigmaSearch(
        name=name,
        logsource=source,
        detection={**selections, "condition": " or ".join(selections)},
        fields=tuple(fields),
        limit=20_000,
    )


def _guids(records: Iterable[Record], fact: str) -> list[str]:
    return sorted({v for r in records if _GUID.fullmatch(v := r.fact(fact))})


def _pids(records: Iterable[Record]) -> list[str]:
    """Process ids of what no GUID tells, as both spellings of the logs."""
    wanted: set[int] = set()
    for record in records:
        for guid, pid in (("process_guid", "pid"), ("parent_guid", "parent_pid")):
            if not record.fact(guid) and record.fact(pid).isdecimal():
                wanted.add(int(record.fact(pid)))
    numbers = sorted(wanted - {0, 4})[:LIMIT]
    return [spelled for number in numbers for spelled in (str(number), hex(number))]


def join(records: Sequence[Record], tables: Mapping[str, pa.Table]) -> None:
    """Add what the searches' answers tell, by the searches' names; absent answers tell nothing."""
    processes = rows(tables.get(PROCESSES))
    by_guid = {text_of(row, "ProcessGuid").casefold(): row for row in processes}
    by_pid: dict[tuple[str, str], list[Row]] = {}
    for row in processes:
        pid = forms.number(text_of(row, "ProcessId"))
        by_pid.setdefault((host_of(row), pid), []).append(row)
    children = _group(rows(tables.get(CHILDREN)), "ParentProcessGuid")
    activity = _group(rows(tables.get(ACTIVITY)), "ProcessGuid")
    for record in records:
        _add_process(record, by_guid, by_pid)
        _add_parent(record, by_guid, by_pid)
        guid = record.fact("process_guid")
        if guid:
            _add_children(record, children.get(guid, ()))
            _add_activity(record, activity.get(guid, ()))


def _group(found: Iterable[Row], field: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in found:
        groups.setdefault(text_of(row, field).casefold(), []).append(row)
    return groups


ByPid = Mapping[tuple[str, str], Sequence[Row]]


def _find(
    record: Record, guid: str, pid: str, program: str, by_guid: Mapping[str, Row], by_pid: ByPid
) -> Row | None:
    """The process of an id that had begun by then, the latest one where ids were reused."""
    if guid:
        return by_guid.get(guid)
    begun = [
        row
        for row in by_pid.get((record.host, pid), ())
        if timedelta(0) <= record.time - time_of(row) <= NEAR
        and (not program or forms.name(text_of(row, "Image")) == program)
    ]
    return max(begun, key=time_of, default=None)


def _add_process(record: Record, by_guid: Mapping[str, Row], by_pid: ByPid) -> None:
    if record.fact("parent") or not (record.fact("process_guid") or record.fact("pid")):
        return  # it is a process itself, or nothing is known of the one that did it
    row = _find(
        record, record.fact("process_guid"), record.fact("pid"), record.fact("image_name"),
        by_guid, by_pid,
    )  # fmt: skip
    if row is None:
        return
    told = {
        "command": text_of(row, "CommandLine"),
        "image": forms.path(text_of(row, "Image")),
        "image_name": forms.name(text_of(row, "Image")),
        "parent": forms.path(text_of(row, "ParentImage")),
        "parent_name": forms.name(text_of(row, "ParentImage")),
        "parent_command": text_of(row, "ParentCommandLine"),
        "parent_guid": text_of(row, "ParentProcessGuid").casefold(),
        "parent_pid": forms.number(text_of(row, "ParentProcessId")),
        "actor": forms.account(text_of(row, "User")),
        "logon_id": text_of(row, "LogonId").casefold(),
    }
    _learn(record, told)
    _refer(record, row, "process")


def _add_parent(record: Record, by_guid: Mapping[str, Row], by_pid: ByPid) -> None:
    if not (record.fact("parent_guid") or record.fact("parent_pid")):
        return
    row = _find(
        record, record.fact("parent_guid"), record.fact("parent_pid"), record.fact("parent_name"),
        by_guid, by_pid,
    )  # fmt: skip
    if row is None:
        return
    told = {
        "parent": forms.path(text_of(row, "Image")),
        "parent_name": forms.name(text_of(row, "Image")),
        "parent_command": text_of(row, "CommandLine"),
        "grandparent": forms.path(text_of(row, "ParentImage")),
        "grandparent_name": forms.name(text_of(row, "ParentImage")),
    }
    _learn(record, told)
    _refer(record, row, "parent")


def _learn(record: Record, told: Mapping[str, str]) -> None:
    for name, value in told.items():
        if value:
            record.facts.setdefault(name, value)


def _refer(record: Record, row: Row, role: str) -> None:
    ref = ref_of(row, role)
    if all(known.uid != ref.uid for known in record.refs):
        record.refs.append(ref)


def _near(record: Record, moment: datetime) -> bool:
    return -timedelta(minutes=1) <= moment - record.time <= AFTER


def _add_children(record: Record, found: Sequence[Row]) -> None:
    near = [row for row in found if _near(record, time_of(row))][:MAX_REFS]
    names = dict.fromkeys(forms.name(text_of(row, "Image")) for row in near)
    if near:
        record.facts["children"] = "\n".join(names)
        record.facts["child_commands"] = "\n".join(text_of(row, "CommandLine") for row in near)
    for row in near:
        _refer(record, row, "child")


def _add_activity(record: Record, found: Sequence[Row]) -> None:
    near = [row for row in found if _near(record, time_of(row))]
    connected = _lines(near, _peer)
    wrote = _lines(near, lambda row: text_of(row, "TargetFilename"))
    if connected:
        record.facts["connected_to"] = connected
    if wrote:
        record.facts["wrote"] = wrote
    for row in near[:MAX_REFS]:
        _refer(record, row, "trace")


def _peer(row: Row) -> str:
    address = text_of(row, "DestinationHostname", "DestinationIp", "QueryName")
    port = text_of(row, "DestinationPort")
    return f"{address}:{port}" if address and port else address


def _lines(found: Iterable[Row], told: Callable[[Row], str]) -> str:
    return "\n".join([value for value in dict.fromkeys(map(told, found)) if value][:MAX_REFS])


# ------------------------------------------------------------------ logon sessions

_NETWORK = "3"
"""Logon type of a session that came over the network; people who work over RDP are at home."""


def logon_search(records: Iterable[Record], limit: int = 500) -> SigmaSearch | None:
    """The logons of the sessions that records ran in, to see whether they came over the network."""
    found = {r.fact("logon_id") for r in records} - {"0x3e7", "0x3e4", "0x3e5", "0x0"}
    ids = sorted(value for value in found if _LOGON_ID.fullmatch(value))[:limit]
    if not ids:
        return None
    return SigmaSearch(
        name="logons of the actors",
        logsource={"product": "windows", "service": "security"},
        detection={
            "selection": {"EventID": 4624, "TargetLogonId": ids},
            "condition": "selection",
        },
        fields=("TargetLogonId", "LogonType", "IpAddress", "WorkstationName", "TargetUserName"),
    )


def join_logons(records: Iterable[Record], table: pa.Table, host_of_ip: Mapping[str, str]) -> None:
    """Add the network logon that a record's session began with, and where it came from.

    Ids of sessions are given anew after each start of a host: the latest logon before counts. A
    logon that came from the host itself has no address.
    """
    logons: dict[tuple[str, str], list[Row]] = {}
    for row in rows(table):
        key = host_of(row), text_of(row, "TargetLogonId").casefold()
        logons.setdefault(key, []).append(row)
    for record in records:
        begun = logons.get((record.host, record.fact("logon_id")), ())
        before = [row for row in begun if time_of(row) <= record.time + SAME_SECOND]
        found = max(before, key=time_of, default=None)
        if found is None:
            continue
        kind = text_of(found, "LogonType")
        record.facts.setdefault("session_type", kind)
        if kind != _NETWORK:
            continue
        _refer(record, found, "logon")
        address = text_of(found, "IpAddress")
        if forms.host(address):
            named = forms.host(text_of(found, "WorkstationName"))
            origin = host_of_ip.get(address) or named
            if origin != record.host:
                record.facts["remote_address"] = address
            _came_from(record, origin)


def join_addresses(records: Iterable[Record], host_of_ip: Mapping[str, str]) -> None:
    """Add the host that an event's own address stands for in the asset list."""
    for record in records:
        origin = host_of_ip.get(record.fact("remote_address"), "")
        _came_from(record, origin or record.fact("workstation"))


def _came_from(record: Record, origin: str) -> None:
    if origin and origin != record.host:
        record.facts.setdefault("remote_from", origin)
        record.hosts.add(origin)
