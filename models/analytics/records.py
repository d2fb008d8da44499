"""Records: what analytics reason about, one for each thing that happened, from its events."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

# There is no public parser of patterns.
from re import _parser as parser
from typing import Any

import pyarrow as pa

from huntonce.models.errors import DomainError
from huntonce.models.finding import EventRef

Row = dict[str, object]
"""One row of a search result."""


@dataclass(slots=True, kw_only=True)
class Record:
    """One occurrence, seen through one or more events.

    Attributes:
        entity: What it is about (a task name).
        host: Where it took effect, as far as the events say.
        facts: Named values for the analytics; a fact that is not known is absent.
        refs: The events that showed it, the most telling first.
        hosts: Every host that has a part in it.
        fired: Analytic name to the reason in words.
    """

    entity: str
    host: str
    time: datetime
    facts: dict[str, str]
    refs: list[EventRef]
    hosts: set[str] = field(default_factory=set)
    fired: dict[str, str] = field(default_factory=dict)

    def fact(self, name: str) -> str:
        """A fact, or "" where it is not known."""
        return self.facts.get(name, "")

    @property
    def actor(self) -> str:
        """The account that did it, "" where that is not known."""
        return self.facts.get("registered_by") or self.facts.get("actor", "")

    @property
    def actor_sid(self) -> str:
        """That account's SID, "" where it is not known."""
        return self.facts.get("registrar_sid") or self.facts.get("actor_sid", "")


def ref_of(row: Row, role: str = "") -> EventRef:
    """The event pointer of one result row, and what it shows."""
    record_id = row.get("record_id")
    return EventRef(
        uid=str(row["uid"]),
        host=str(row["host"]),
        channel=str(row["channel"]),
        event_id=int(str(row["event_id"])),
        record_id=int(str(record_id)) if record_id is not None else None,
        time=time_of(row),
        role=role,
    )


def rows(table: pa.Table | None) -> list[Row]:
    """The rows of a result; of no result, none."""
    return table.to_pylist() if table is not None else []


def text_of(row: Row, *names: str) -> str:
    """The first of some fields that is filled, "" where none is."""
    for name in names:
        value = row.get(name)
        if value not in (None, ""):
            return str(value)
    return ""


def host_of(row: Row) -> str:
    """The host that sent a row's event."""
    return str(row["host"])


def time_of(row: Row) -> datetime:
    """When a row's event happened."""
    time = row["time"]
    if not isinstance(time, datetime):
        raise TypeError(f"a result row without a time: {row!r}")
    return time


@lru_cache(maxsize=2048)
def pattern(text: str, *, lines: bool = False) -> re.Pattern[str]:
    """A compiled regular expression of a hunt definition, any case.

    ``lines``: ^ and $ stand for the ends of each line, for facts that hold one value a line (a
    task's actions). Never for what allows something: every line would have to match then.

    Raises:
        DomainError: It is not one.
    """
    try:
        if _explodes(parser.parse(text)):
            raise DomainError(
                f"it can take for ever: {text!r} repeats what repeats", hint="write it without"
            )
        return re.compile(text, re.IGNORECASE | (re.MULTILINE if lines else re.NOFLAG))
    except (re.error, OverflowError, RecursionError) as error:
        raise DomainError(f"not a regular expression: {text!r}: {error}") from error


_MANY = 16
"""From how many repetitions on a repetition counts as one at will."""


def _explodes(parsed: Iterable[Any]) -> bool:
    """Whether what is repeated at will is itself only a repetition at will, as in (a+)+.

    Such a pattern tries every way to divide a value that does not match, and attackers choose the
    values that hunts look at.
    """
    return any(
        _explodes(body) or (_at_will(item) and any(map(_only_repeats, _bodies(body))))
        for item in parsed
        for body in _inner(item)
    )


def _inner(item: Any) -> Iterator[Any]:  # noqa: ANN401 - the parser's own tuples
    kind, argument = str(item[0]), item[1]
    if kind in {"MAX_REPEAT", "MIN_REPEAT"}:
        yield argument[2]
    elif kind == "SUBPATTERN":
        yield argument[-1]
    elif kind == "BRANCH":
        yield from argument[1]
    elif kind in {"ASSERT", "ASSERT_NOT"}:
        yield argument[1]


def _at_will(item: Any) -> bool:  # noqa: ANN401 - as above
    return str(item[0]) in {"MAX_REPEAT", "MIN_REPEAT"} and item[1][1] - item[1][0] >= _MANY


def _bodies(parsed: Any) -> Iterator[list[Any]]:  # noqa: ANN401 - as above
    """What is repeated, out of its brackets; each alternative by itself."""
    items = list(parsed)
    if len(items) == 1 and str(items[0][0]) in {"SUBPATTERN", "BRANCH"}:
        for body in _inner(items[0]):
            yield from _bodies(body)
    else:
        yield items


def _only_repeats(items: list[Any]) -> bool:
    """Whether one of them repeats at will and all others may be nothing."""
    wide = [item for item in items if _at_will(item)]
    return bool(wide) and all(
        item in wide or (str(item[0]) in {"MAX_REPEAT", "MIN_REPEAT"} and item[1][0] == 0)
        for item in items
    )
