"""Rows of tables as the flat documents that ``shapes`` knows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from huntonce.connectors.siem.lake.fields import Document, NotAnEventError, add_fields, as_text
from huntonce.connectors.siem.lake.mapping import (
    Layout,
    MappingNeededError,
    TableMapping,
    layout_of,
)
from huntonce.connectors.siem.lake.tabletime import AmbiguousTimeError, moment, zone_named

_MESSAGE_LINE = re.compile(r"([A-Za-z][A-Za-z0-9]{1,60}): ?(.*)")
_MOST_LINES = 200
_NESTED = ("Event", "winlog", "_source", "result", "event_data")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table.

    Attributes:
        text: The row as JSON, a name a column, as it was.
    """

    text: bytes
    layout: Layout


def is_shaped(document: Mapping[str, Any]) -> bool:
    """Whether ``shapes`` knows a document as it is: a nested event, or one that nxlog wrote."""
    return any(name in document for name in _NESTED) or (
        "EventID" in document and "EventTime" in document and "Hostname" in document
    )


def shaped(document: Document, mapping: TableMapping | None) -> Document:
    """A flat document of another tool as ``shapes`` knows it.

    Raises:
        NotAnEventError: It cannot be told what it means.
    """
    try:
        return unfolded(document, layout_of(tuple(document), mapping))
    except MappingNeededError as error:
        raise NotAnEventError(str(error)) from error


def unfolded(row: Document, layout: Layout) -> Document:
    """A row as a flat document: ``EventTime`` where its zone is known, else ``TimeCreated``.

    Raises:
        NotAnEventError: Its time cannot be read.
    """
    made: Document = {}
    values = {target: row.get(column) for target, column in layout.targets.items()}
    values.update(layout.constants)
    made["EventID"] = values.get("event_id")
    made["Hostname"] = values.get("host")
    made["Channel"] = values.get("channel")
    made["SourceName"] = values.get("provider")
    record = values.get("record_id")
    if record not in (None, ""):
        made["RecordNumber"] = str(record).replace(",", "")
    provider, channel = str(values.get("provider") or ""), str(values.get("channel") or "")
    _add_time(made, values.get("time"), layout)
    for column, field in layout.fields:
        value = row.get(column)
        if value not in (None, "") and field not in made:
            made[field] = value
    if layout.payload:
        _add_payload(made, row.get(layout.payload))
    elif layout.message and "sysmon" in f"{provider} {channel}".lower():
        _add_message(made, row.get(layout.message))
    return made


def _add_time(made: Document, value: object, layout: Layout) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        made["EventTime"] = value
        return
    text = value.isoformat() if isinstance(value, datetime) else str(value or "")
    if text.startswith("/Date("):
        made["EventTime"] = text  # .NET's JSON: milliseconds since 1970 UTC
        return
    try:
        found = moment(text, time_format=layout.time_format, day_first=layout.day_first)
    except AmbiguousTimeError:
        raise NotAnEventError(
            f"its time {text[:40]!r} may be day or month first: give time_format in a mapping"
        ) from None
    if found is None:
        raise NotAnEventError(f"its time {text[:40]!r} cannot be read: give time_format")
    if isinstance(found, float):
        made["EventTime"] = found
    elif found.tzinfo is not None and (layout.explicit or layout.zone):
        made["EventTime"] = found.isoformat()
    elif layout.zone:
        made["EventTime"] = found.replace(tzinfo=zone_named(layout.zone)).isoformat()
    else:
        made["TimeCreated"] = found.isoformat()


def _add_payload(made: Document, value: object) -> None:
    """EvtxECmd's payload: the event's data as JSON."""
    try:
        payload = orjson.loads(str(value or "{}"))
    except orjson.JSONDecodeError:
        raise NotAnEventError("its payload is not JSON") from None
    if not isinstance(payload, dict):
        return
    fields: dict[str, str] = {}
    add_fields(fields, payload.get("EventData"))
    user = payload.get("UserData")
    if isinstance(user, dict):
        for element in user.values():
            add_fields(fields, element)
    made.update({name: text for name, text in fields.items() if name not in made})


def _add_message(made: Document, value: object) -> None:
    """Sysmon's message names its fields as they are, one a line."""
    text = as_text(value) or ""
    for line in text.splitlines()[:_MOST_LINES]:
        if match := _MESSAGE_LINE.fullmatch(line.rstrip()):
            made.setdefault(match[1], match[2])
