"""An event's own fields: names that Sigma rules use, values as text."""

import re
from functools import lru_cache
from itertools import islice
from typing import Any

import orjson

from huntonce.connectors.siem.lake.clock import parse_time

Document = dict[str, Any]

MAX_FIELDS = 300
"""Most fields kept of one event; the others stay in its original only."""

_MAX_NAME = 128
_UNWANTED = re.compile(r"[\s\x00-\x1f\x7f]+")
_TEXT = "#text"
_UNNAMED = frozenset({"Data", "Binary"})
_MARKS = frozenset({"#", "@", ""})
_BOOLEANS = {True: "true", False: "false"}


class NotAnEventError(ValueError):
    """A document that cannot be taken as an event; the message says why."""


def microseconds(value: object) -> tuple[int, bool]:
    """A recorded time and whether it named its zone.

    Raises:
        NotAnEventError: There is none, or it cannot be read.
    """
    try:
        return parse_time(value)
    except (ValueError, OverflowError):
        raise NotAnEventError("its time is missing or cannot be read") from None


def integer(value: object) -> int | None:
    """A whole number given as one or as decimal digits."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:  # noqa: PLR2004 - digits of a 64-bit number
        return int(value)
    return None


def as_text(value: object) -> str | None:
    """A value as text: numbers in decimal, booleans in lower case, anything nested as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return None
    if isinstance(value, bool):
        return _BOOLEANS[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict) and _TEXT in value:
        return as_text(value[_TEXT])
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # orjson says so of what JSON cannot hold
        raise NotAnEventError(f"a value cannot be written as JSON: {error}") from None


def add_fields(fields: dict[str, str], data: object) -> None:
    """Add the named values of an EventData or UserData element to an event's fields.

    The first of two values of one name stays. Classic events hold a list of unnamed values: it
    becomes the field ``Data``, one value a line.
    """
    if not isinstance(data, dict):
        return
    items = data.items() if len(data) <= MAX_FIELDS else islice(data.items(), MAX_FIELDS)
    for key, value in items:
        if type(value) is str:
            text: str | None = value
        elif type(value) is int:
            text = str(value)
        elif key in _UNNAMED and isinstance(value, dict | list):
            _add_unnamed(fields, key, value)
            continue
        else:
            text = as_text(value)
        name = field_name(key)
        if text is not None and name and name not in fields:
            fields[name] = text


@lru_cache(maxsize=16_384)
def field_name(key: str) -> str:
    """The name without white space ("New Value" is NewValue to Sigma), cut to a sane length.

    Empty for the marks that converters leave (``#attributes``, ``@Name``).
    """
    return "" if key[:1] in _MARKS else _UNWANTED.sub("", key)[:_MAX_NAME]


def _add_unnamed(fields: dict[str, str], key: str, value: object) -> None:
    items = value.get(_TEXT, value) if isinstance(value, dict) else value
    if not isinstance(items, list):
        items = [items]
    unnamed: list[str] = []
    for item in items:
        name = item.get("@Name") or _attributes(item).get("Name") if isinstance(item, dict) else ""
        text = as_text(item)
        if isinstance(name, str) and name and isinstance(item, dict):
            named = as_text(item.get(_TEXT, ""))
            fields.setdefault(field_name(name) or "unnamed", named or "")
        elif text is not None:
            unnamed.append(text)
    if unnamed:
        fields.setdefault(key, "\n".join(unnamed))


def _attributes(item: Document) -> Document:
    found = item.get("#attributes")
    return found if isinstance(found, dict) else {}
