"""Questions to an event's text (``textual``) as PostgreSQL predicates."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from huntonce.connectors.siem import textual
from huntonce.connectors.siem.textual import AllOf, AnyOf, Contains, HasId, NoneOf, Question
from huntonce.connectors.sigma.ir import Condition
from huntonce.connectors.sigma.logsource import Variant

_PIECE = re.compile(r"[A-Za-z0-9 _\-./=()$%@!#*?+;~^|]+")
"""Characters that are themselves in ``jsonb``'s JSON, in JSON within JSON, and in XML."""

_LIKE_SPECIAL = re.compile(r"[%_\\]")


@dataclass(frozen=True, slots=True)
class Columns:
    """The parts of an event in SQL; the text as ``folded`` makes it."""

    text: sql.Composable
    event_id: sql.Composable


Predicate = sql.Composable | bool
"""True and False stand for all events and none."""


def candidates(condition: Condition, place: Variant, columns: Columns) -> Predicate:
    """What holds for every event of a place that meets the condition."""
    found = textual.candidates(condition, place, pieces)
    return found if isinstance(found, bool) else _written(found, columns)


def folded(text: sql.Composable) -> sql.Composed:
    """The text, ASCII letters in lower case, with the two others that are ASCII ones there."""
    return sql.SQL('lower(translate({}, {}, {}) COLLATE "C")').format(
        text, sql.Literal("\u212a\u0130"), sql.Literal("ki")
    )


def pieces(value: str) -> Sequence[str]:
    """The parts of a text that every encoding leaves as they are."""
    return [found for found in _PIECE.findall(value) if found.strip()]


def _written(question: Question, columns: Columns) -> sql.Composable:
    match question:
        case HasId(number):
            return sql.SQL("{} = {}").format(columns.event_id, sql.Literal(number))
        case Contains(found):
            like = "%".join(_LIKE_SPECIAL.sub(r"\\\g<0>", piece) for piece in found)
            return sql.SQL("{} LIKE {}").format(columns.text, sql.Literal(f"%{like}%"))
        case NoneOf(item):
            return sql.SQL("(NOT {})").format(_written(item, columns))
        case AllOf(items):
            return _joined(" AND ", items, columns)
        case AnyOf(items):
            return _joined(" OR ", items, columns)
        case bool():
            return sql.SQL("TRUE" if question else "FALSE")


def _joined(word: str, items: Sequence[Question], columns: Columns) -> sql.Composed:
    return sql.SQL("({})").format(sql.SQL(word).join(_written(item, columns) for item in items))
