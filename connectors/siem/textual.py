"""Sigma conditions from above, asked of an event's own text: what can match at most.

An event is kept as JSON or XML in one of several shapes, so that the place of a field differs; what
does not differ is that a field's text stands somewhere in the event's own text. A condition
therefore becomes a question to that text: the pieces of a value that no encoding changes (JSON's
escapes, XML's entities, case beyond ASCII) stand in it, in their order. Whatever matches the
condition answers yes; what else does is told apart by the predicate that the lake runs. Nothing but
an event id is certain from below, so that NOT over anything else keeps everything.

How text and ids are asked for is the system's own: each writes the questions in its language.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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

_TEXTUAL = frozenset({Op.EQ, Op.CONTAINS, Op.STARTSWITH, Op.ENDSWITH, Op.GLOB})
_CHANGED = frozenset({"channel", "keywords", "message"})
"""Fields whose text need not stand in the event: named otherwise, or put together."""

_NUMBER = re.compile(r"[0-9]{1,9}")
_WORD = re.compile(r"[A-Z]*[a-z0-9]+|[A-Z]+")


@dataclass(frozen=True, slots=True)
class Contains:
    """These pieces (ASCII, lower case) stand in the event's text in this order, in any case."""

    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HasId:
    """The event has this id."""

    number: int


@dataclass(frozen=True, slots=True)
class AllOf:
    """Each of them holds."""

    items: tuple["Question", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of them holds."""

    items: tuple["Question", ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """It does not hold."""

    item: "Question"


Question = Contains | HasId | AllOf | AnyOf | NoneOf | bool
"""True and False stand for all events and none."""

Pieces = Callable[[str], Sequence[str]]
"""The parts of a text that every encoding of the system's events leaves as they are."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    upper: Question
    lower: Question


_UNKNOWN = _Bounds(upper=True, lower=False)


def candidates(condition: Condition, place: Variant, pieces: Pieces) -> Question:
    """What holds for every event of a place that meets the condition."""
    renamed = {name.lower() for name in place.values}
    return _Narrowing(pieces, frozenset(renamed)).bounds(condition).upper


def spellings(place: Variant, field: str) -> tuple[str, ...]:
    """The names, in lower case, under which events of a place may carry a field.

    Its words together, and with an underscore between them, which stands for any one character;
    none where it may be any name.
    """
    renamed = {name.lower(): to for name, to in place.renames.items()}.get(field.lower(), field)
    words = [word.lower() for word in _WORD.findall(renamed)]
    if not words or not renamed.isascii():
        return ()
    return tuple(dict.fromkeys(("".join(words), "_".join(words))))


class _Narrowing:
    def __init__(self, pieces: Pieces, recorded_otherwise: frozenset[str]) -> None:
        self._pieces = pieces
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
            return _event_id(atom.op, atom.value)
        if field in self._open:
            return _UNKNOWN
        return _Bounds(upper=self._text(CASED.get(atom.op, atom.op), atom.value), lower=False)

    def _text(self, op: Op, value: object) -> Question:
        if op not in _TEXTUAL:
            return True
        texts = value if isinstance(value, tuple) else (value,)
        found = [
            piece.lower() for text in texts if isinstance(text, str) for piece in self._pieces(text)
        ]
        return Contains(tuple(found)) if found else True


def _event_id(op: Op, value: object) -> _Bounds:
    if op in (Op.NUMBER, Op.EQ) and _NUMBER.fullmatch(str(value)):
        test = HasId(int(str(value)))
        return _Bounds(test, test)
    return _UNKNOWN


def _not(test: Question) -> Question:
    return not test if isinstance(test, bool) else NoneOf(test)


def _all(tests: list[Question]) -> Question:
    if any(test is False for test in tests):
        return False
    found = tuple(test for test in tests if not isinstance(test, bool))
    return AllOf(found) if len(found) > 1 else found[0] if found else True


def _any(tests: list[Question]) -> Question:
    if any(test is True for test in tests):
        return True
    found = tuple(test for test in tests if not isinstance(test, bool))
    return AnyOf(found) if len(found) > 1 else found[0] if found else False
