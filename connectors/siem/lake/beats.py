"""Events as Winlogbeat and the Elastic Agent write them: version 6, and 7 and later."""

import re
from typing import Any

from huntonce.connectors.siem.lake.event import SYSTEM_FIELDS, Event, inner, make_event
from huntonce.connectors.siem.lake.fields import Document, add_fields, as_text, microseconds
from huntonce.connectors.sigma.channels import POWERSHELL_CLASSIC, SECURITY, canonical_channel

_PARAMETER = re.compile(r"param[0-9]{1,3}")
_XML_NAME = "xml_name"
_AUDIT = {"Audit Success": "0x8020000000000000", "Audit Failure": "0x8010000000000000"}
"""The Security log's masks by the names that Windows shows for them."""


def is_winlogbeat6(document: Document) -> bool:
    """Whether a document is of version 6 or before."""
    return "event_id" in document and ("log_name" in document or "event_data" in document)


def from_winlogbeat(document: Document) -> Event:
    """The event of a document with ``winlog``.

    Raises:
        NotAnEventError: Something that every event has is missing.
    """
    log: Document = document["winlog"]
    outer = document.get("event")
    stamps: Document = outer if isinstance(outer, dict) else {}
    channel = log.get("channel")
    recorded, _ = microseconds(log.get("time_created") or document.get("@timestamp"))
    event = make_event(
        _own_fields(log, channel),
        _system(log, channel),
        computer=log.get("computer_name") or inner(document, "host", "name"),
        channel=channel,
        provider=log.get("provider_name") or stamps.get("provider"),
        event_id=log.get("event_id", stamps.get("code")),
        record_id=log.get("record_id"),
        recorded=recorded,
        ingested=stamps.get("created") or stamps.get("ingested"),
        user_id=inner(log, "user", "identifier"),
    )
    return _with_message(event, document)


def from_winlogbeat6(document: Document) -> Event:
    """The event of a document of version 6.

    Raises:
        NotAnEventError: Something that every event has is missing.
    """
    channel = document.get("log_name")
    recorded, _ = microseconds(document.get("@timestamp"))
    event = make_event(
        _own_fields(document, channel),
        _system(document, channel),
        computer=document.get("computer_name"),
        channel=channel,
        provider=document.get("source_name"),
        event_id=document.get("event_id"),
        record_id=document.get("record_number"),
        recorded=recorded,
        user_id=inner(document, "user", "identifier"),
    )
    return _with_message(event, document)


def _own_fields(log: Document, channel: object) -> dict[str, str]:
    fields: dict[str, str] = {}
    add_fields(fields, log.get("event_data"))
    if fields and channel == POWERSHELL_CLASSIC and all(map(_PARAMETER.fullmatch, fields)):
        # Windows gives these values no names, and so they are lines of Data in the log itself.
        fields = {"Data": "\n".join(fields.values())}
    user_data = log.get("user_data")
    if isinstance(user_data, dict) and _XML_NAME in user_data:
        user_data = {name: value for name, value in user_data.items() if name != _XML_NAME}
    add_fields(fields, user_data)
    return fields


def _system(log: Document, channel: object) -> dict[str, Any]:
    found = {name: log.get(name.lower()) for name in SYSTEM_FIELDS}
    shown = found["Keywords"]
    if isinstance(shown, list) and len(shown) == 1:
        shown = shown[0]
    if isinstance(channel, str) and canonical_channel(channel.strip()) == SECURITY:
        shown = _AUDIT.get(as_text(shown) or "", shown)
    found["Keywords"] = shown
    return found


def _with_message(event: Event, document: Document) -> Event:
    """The event with its text as the collector rendered it, which is no part of its identity."""
    if isinstance(message := document.get("message"), str):
        event.fields.setdefault("Message", message)
    return event
