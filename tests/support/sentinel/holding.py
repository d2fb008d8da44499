"""Events as the tables of a workspace hold them.

Columns: https://learn.microsoft.com/azure/azure-monitor/reference/tables/securityevent,
.../windowsevent and .../event (some of those that are there).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from tests.support.sentinel.evaluating import Row, Schema

_OWN = (
    *("SubjectUserName", "SubjectUserSid", "SubjectDomainName", "SubjectLogonId", "TargetUserName"),
    *("NewProcessName", "NewProcessId", "ProcessId", "ParentProcessName", "CommandLine"),
    *("MandatoryLabel", "TokenElevationType", "IpAddress", "WorkstationName", "ObjectName"),
    *("ProcessName", "ServiceName", "LogonProcessName", "TargetLogonId", "Status"),
)

SCHEMAS: Mapping[str, Schema] = {
    "SecurityEvent": {
        "TenantId": "string", "TimeGenerated": "datetime", "SourceSystem": "string",
        "Account": "string", "AccountType": "string", "Computer": "string",
        "EventSourceName": "string", "Channel": "string", "Task": "int", "Level": "string",
        "EventID": "int", "Activity": "string", "EventData": "string", "EventRecordId": "string",
        "Keywords": "string", "Opcode": "string", "SystemUserId": "string", "Version": "int",
        "Process": "string", "LogonType": "int", "Type": "string", "_ResourceId": "string",
        **dict.fromkeys(_OWN, "string"),
    },
    "WindowsEvent": {
        "TenantId": "string", "TimeGenerated": "datetime", "Provider": "string",
        "Channel": "string", "Computer": "string", "Task": "int", "EventLevel": "int",
        "EventLevelName": "string", "EventID": "int", "EventRecordId": "string",
        "EventData": "dynamic", "RawEventData": "string", "SystemUserId": "string",
        "Version": "int", "Opcode": "string", "Keywords": "string", "Correlation": "string",
        "SystemProcessId": "int", "SystemThreadId": "int", "Type": "string",
    },
    "Event": {
        "TenantId": "string", "TimeGenerated": "datetime", "Source": "string",
        "EventLog": "string", "Computer": "string", "EventLevel": "int",
        "EventLevelName": "string", "ParameterXml": "string", "EventData": "string",
        "EventID": "int", "RenderedDescription": "string", "UserName": "string",
        "EventCategory": "int", "Type": "string",
    },
}  # fmt: skip


def tables_of(
    events: Iterable[Mapping[str, Any]], others: str
) -> dict[str, tuple[Schema, list[Row]]]:
    """Tables of events as evtx-rs writes them: Security's in its own, the rest in ``others``."""
    rows: dict[str, list[Row]] = {table: [] for table in SCHEMAS}
    for document in events:
        system, data = document["Event"]["System"], document["Event"].get("EventData") or {}
        table = "SecurityEvent" if system["Channel"] == "Security" else others
        rows[table].append(_row(table, system, dict(data)))
    return {table: (SCHEMAS[table], found) for table, found in rows.items()}


def _row(table: str, system: Mapping[str, Any], data: dict[str, Any]) -> Row:
    schema = SCHEMAS[table]
    row: Row = {
        column: None if kind in {"int", "dynamic", "datetime"} else ""
        for column, kind in schema.items()
    }
    stamp = datetime.fromisoformat(system["TimeCreated"]["#attributes"]["SystemTime"])
    since = stamp.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    row["TimeGenerated"] = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    row |= {"Computer": system["Computer"], "EventID": system["EventID"], "Type": table}
    provider = system["Provider"]["#attributes"]["Name"]
    row |= {"Event": {"EventLog": system["Channel"], "Source": provider}}.get(
        table,
        {"Channel": system["Channel"], "EventRecordId": str(system.get("EventRecordID") or "")},
    )
    if table == "SecurityEvent":
        row |= {"EventSourceName": provider, "Activity": f"{system['EventID']} - Something."}
        for name in (*_OWN, "LogonType"):
            if name in data:
                row[name] = data.pop(name)
    if table == "WindowsEvent":
        row |= {"Provider": provider, "EventData": data}
    elif data:
        items = "".join(
            f"<Data Name={quoteattr(name)}>{escape(str(value))}</Data>"
            for name, value in data.items()
        )
        row["EventData"] = (
            '<DataItem type="System.XmlData" time="2026-05-01T00:00:00.0000000Z"><EventData'
            f' xmlns="http://schemas.microsoft.com/win/2004/08/events/event">{items}'
            "</EventData></DataItem>"
        )
    return row
