"""Looking into STIX objects without a STIX library: their texts, places, references and marks."""

import json
import re
from collections.abc import Iterator, Mapping

from huntonce.models.errors import DomainError

Stix = dict[str, object]
_MARKS = ("object_marking_refs", "granular_markings")
_NOT_TEXT = frozenset({"id", "type", "spec_version", "created", "modified", "pattern_type"})
_INDEX = re.compile(r"\[\d+\]")
SCO_TYPES = frozenset(
    {"artifact", "autonomous-system", "directory", "domain-name", "email-addr", "email-message"}
    | {"file", "ipv4-addr", "ipv6-addr", "mac-addr", "mutex", "network-traffic", "process"}
    | {"software", "url", "user-account", "windows-registry-key", "x509-certificate"}
)
"""Cyber-observable objects: they have no maker, no version, and cannot be withdrawn."""


def read_object(body: str) -> Stix:
    """A STIX object from its JSON text.

    Raises:
        DomainError: It is none.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DomainError(f"not a STIX object: {error}") from error
    if not isinstance(content, dict) or not {"id", "type"} <= content.keys():
        raise DomainError("not a STIX object: it has no id or no type")
    return content


def write_object(content: Mapping[str, object]) -> str:
    """The JSON text of a STIX object."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def refs(content: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Every reference in an object with the property it stands in, markings left out."""
    for place, text in strings(content):
        name = property_of(place)
        if name.endswith(("_ref", "_refs")) and not place.startswith(_MARKS):
            yield name, text


def property_of(place: str) -> str:
    """Name of the property that a place ("a.b[2]") is in."""
    return _INDEX.sub("", place).rpartition(".")[2]


def markings(content: Mapping[str, object]) -> list[str]:
    """Ids of the markings of an object as a whole."""
    return texts(content.get("object_marking_refs"))


def leaves(content: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Every text of an object with its place, ids and references left out.

    Names that data chose (keys of inner dictionaries) are texts, too.
    """
    for place, text in strings(content, keys=True):
        name = property_of(place)
        if name not in _NOT_TEXT and not name.endswith(("_ref", "_refs")):
            yield place, text


def strings(content: Mapping[str, object], *, keys: bool = False) -> Iterator[tuple[str, str]]:
    """Every text of an object with its place ("a.b[2]"), in order."""
    waiting: list[tuple[str, object]] = [("", content)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, Mapping):
            if keys and place:
                yield from ((f"{place}.{key}", str(key)) for key in value)
            parts = [(f"{place}.{key}" if place else str(key), v) for key, v in value.items()]
            waiting.extend(reversed(parts))
        elif isinstance(value, list):
            listed = [(f"{place}[{index}]", below) for index, below in enumerate(value)]
            waiting.extend(reversed(listed))


def texts(values: object) -> list[str]:
    """The texts in a list; nothing where it is none."""
    return [v for v in values if isinstance(v, str)] if isinstance(values, list) else []


def renamed(content: Stix, names: Mapping[str, str]) -> Stix:
    """The object with ids, its own and those it refers to, replaced; itself where none is."""
    new: Stix = {}
    changed = False
    for name, value in content.items():
        if name == "id" or name.endswith("_ref"):
            fresh: object = names.get(str(value), value)
        elif name.endswith("_refs") and isinstance(value, list):
            fresh = [names.get(str(ref), ref) for ref in value]
        else:
            fresh = value
        changed = changed or fresh != value
        new[name] = fresh
    return new if changed else content
