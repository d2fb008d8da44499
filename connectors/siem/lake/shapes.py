"""The shapes in which Windows events arrive, each as the lake's own.

evtx-rs nested JSON (``Event.System``/``Event.EventData``, also with ``@Name`` attributes),
winlogbeat 6 (``log_name``, ``event_data``) and 7+ (``winlog``; also with dotted names), what ECS
keeps of an event, and flat JSON as nxlog (``EventTime``) or other collectors (``TimeCreated``)
write it; each also inside what ``wrapping`` takes off.
"""

from collections.abc import Mapping
from typing import Any

from huntonce.connectors.siem.lake.beats import (
    from_winlogbeat,
    from_winlogbeat6,
    is_winlogbeat6,
)
from huntonce.connectors.siem.lake.clock import zone_of
from huntonce.connectors.siem.lake.dotted import is_dotted, nested, unlisted
from huntonce.connectors.siem.lake.ecs import from_ecs, is_ecs
from huntonce.connectors.siem.lake.event import SYSTEM_FIELDS, Event, make_event, short_host
from huntonce.connectors.siem.lake.fields import (
    Document,
    NotAnEventError,
    add_fields,
    microseconds,
)
from huntonce.connectors.siem.lake.wrapping import MAX_DEPTH, unwrapped

_COLLECTOR_FIELDS = frozenset(
    {
        *("@timestamp", "@version", "@metadata", "tags", "type", "host", "port"),
        *("Channel", "EventID", "Hostname", "RecordNumber", "EventRecordID", "SourceName"),
        *("EventTime", "EventReceivedTime", "TimeCreated", "SourceModuleName"),
        *("SourceModuleType", "ProviderGuid", "ExecutionProcessID", "ThreadID", "Severity"),
        *("SeverityValue", "EventTypeOrignal", "OpcodeValue", "Category", "ActivityID"),
        *("RelatedActivityID", *SYSTEM_FIELDS),
    }
)
"""Top-level names of flat JSON that describe the record, not what happened."""

_WRITER_FIELDS = frozenset({"AccountName", "AccountType", "UserID", "Domain"})
"""nxlog's account that wrote the record (mostly SYSTEM): it is not the one that acted."""

_NXLOG_TYPES = frozenset(
    {"INFO", "AUDIT_SUCCESS", "AUDIT_FAILURE", "WARNING", "ERROR", "VERBOSE", "DEBUG", "CRITICAL"}
)


def normalise(document: object) -> Event:
    """The event in a parsed JSON document.

    Raises:
        NotAnEventError: It is none that is known here; the message says what is missing.
    """
    for _ in range(MAX_DEPTH):
        if not isinstance(document, dict):
            break
        event = document.get("Event")
        if isinstance(event, dict):
            return _from_evtx(event)
        if isinstance(document.get("winlog"), dict):
            return from_winlogbeat(document)
        if is_winlogbeat6(document):
            return from_winlogbeat6(document)
        if (inside := unwrapped(document)) is not None:
            document = inside
        elif "EventID" in document:
            return _from_flat(document)
        elif is_dotted(document):
            document = nested(unlisted(document))
        elif is_ecs(document):
            return from_ecs(document)
        else:
            break
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
    return make_event(
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
    return make_event(
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


def _collector_zone(document: Document) -> int | None:
    """Nxlog stamps the arrival twice: in UTC and in the recorder's zone."""
    try:
        arrived, _ = microseconds(document.get("@timestamp"))
        local, zone = microseconds(document.get("EventReceivedTime"))
    except NotAnEventError:
        return None
    return None if zone else zone_of(arrived, local)
