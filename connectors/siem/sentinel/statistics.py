"""What arrived, counted by the service."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pyarrow as pa

from huntonce.connectors.siem.fieldnames import RECORD_FIELDS
from huntonce.connectors.siem.lake.event import short_host
from huntonce.connectors.siem.lake.taskfields import TASK_FIELDS
from huntonce.connectors.siem.sentinel.kql import TIME, name
from huntonce.connectors.siem.sentinel.reading import Reader
from huntonce.connectors.siem.sentinel.shapes import time_of
from huntonce.connectors.siem.sentinel.tables import Table
from huntonce.connectors.siem.sentinel.workspace import Workspace
from huntonce.connectors.sigma.channels import canonical_channel
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.query import FILL_SCHEMA, INVENTORY_SCHEMA, FieldWant
from huntonce.models.windows import Window

_MOMENT = timedelta(microseconds=1)
_ENDS = f"first = min({TIME}), last = max({TIME})"
_ABSTAIN = frozenset({"level", "task", "opcode", "keywords", "version", "userid", "message"})


def extent(workspace: Workspace, tables: Sequence[Table]) -> Window | None:
    """First to just after the last event."""
    ends: list[datetime] = []
    for table in tables:
        (found,) = workspace.query(f"{table.shape.table}\n| summarize {_ENDS}")
        if found["first"] is not None:
            ends += [time_of(found["first"]), time_of(found["last"])]
    return Window(min(ends), max(ends) + _MOMENT) if ends else None


def hosts(workspace: Workspace, tables: Sequence[Table]) -> frozenset[str]:
    """Short names of every computer that sent anything."""
    return frozenset(
        short_host(str(row["Computer"]))
        for table in tables
        for row in workspace.query(f"{table.shape.table}\n| distinct Computer")
        if row["Computer"]
    )


def inventory(workspace: Workspace, tables: Sequence[Table], window: Window) -> pa.Table:
    """Events by host, channel, id and clock hour."""
    counted: dict[tuple[str, str, int, datetime], tuple[int, datetime, datetime]] = {}
    for table in tables:
        groups = f"Computer, channel = {name(table.shape.channel)}, EventID, hour = bin({TIME}, 1h)"
        asked = f"summarize events = count(), {_ENDS} by {groups}"
        for row in Reader(workspace, "the inventory").ask(table.shape.table, window, asked):
            if not row["Computer"] or not row["channel"] or row["EventID"] is None:
                continue
            channel = canonical_channel(str(row["channel"]))
            host, hour = short_host(str(row["Computer"])), time_of(row["hour"])
            first, last = time_of(row["first"]), time_of(row["last"])
            key = (host, channel, int(row["EventID"]), hour)
            known = counted.get(key, (0, first, last))
            events = known[0] + int(row["events"])
            counted[key] = (events, min(known[1], first), max(known[2], last))
    names = INVENTORY_SCHEMA.names
    rows = [dict(zip(names, (*key, *counted[key]), strict=True)) for key in sorted(counted)]
    return pa.Table.from_pylist(rows, INVENTORY_SCHEMA)


def countable(want: FieldWant) -> bool:
    """Whether the service can count the fields of a want: each is a value of the event's data."""
    asked = {field.lower() for field in want.fields}
    return not asked & (TASK_FIELDS | RECORD_FIELDS.keys() | _ABSTAIN)


def field_fill(workspace: Workspace, table: Table, want: FieldWant, window: Window) -> pa.Table:
    """Events in which each wanted field has a value that is more than a dash, by host.

    Where none is found, and the data of every event there cannot be read, the count is null: what
    is stored cannot be searched.
    """
    place = Variant(channel=want.channel, event_ids=(want.event_id,))
    head = "\n".join((table.shape.table, f"where {' and '.join(table.scope(place))}"))
    counts = [f"f{at} = countif({table.filled(one)})" for at, one in enumerate(want.fields)]
    counts += ["events = count()", f"unreadable = countif({table.unreadable()})"]
    asked = f"summarize {', '.join(counts)} by Computer"
    rows = Reader(workspace, "the fields").ask(head, window, asked)
    found = [
        {
            "host": short_host(str(row["Computer"])),
            "channel": canonical_channel(want.channel),
            "event_id": want.event_id,
            "field": field,
            "filled": None
            if not row[f"f{at}"] and row["unreadable"] == row["events"]
            else int(row[f"f{at}"]),
            "events": int(row["events"]),
        }
        for row in sorted(rows, key=lambda row: str(row["Computer"]))
        if row["Computer"]
        for at, field in enumerate(want.fields)
    ]
    return pa.Table.from_pylist(found, FILL_SCHEMA)
