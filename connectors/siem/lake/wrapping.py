"""What stands around an event in exports: Elasticsearch's hits, Splunk's results, XML as a text."""

from collections.abc import Mapping
from typing import Any

import orjson

from huntonce.connectors.siem.lake.dotted import unlisted
from huntonce.connectors.siem.lake.eventxml import event_document, looks_like_event

MAX_DEPTH = 6
"""Most wrappings taken off one event."""

_HIT = ("_id", "_index")
_OWN_IDS = frozenset({"EventID", "EventCode"})
_RAW = "_raw"
_TEXTS = (_RAW, "event", "Event", "xml")
"""Where Splunk and other collectors put the event's own text."""


def unwrapped(document: Mapping[str, Any]) -> object | None:
    """What is inside of a wrapping; None where a document has none.

    A flat document with an event id is the event: what its fields hold may be an attacker's words,
    and only Splunk's ``_raw``, which no event has as a field of its own, says more than they do.

    Raises:
        NotAnEventError: It wraps the XML of an event, which cannot be read.
    """
    texts = [document.get(_RAW)]
    if _OWN_IDS.isdisjoint(document):
        if (source := _hit_of(document)) is not None:
            return source
        texts = [*(document.get(name) for name in _TEXTS), _original(document)]
    for text in texts:
        if isinstance(text, str) and looks_like_event(text):
            return event_document(text)
    return _of_json(document.get(_RAW))


def _hit_of(document: Mapping[str, Any]) -> object | None:
    """What a search result is about."""
    source = document.get("_source")
    if source:
        return source  # type: ignore[no-any-return]  # of any kind: the caller looks at it
    if "result" in document:
        return document["result"]  # type: ignore[no-any-return]
    fields = document.get("fields")
    if isinstance(fields, dict) and any(name in document for name in _HIT):
        return unlisted(fields)
    return None


def _original(document: Mapping[str, Any]) -> object | None:
    """The event's own text as ECS keeps it."""
    outer = document.get("event")
    return outer.get("original") if isinstance(outer, dict) else document.get("event.original")


def innermost(document: object) -> object:
    """The document without what stands around it.

    Raises:
        NotAnEventError: As ``unwrapped``.
    """
    for _ in range(MAX_DEPTH):
        inner = unwrapped(document) if isinstance(document, dict) else None
        if inner is None:
            break
        document = inner
    return document


def _of_json(text: object) -> object | None:
    """The object in a text that is JSON; None where it is none."""
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return None
    try:
        return orjson.loads(text)  # type: ignore[no-any-return]
    except orjson.JSONDecodeError:
        return None
