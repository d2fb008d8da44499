"""Rows of a table as Windows events, in the shape that evtx-rs writes and the lake loads."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import orjson
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.lake.fields import NotAnEventError, microseconds
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.sentinel.kql import TIME
from huntonce.connectors.siem.sentinel.tables import Table

MAX_DATA = 1_048_576
"""Longest event data read, in characters: no column holds more."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOG = logging.getLogger(__name__)

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """Events of some rows, and how many of these have data that cannot be read."""

    rows: list[Row]
    unreadable: int


def events_of(table: Table, found: Iterable[Mapping[str, Any]], source: str) -> Read:
    """The events of some rows; what is none is left out, and logged."""
    rows: list[Row] = []
    unreadable = 0
    for one in found:
        try:
            document, whole = document_of(table, one)
            event = normalise(document)
        except NotAnEventError as error:
            _LOG.warning("%s: a row of %s is left out: %s", source, one.get(TIME), error)
            continue
        unreadable += not whole
        raw = orjson.dumps(document).decode()
        rows.append(Row(event, event.recorded, "utc", table.shape.table, raw))
    if unreadable:
        _LOG.warning("%s: the data of %d events cannot be read", source, unreadable)
    return Read(rows, unreadable)


def document_of(table: Table, row: Mapping[str, Any]) -> tuple[Document, bool]:
    """The event of a row, and whether all of its data could be read.

    Raises:
        NotAnEventError: It has no time.
    """
    shape = table.shape
    data: Document = {
        column: row[column] for column in table.data if row.get(column) not in (None, "")
    }
    whole = True
    for text in (row.get(column) for column in (shape.json, *shape.xml) if column):
        if text in (None, "", {}):
            continue
        found = text if isinstance(text, dict) else _read(str(text))
        if found is None:
            whole = False
            continue
        for name, value in found.items():
            data.setdefault(name, value)
    system: Document = {
        key: row[column]
        for key, column in shape.system.items()
        if key != "UserID" and row.get(column) not in (None, "")
    }
    user = row.get(shape.system.get("UserID", ""))
    return {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": row.get(shape.provider) or ""}},
                "EventID": row.get("EventID"),
                **system,
                "TimeCreated": {"#attributes": {"SystemTime": time_of(row.get(TIME)).isoformat()}},
                "EventRecordID": row.get(shape.record) if shape.record else None,
                "Channel": row.get(shape.channel),
                "Computer": row.get("Computer"),
                "Security": {"#attributes": {"UserID": user}} if user else None,
            },
            "EventData": data,
        }
    }, whole


def time_of(value: object) -> datetime:
    """A time of the service, cut to the microsecond.

    Raises:
        NotAnEventError: It is none.
    """
    text = str(value)
    head, dot, rest = text.partition(".")
    digits = rest.rstrip("Z")
    if dot and digits.isdigit():
        text = f"{head}.{digits[:6]}Z"
    found, _ = microseconds(text)
    return _EPOCH + timedelta(microseconds=found)


def _read(text: str) -> Document | None:
    """The named values in event data, JSON or XML; None where it is neither."""
    if len(text) > MAX_DATA:
        return None
    body = text.strip()
    if body.startswith("{"):
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None
    try:
        root = ElementTree.fromstring(body, forbid_dtd=True)
    except (DefusedXmlException, ParseError, ValueError):
        return None
    return _values(root)


def _values(root: Element) -> Document:
    inner = _inner(root)
    found: Document = {}
    unnamed: list[str] = []
    for element in inner:
        named = element.get("Name") if _local(element) == "Data" else _local(element)
        value = "".join(element.itertext())
        if named:
            found.setdefault(named, value)
        else:
            unnamed.append(value)
    if unnamed:
        found["Data"] = unnamed
    return found


def _inner(root: Element) -> Sequence[Element]:
    """The elements that hold the values, whatever stands around them."""
    element = root
    for _ in range(4):
        name = _local(element)
        if name == "EventData":
            return list(element)
        children = list(element)
        if name == "UserData":
            return list(children[0]) if children else []
        if name not in {"DataItem", "Event"}:
            return children
        wanted = [one for one in children if _local(one) in {"EventData", "UserData"}]
        if not wanted:
            return []
        element = wanted[0]
    return []


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
