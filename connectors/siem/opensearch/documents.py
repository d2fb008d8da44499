"""Indexed documents as the events they were made from."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.lake.dotted import nested
from huntonce.connectors.siem.lake.fields import NotAnEventError, as_text
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.opensearch.fields import PlaceFields

_LOG = logging.getLogger(__name__)


def rows_of(
    hits: Iterable[Mapping[str, Any]], place: PlaceFields, wanted: Sequence[str]
) -> list[Row]:
    """The events of some hits, in the lake's own shape; what is none is left out, and logged.

    A field that a pipeline moved to its ECS name is given its own name again.
    """
    rows: list[Row] = []
    for hit in hits:
        source = nested(hit.get("_source") or {})
        message = source.pop("message", None)
        try:
            event = normalise(source)
        except NotAnEventError as error:
            _LOG.warning("%s/%s: %s", hit.get("_index"), hit.get("_id"), error)
            continue
        if isinstance(message, str):
            # Rendered by the collector: it is no part of the event's identity.
            event.fields.setdefault("Message", message)
        _move_back(event.fields, source, place, wanted)
        rows.append(Row(event, event.recorded, "utc", str(hit.get("_index", "")), ""))
    return rows


def _move_back(
    fields: dict[str, str], source: Mapping[str, Any], place: PlaceFields, wanted: Sequence[str]
) -> None:
    held = {name.lower() for name in fields}
    for name in wanted:
        own = place.recorded_as(name)
        if own.lower() in held:
            continue
        for path in place.moved_to(name):
            text = as_text(_dig(source, path))
            if text is not None:
                fields[own] = text
                break


def _dig(source: Mapping[str, Any], path: str) -> object:
    value: object = source
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    return value
