"""Documents whose names are paths (``winlog.event_data.Image``), as nested ones."""

from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]

_MAX_DOTS = 20
_WHOLE = ("winlog.event_data.", "winlog.user_data.")
"""What follows these is one name, whatever is in it."""

_ROOTS = ("winlog.", "event.")
_INDEXED_TWICE = (".keyword", ".text", ".caseless")


def is_dotted(document: Mapping[str, Any]) -> bool:
    """Whether a document holds parts of an event under paths."""
    return any(name.startswith(_ROOTS) for name in document)


def nested(source: Mapping[str, Any]) -> Document:
    """A document whose dotted names are objects, as Elasticsearch itself takes them.

    Where a name is both a value and the start of others, as of fields that are indexed in two
    ways (``process.name`` and ``process.name.text``), the value stays.
    """
    if not any("." in name for name in source):
        return dict(source)
    found: Document = {}
    for name, value in source.items():
        *outer, last = _path(name)
        place = found
        for part in outer:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            if isinstance(value, dict) and isinstance(place.get(last), dict):
                place[last] |= value
            else:
                place[last] = dict(value) if isinstance(value, dict) else value
    return found


def unlisted(source: Mapping[str, Any]) -> Document:
    """The same with the one element of a list in its place: Kibana writes each value so."""
    names = source.keys()
    return {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value
        for name, value in source.items()
        if not (name.endswith(_INDEXED_TWICE) and name.rpartition(".")[0] in names)
    }


def _path(name: str) -> list[str]:
    for start in _WHOLE:
        if name.startswith(start):
            return [*start[:-1].split("."), name[len(start) :]]
    return name.split(".", _MAX_DOTS)
