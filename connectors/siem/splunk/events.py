"""What Splunk holds of an event, as the event: Windows' own XML, or a collector's JSON."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.lake.eventxml import MAX_EVENT, event_document
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.shapes import normalise

RAW = "huntonce_raw"
"""The result's column with the event's text."""

Document = dict[str, Any]

_LOG = logging.getLogger(__name__)
_END = "</Data>"
_CUT = "</EventData></Event>"


def rows_of(results: Iterable[Mapping[str, Any]], form: str) -> list[Row]:
    """The events of some results, in the lake's own shape; what is none is left out, and logged."""
    rows: list[Row] = []
    for result in results:
        try:
            document = document_of(str(result.get(RAW) or ""), form)
            event = normalise(dict(document))
        except NotAnEventError as error:
            _LOG.warning("an event of index %s is left out: %s", result.get("index"), error)
            continue
        source = str(result.get("index") or "")
        rows.append(Row(event, event.recorded, "utc", source, orjson.dumps(document)))
    return rows


def document_of(text: str, form: str) -> Document:
    """An event's text as the JSON that the lake loads.

    Raises:
        NotAnEventError: It is not in that form, or too long.
    """
    if len(text) > MAX_EVENT:
        raise NotAnEventError(f"its text is longer than {MAX_EVENT} characters")
    if form == "xml":
        return _of_xml(text)
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotAnEventError("its text is no JSON: it may have been cut off (TRUNCATE)") from error
    if not isinstance(found, dict):
        raise NotAnEventError("its text is no JSON object")
    return found


def _of_xml(text: str) -> Document:
    try:
        return event_document(text)
    except NotAnEventError:
        # Splunk cuts long events off (TRUNCATE): what is whole of one is read.
        head, end, _ = text.rpartition(_END)
        if not end:
            raise
        return event_document(f"{head}{end}{_CUT}")
