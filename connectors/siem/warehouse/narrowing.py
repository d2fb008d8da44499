"""Sigma conditions as PostgreSQL predicates from above: what can match at most.

An event is kept as JSON in one of several shapes, so that the place of a field differs; what does
not differ is that a field's text stands somewhere in the event's own text. A condition therefore
becomes a question to that text: the pieces of a value that no encoding changes (JSON's escapes,
XML's entities, case beyond ASCII) stand in it, in their order. Whatever matches the condition
answers yes; what else does is told apart by the predicate that the lake runs. Nothing but an event
id is certain from below, so that NOT over anything else keeps everything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from huntonce.connectors.siem.lake.taskfields import TASK_FIELDS
from huntonce.connectors.sigma.ir import (
    CASED,
    And,
    Atom,
    Condition,
    Named,
    Not,
    Op,
    Or,
)
from huntonce.connectors.sigma.logsource import Variant

_PIECE = re.compile(r"[A-Za-z0-9 _\-./=()$%@!#*?+;~^|]+")
"""Characters that are themselves in JSON, in JSON within JSON, and in XML."""

_LIKE_SPECIAL = re.compile(r"[%_\\]")
_TEXTUAL = frozenset({Op.EQ, Op.CONTAINS, Op.STARTSWITH, Op.ENDSWITH, Op.GLOB})
_CHANGED = frozenset({"channel", "keywords", "message"})
"""Fields whose text need not stand in the event: named otherwise, or put together."""

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Columns:
    """The parts of an event in SQL; the text as ``folded`` makes it."""

    text: sql.Composable
    event_id: sql.Composable


Predicate = sql.Composable | bool
"""True and False stand for all events and none."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    upper: Predicate
    lower: Predicate


_UNKNOWN = _Bounds(upper=True, lower=False)


def candidates(condition: Condition, place: Variant, columns: Columns) -> Predicate:
    """What holds for every event of a place that meets the condition."""
    renamed = {name.lower() for name in place.values}
    return _Narrowing(columns, frozenset(renamed)).bounds(condition).upper


def folded(text: sql.Composable) -> sql.Composed:
    """The text, ASCII letters in lower case, with the two others that are ASCII ones there."""
    return sql.SQL('lower(translate({}, {}, {}) COLLATE "C")').format(
        text, sql.Literal("\u212a\u0130"), sql.Literal("ki")
    )


def pieces(value: str) -> Iterator[str]:
    """The parts of a text that every encoding leaves as they are."""
    return (found for found in _PIECE.findall(value) if found.strip())


class _Narrowing:
    def __init__(self, columns: Columns, recorded_otherwise: frozenset[str]) -> None:
        self._columns = columns
        self._open = recorded_otherwise | _CHANGED | TASK_FIELDS

    def bounds(self, condition: Condition) -> _Bounds:
        match condition:
            case Named(_, item):
                return self.bounds(item)
            case Not(item):
                inner = self.bounds(item)
                return _Bounds(_not(inner.lower), _not(inner.upper))
            case And(items):
                parts = [self.bounds(item) for item in items]
                return _Bounds(_all([p.upper for p in parts]), _all([p.lower for p in parts]))
            case Or(items):
                parts = [self.bounds(item) for item in items]
                return _Bounds(_any([p.upper for p in parts]), _any([p.lower for p in parts]))
            case Atom():
                return self._atom(condition)

    def _atom(self, atom: Atom) -> _Bounds:
        field = "" if atom.field is None else atom.field.lower()
        if field == "eventid":
            return self._event_id(atom.op, atom.value)
        if field in self._open:
            return _UNKNOWN
        return _Bounds(upper=self._text(CASED.get(atom.op, atom.op), atom.value), lower=False)

    def _event_id(self, op: Op, value: object) -> _Bounds:
        if op in (Op.NUMBER, Op.EQ) and _NUMBER.fullmatch(str(value)):
            number = sql.Literal(int(str(value)))
            test = sql.SQL("{} = {}").format(self._columns.event_id, number)
            return _Bounds(test, test)
        return _UNKNOWN

    def _text(self, op: Op, value: object) -> Predicate:
        if op not in _TEXTUAL:
            return True
        texts = value if isinstance(value, tuple) else (value,)
        found = [piece for text in texts if isinstance(text, str) for piece in pieces(text)]
        if not found:
            return True
        like = "%".join(_LIKE_SPECIAL.sub(r"\\\g<0>", piece.lower()) for piece in found)
        return sql.SQL("{} LIKE {}").format(self._columns.text, sql.Literal(f"%{like}%"))


def _not(test: Predicate) -> Predicate:
    return not test if isinstance(test, bool) else sql.SQL("(NOT {})").format(test)


def _all(tests: list[Predicate]) -> Predicate:
    if any(test is False for test in tests):
        return False
    return _joined(" AND ", tests, otherwise=True)


def _any(tests: list[Predicate]) -> Predicate:
    if any(test is True for test in tests):
        return True
    return _joined(" OR ", tests, otherwise=False)


def _joined(word: str, tests: list[Predicate], *, otherwise: bool) -> Predicate:
    found = [test for test in tests if not isinstance(test, bool)]
    if not found:
        return otherwise
    if len(found) == 1:
        return found[0]
    return sql.SQL("({})").format(sql.SQL(word).join(found))
