"""What a cluster has indexed, and how: the mapping, read as far as searching needs it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

EVENT_DATA = ("winlog.event_data.", "winlog.user_data.")

_WHOLE = frozenset({"keyword", "constant_keyword", "wildcard"})
_NUMBERS = frozenset({"long", "integer", "short", "byte", "unsigned_long", "double", "float"})
_MAX_DEPTH = 20
_NO_LIMIT = 32_766
"""Bytes of the longest term there is: beyond them an event is refused, not left half indexed."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """One field as it is indexed.

    Attributes:
        kind: ``whole`` (the value is one term), ``number``, ``ip``, ``boolean`` or ``words``
            (analysed, or indexed in different ways in different indices: only whether there is
            a value can be asked).
        folded: Indexed in lower case.
        longest: Characters above which a value is not indexed; None for any.
        noted: The cluster notes in ``_ignored`` which events have a longer one: Elasticsearch
            does, OpenSearch does not, and then such an event looks as if it had no value.
    """

    path: str
    kind: str
    folded: bool = False
    longest: int | None = None
    noted: bool = False


class IndexMap:
    """The fields of some indices together.

    Args:
        answer: What the cluster says to ``GET indices/_mapping``.
        noted: It notes values that were too long to be indexed.
    """

    def __init__(self, answer: Mapping[str, Any], *, noted: bool = False) -> None:
        self._fields: dict[str, Indexed] = {}
        for index in answer.values():
            properties = (index.get("mappings") or {}).get("properties") or {}
            for found in _walk(properties, "", 0):
                known = self._fields.get(found.path)
                if noted and found.longest is not None:
                    found = replace(found, noted=True)  # noqa: PLW2901 - the same, told more
                self._fields[found.path] = found if known is None else _merged(known, found)
        self._exact: dict[str, list[str]] = {}
        self._loose: dict[str, list[str]] = {}
        for path in self._fields:
            prefix = next((prefix for prefix in EVENT_DATA if path.startswith(prefix)), None)
            name = path[len(prefix) :] if prefix else ""
            if name and "." not in name:
                self._exact.setdefault(name.lower(), []).append(path)
                self._loose.setdefault(_letters(name), []).append(path)

    @property
    def empty(self) -> bool:
        """Nothing has ever been indexed there."""
        return not self._fields

    def at(self, *paths: str) -> tuple[Indexed, ...]:
        """The best way to search each path that is mapped."""
        return tuple(found for path in paths if (found := self._best(path)) is not None)

    def of_event(self, name: str) -> tuple[Indexed, ...]:
        """Fields of the event's own data by that name, in any case of it."""
        return self.at(*self._exact.get(name.lower(), ()))

    def like(self, name: str) -> tuple[Indexed, ...]:
        """Fields of the event's own data whose letters and digits are those of the name."""
        return self.at(*self._loose.get(_letters(name), ()))

    def _best(self, path: str) -> Indexed | None:
        own = self._fields.get(path)
        if own is None or own.kind != "words":
            return own
        parts = [
            found
            for below, found in self._fields.items()
            if below.startswith(f"{path}.") and found.kind == "whole"
        ]
        return max(parts, key=lambda part: part.longest or 2**31, default=own)


def _walk(properties: Mapping[str, Any], prefix: str, depth: int) -> Iterator[Indexed]:
    if depth > _MAX_DEPTH:
        return
    for name, spec in properties.items():
        path = f"{prefix}{name}"
        if "type" in spec:
            yield _indexed(path, spec)
        for key in ("properties", "fields"):
            below = spec.get(key)
            if isinstance(below, dict):
                yield from _walk(below, f"{path}.", depth + 1)


def _indexed(path: str, spec: Mapping[str, Any]) -> Indexed:
    kind = spec["type"]
    if spec.get("index") is False or spec.get("enabled") is False:
        return Indexed(path, "words")
    if kind in _WHOLE:
        longest = spec.get("ignore_above")
        if longest is not None and longest >= _NO_LIMIT:
            longest = None
        # Any normaliser changes the term; what it does beyond case is not known here.
        return Indexed(path, "whole", bool(spec.get("normalizer")), longest)
    if kind in _NUMBERS:
        return Indexed(path, "number")
    return Indexed(path, kind if kind in {"ip", "boolean"} else "words")


def _merged(one: Indexed, other: Indexed) -> Indexed:
    if one.kind != other.kind or one.folded != other.folded:
        return Indexed(one.path, "words")
    limits = [limit for limit in (one.longest, other.longest) if limit is not None]
    return Indexed(
        one.path, one.kind, one.folded, min(limits, default=None), one.noted or other.noted
    )


def _letters(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def join(patterns: Iterable[str]) -> str:
    """Index patterns as one address part."""
    return ",".join(dict.fromkeys(patterns))
