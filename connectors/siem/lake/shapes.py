"""The shapes in which Windows events arrive, and the one shape they leave in.

evtx-rs nested JSON (``Event.System``/``Event.EventData``, also with ``@Name`` attributes),
winlogbeat 6 (``log_name``, ``event_data``) and 7+ (``winlog``), and flat JSON as nxlog
(``EventTime``) or other collectors (``TimeCreated``) write it; each also inside ``_source``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from huntonce.connectors.siem.lake.clock import zone_of
from huntonce.connectors.siem.lake.fields import (
    Document,
    NotAnEventError,
    add_fields,
    as_text,
    integer,
    microseconds,
)
from huntonce.connectors.siem.lake.taskfields import add_task_fields, unescape_content
from huntonce.connectors.sigma.channels import SECURITY, SYSMON, TASK_SCHEDULER, canonical_channel

_MAX_QUALIFIED_ID = 0xFFFF_FFFF
_EVENT_ID_MASK = 0xFFFF
_MAX_RECORD_ID = 2**63 - 1
_MAX_DEPTH = 4
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_WRAPPERS = ("_source", "result")
_PROVIDER_CHANNELS = {
    "Microsoft-Windows-Security-Auditing": SECURITY,
    "Microsoft-Windows-Sysmon": SYSMON,
    "Microsoft-Windows-TaskScheduler": TASK_SCHEDULER,
}
_SYSTEM_FIELDS = ("Level", "Task", "Opcode", "Keywords", "Version")

_COLLECTOR_FIELDS = frozenset(
    {
        *("@timestamp", "@version", "@metadata", "tags", "type", "host", "port"),
        *("Channel", "EventID", "Hostname", "RecordNumber", "EventRecordID", "SourceName"),
        *("EventTime", "EventReceivedTime", "TimeCreated", "SourceModuleName"),
        *("SourceModuleType", "ProviderGuid", "ExecutionProcessID", "ThreadID", "Severity"),
        *("SeverityValue", "EventTypeOrignal", "OpcodeValue", "Category", "ActivityID"),
        *("RelatedActivityID", *_SYSTEM_FIELDS),
    }
)
"""Top-level names of flat JSON that describe the record, not what happened."""

_WRITER_FIELDS = frozenset({"AccountName", "AccountType", "UserID", "Domain"})
"""nxlog's account that wrote the record (mostly SYSTEM): it is not the one that acted."""

_NXLOG_TYPES = frozenset(
    {"INFO", "AUDIT_SUCCESS", "AUDIT_FAILURE", "WARNING", "ERROR", "VERBOSE", "DEBUG", "CRITICAL"}
)


@dataclass(slots=True)
class Event:
    """One event in the lake's own shape.

    Attributes:
        uid: 32 hex digits: the same event from another file has the same.
        host: Short name, upper case.
        computer: As recorded.
        recorded: The recorder's time as if it were UTC, microseconds since 1970.
        local: The recorder may have written another zone than UTC.
        hint: Offset of the recorder's zone by the collector's own two clocks, microseconds.
        ingested: When the collector took it, microseconds since 1970 UTC.
        fields: The event's own fields, values as text.
        problem: Why a part of it could not be read; the event itself stands.
    """

    uid: str
    host: str
    computer: str
    channel: str
    provider: str
    event_id: int
    record_id: int | None
    recorded: int
    local: bool
    hint: int | None
    ingested: int | None
    fields: dict[str, str]
    problem: str


def normalise(document: object) -> Event:
    """The event in a parsed JSON document.

    Raises:
        NotAnEventError: It is none that is known here; the message says what is missing.
    """
    for _ in range(_MAX_DEPTH):
        if not isinstance(document, dict):
            break
        event = document.get("Event")
        if isinstance(event, dict):
            return _from_evtx(event)
        if isinstance(document.get("winlog"), dict):
            return _from_winlogbeat(document)
        if "event_id" in document and ("log_name" in document or "event_data" in document):
            return _from_winlogbeat6(document)
        if "EventID" in document:
            return _from_flat(document)
        inner = next((document[key] for key in _WRAPPERS if key in document), None)
        if inner is None:
            break
        document = inner
    raise NotAnEventError("not a Windows event: it has no event id")


def _from_evtx(event: Document) -> Event:
    system = event.get("System")
    if not isinstance(system, dict):
        raise NotAnEventError("not a Windows event: Event.System is missing")
    fields: dict[str, str] = {}
    add_fields(fields, event.get("EventData"))
    user_data = event.get("UserData")
    if isinstance(user_data, dict):
        for element in user_data.values():
            add_fields(fields, element)
    recorded, _ = microseconds(_attribute(system, "TimeCreated", "SystemTime"))
    return _event(
        fields,
        system,
        computer=system.get("Computer"),
        channel=system.get("Channel"),
        provider=_attribute(system, "Provider", "Name"),
        event_id=_unwrap(system.get("EventID")),
        record_id=_unwrap(system.get("EventRecordID")),
        recorded=recorded,
        user_id=_attribute(system, "Security", "UserID"),
    )


def _from_winlogbeat(document: Document) -> Event:
    log: Document = document["winlog"]
    outer = document.get("event")
    stamps: Document = outer if isinstance(outer, dict) else {}
    fields: dict[str, str] = {}
    add_fields(fields, log.get("event_data"))
    add_fields(fields, log.get("user_data"))
    _add_message(fields, document.get("message"))
    recorded, _ = microseconds(log.get("time_created") or document.get("@timestamp"))
    return _event(
        fields,
        {name: log.get(name.lower()) for name in _SYSTEM_FIELDS},
        computer=log.get("computer_name") or _inner(document, "host", "name"),
        channel=log.get("channel"),
        provider=log.get("provider_name"),
        event_id=log.get("event_id", stamps.get("code")),
        record_id=log.get("record_id"),
        recorded=recorded,
        ingested=stamps.get("created") or stamps.get("ingested"),
        user_id=_inner(log, "user", "identifier"),
    )


def _from_winlogbeat6(document: Document) -> Event:
    fields: dict[str, str] = {}
    add_fields(fields, document.get("event_data"))
    add_fields(fields, document.get("user_data"))
    _add_message(fields, document.get("message"))
    recorded, _ = microseconds(document.get("@timestamp"))
    return _event(
        fields,
        {name: document.get(name.lower()) for name in _SYSTEM_FIELDS},
        computer=document.get("computer_name"),
        channel=document.get("log_name"),
        provider=document.get("source_name"),
        event_id=document.get("event_id"),
        record_id=document.get("record_number"),
        recorded=recorded,
        user_id=_inner(document, "user", "identifier"),
    )


def _from_flat(document: Document) -> Event:
    drop = _COLLECTOR_FIELDS
    if "AccountType" in document:
        drop |= _WRITER_FIELDS
    if document.get("EventType") in _NXLOG_TYPES:
        drop |= {"EventType"}
    fields: dict[str, str] = {}
    add_fields(fields, {key: value for key, value in document.items() if key not in drop})
    nxlog = "EventTime" in document
    recorded, zone = microseconds(
        document.get("EventTime") or document.get("TimeCreated") or document.get("@timestamp")
    )
    return _event(
        fields,
        document,
        computer=document.get("Hostname") or document.get("Computer"),
        channel=document.get("Channel"),
        provider=document.get("SourceName") or document.get("Provider"),
        event_id=document["EventID"],
        record_id=document.get("RecordNumber", document.get("EventRecordID")),
        recorded=recorded,
        local=not (nxlog and zone),
        hint=_collector_zone(document) if nxlog else None,
        ingested=document.get("@timestamp") if nxlog else None,
    )


def _event(  # noqa: PLR0913 - one argument a column
    fields: dict[str, str],
    system: Mapping[str, Any],
    *,
    computer: object,
    channel: object,
    provider: object,
    event_id: object,
    record_id: object,
    recorded: int,
    local: bool = False,
    hint: int | None = None,
    ingested: object = None,
    user_id: object = None,
) -> Event:
    number = integer(event_id)
    if number is None or not 0 <= number <= _MAX_QUALIFIED_ID:
        raise NotAnEventError("its event id is not a number of 32 bits")
    number &= _EVENT_ID_MASK  # some converters leave a classic event's qualifiers in the high half
    source = provider if isinstance(provider, str) else ""
    if not isinstance(channel, str) or not channel.strip():
        channel = _PROVIDER_CHANNELS.get(source, source)
    if not channel.strip():
        raise NotAnEventError("not a Windows event: it names no channel or provider")
    if not isinstance(computer, str) or not computer.strip():
        raise NotAnEventError("it names no computer")
    record = integer(record_id)
    if record is not None and not 0 <= record <= _MAX_RECORD_ID:
        record = None
    host, name = short_host(computer), canonical_channel(channel.strip())
    unescape_content(fields)
    uid = _uid(host, name, number, record, recorded, fields)
    problem = add_task_fields(number, name, fields)
    _add_system_fields(fields, system, user_id)
    return Event(
        uid=uid,
        host=host,
        computer=computer,
        channel=name,
        provider=source,
        event_id=number,
        record_id=record,
        recorded=recorded,
        local=local,
        hint=hint,
        ingested=_stamp(ingested),
        fields=fields,
        problem=problem,
    )


@lru_cache(maxsize=65_536)
def short_host(computer: str) -> str:
    """The name up to its first dot, upper case; an address stays whole."""
    name = computer.strip().upper()
    head, dot, _ = name.partition(".")
    if not dot or not head or ":" in name or name.replace(".", "").isdigit():
        return name
    return head


def clock_sample(document: Mapping[str, Any]) -> tuple[str, int] | None:
    """Host and offset that a flat Sysmon event shows: its UtcTime against the recorded time."""
    stamp, computer = document.get("UtcTime"), document.get("Hostname")
    if not isinstance(stamp, str) or not isinstance(computer, str):
        return None
    try:
        true, _ = microseconds(stamp)
        recorded, _ = microseconds(document.get("EventTime") or document.get("TimeCreated"))
    except NotAnEventError:
        return None
    offset = zone_of(true, recorded)
    return (short_host(computer), offset) if offset is not None else None


def _uid(
    host: str, channel: str, event_id: int, record: int | None, recorded: int, own: dict[str, str]
) -> str:
    identity = [host, channel.lower(), event_id, record, recorded, own]
    try:
        content = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise NotAnEventError(f"a value is not text: {error}") from None
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _add_system_fields(fields: dict[str, str], system: Mapping[str, Any], user_id: object) -> None:
    for name in _SYSTEM_FIELDS:
        value = system.get(name)
        if value is None or name in fields:
            continue
        if type(value) is int:
            # Windows shows the mask in hex; nxlog writes it as a signed number.
            fields[name] = f"0x{value & _MASK:x}" if name == "Keywords" else str(value)
        elif (text := as_text(value)) is not None:
            fields[name] = text
    if isinstance(user_id, str) and user_id:
        fields.setdefault("UserID", user_id)


def _add_message(fields: dict[str, str], message: object) -> None:
    if isinstance(message, str):
        fields.setdefault("Message", message)


def _attribute(system: Document, element: str, name: str) -> object:
    """An XML attribute, in any of the three ways that converters write them."""
    node = system.get(element)
    if type(node) is dict and (found := node.get("#attributes")) and type(found) is dict:
        return found.get(name)
    if not isinstance(node, dict):
        node = system.get(f"{element}_attributes")
    if not isinstance(node, dict):
        return None
    return node.get(name, node.get(f"@{name}"))


def _unwrap(value: object) -> object:
    return value.get("#text") if isinstance(value, dict) else value


def _inner(document: Mapping[str, Any], outer: str, name: str) -> object:
    found = document.get(outer)
    return found.get(name) if isinstance(found, dict) else None


def _collector_zone(document: Document) -> int | None:
    """Nxlog stamps the arrival twice: in UTC and in the recorder's zone."""
    try:
        arrived, _ = microseconds(document.get("@timestamp"))
        local, zone = microseconds(document.get("EventReceivedTime"))
    except NotAnEventError:
        return None
    return None if zone else zone_of(arrived, local)


def _stamp(value: object) -> int | None:
    if value is None:
        return None
    try:
        return microseconds(value)[0]
    except NotAnEventError:
        return None
