"""Sigma conditions as query DSL: what can match at most, and what matches for certain.

A cluster cannot ask everything that Sigma asks: a value too long to be indexed, an analysed
field, a regular expression of another dialect, letters beyond ASCII in another case. So each
condition becomes two queries. ``upper`` finds every event that meets the condition, and may be
others; ``lower`` finds only such events, and may be not all. NOT swaps the two. What ``upper``
finds is fetched and decided by the same predicate that the lake runs; where both are one query,
the cluster's answer is exact by itself.

Query DSL is JSON: a value stays a value, whatever characters it has.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from huntonce.connectors.siem.opensearch.fields import Resolved
from huntonce.connectors.siem.opensearch.mapping import Indexed
from huntonce.connectors.sigma.ir import (
    ANY_TEXT,
    CASED,
    And,
    Atom,
    Condition,
    GlobPart,
    Named,
    Not,
    Op,
    Or,
)

Query = dict[str, Any]
Find = Callable[[str], Resolved]

ALL: Query = {"match_all": {}}
NONE: Query = {"match_none": {}}
MANY = (200, 20, 3)
"""Alternatives above which "one of these fields has a value" is asked instead, tried in turn."""
_SPECIAL = re.compile(r"[\\*?]")
_ASCII = 128
_GLOBS: dict[Op, tuple[bool, bool]] = {
    Op.EQ: (False, False),
    Op.CONTAINS: (True, True),
    Op.STARTSWITH: (False, True),
    Op.ENDSWITH: (True, False),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """A condition from above and from below."""

    upper: Query
    lower: Query

    @property
    def exact(self) -> bool:
        """Whether the cluster alone decides it."""
        return self.upper == self.lower


def bounds(condition: Condition, find: Find, many: int = MANY[0]) -> Bounds:
    """Both queries of a condition.

    Args:
        condition: Of the rule.
        find: Where each field that it names is.
        many: Alternatives above which only "one of their fields has a value" is asked.
    """
    match condition:
        case Named(_, item):
            return bounds(item, find, many)
        case Not(item):
            inner = bounds(item, find, many)
            return Bounds(not_(inner.lower), not_(inner.upper))
        case And(items):
            parts = [bounds(item, find, many) for item in items]
            return Bounds(all_([p.upper for p in parts]), all_([p.lower for p in parts]))
        case Or(items):
            if len(items) > many:
                return _of_many(items, find)
            parts = [bounds(item, find, many) for item in items]
            return Bounds(any_([p.upper for p in parts]), any_([p.lower for p in parts]))
        case Atom():
            return _atom(condition, find)


def all_(queries: Iterable[Query]) -> Query:
    """Every one holds."""
    parts = [query for query in queries if query != ALL]
    if NONE in parts:
        return NONE
    return _bool("filter", parts) if parts else ALL


def any_(queries: Iterable[Query]) -> Query:
    """At least one holds."""
    parts = [query for query in queries if query != NONE]
    if ALL in parts or any(not_(part) in parts for part in parts):
        return ALL
    return _bool("should", parts) if parts else NONE


def not_(query: Query) -> Query:
    """It does not hold."""
    if query == ALL:
        return NONE
    return ALL if query == NONE else {"bool": {"must_not": [query]}}


def has_value(where: Resolved) -> Bounds:
    """The event has a value there."""
    upper = any_([indexed(where), _unindexed(where)])
    if where.scope is not None and where.all:
        upper = all_([where.scope, upper])
    return Bounds(upper, any_([_exists(field) for field in where.own]))


def indexed(where: Resolved) -> Query:
    """The event has a value there that the cluster has indexed."""
    return any_([_exists(field) for field in where.all])


def _exists(field: Indexed) -> Query:
    return {"exists": {"field": field.path}}


def _unindexed(where: Resolved) -> Query:
    """The event may have a value there that was too long to be indexed."""
    limited = [field for field in where.all if field.longest is not None]
    if not limited:
        return NONE
    if all(field.noted for field in limited):
        return any_([{"term": {"_ignored": field.path}} for field in limited])
    return not_(indexed(where))


def _bool(kind: str, parts: Sequence[Query]) -> Query:
    flat: list[Query] = []
    for part in parts:
        inner = part.get("bool", {})
        for one in inner[kind] if list(inner) == [kind] else [part]:
            if one not in flat:
                flat.append(one)
    return flat[0] if len(flat) == 1 else {"bool": {kind: flat}}


def _of_many(items: Sequence[Condition], find: Find) -> Bounds:
    """Very many alternatives: that one of their fields has a value."""
    if not all(isinstance(item, Atom) and item.field is not None for item in items):
        return Bounds(ALL, NONE)
    if any(isinstance(item, Atom) and item.op in (Op.NULL, Op.EXISTS) for item in items):
        return Bounds(ALL, NONE)
    names = dict.fromkeys(item.field for item in items if isinstance(item, Atom) and item.field)
    return Bounds(any_([has_value(find(name)).upper for name in names]), NONE)


def _atom(atom: Atom, find: Find) -> Bounds:
    if atom.field is None:
        return Bounds(ALL, NONE)  # every value of the event: only its own text can tell
    where = find(atom.field)
    if atom.op is Op.NULL or (atom.op is Op.EXISTS and not atom.value):
        return _absent(where)
    present = has_value(where)
    if where.derived:
        return Bounds(present.upper, NONE)
    if atom.op is Op.EXISTS:
        return present
    if atom.op is Op.FIELD:
        return Bounds(all_([present.upper, has_value(find(atom.value[0])).upper]), NONE)
    own = [_leaf(atom, field) for field in where.own]
    also = [_leaf(atom, field) for field in where.also]
    found = [leaf.upper for leaf in (*own, *also)]
    # A value that was too long to be indexed may be anything.
    return Bounds(any_([*found, _unindexed(where)]), any_([leaf.lower for leaf in own]))


def _absent(where: Resolved) -> Bounds:
    upper = not_(any_([_exists(field) for field in where.own]))
    if where.derived:
        return Bounds(ALL, NONE)
    return Bounds(upper, not_(has_value(where).upper))


def _leaf(atom: Atom, field: Indexed) -> Bounds:
    """One question to one indexed field that holds the value itself."""
    found: Bounds | None = None
    if field.kind == "whole":
        found = _of_text(atom, field)
    elif field.kind == "number":
        found = _of_number(atom, field)
    elif field.kind == "ip":
        found = _of_address(atom, field)
    return found or Bounds(_exists(field), NONE)


def _of_text(atom: Atom, field: Indexed) -> Bounds | None:
    op = CASED.get(atom.op, atom.op)
    cased = atom.op is not op
    if op is Op.GLOB or op in _GLOBS:
        return _glob(_parts(op, atom.value), field, cased=cased)
    match op:
        case Op.NUMBER if isinstance(atom.value, int):
            return _whole_number(atom.value, field)
        case Op.BOOL:
            words = ("true", "1") if atom.value else ("false", "0")
            return _both(any_([_term(field.path, word) for word in words]))
    return None


def _parts(op: Op, value: Any) -> tuple[GlobPart, ...]:  # noqa: ANN401 - an atom's value
    if op is Op.GLOB:
        return tuple(value)
    before, after = _GLOBS[op]
    return (*((ANY_TEXT,) if before else ()), value, *((ANY_TEXT,) if after else ()))


def _glob(parts: tuple[GlobPart, ...], field: Indexed, *, cased: bool) -> Bounds | None:
    if not any(parts):
        return None  # the empty text: clusters differ in whether they index it
    if cased and field.folded:
        return Bounds(_pattern(parts, field, fold=True), NONE)
    exact = _pattern(parts, field, fold=not cased)
    if cased or all(_plain(part) for part in parts if isinstance(part, str)):
        return _both(exact)
    # Clusters fold the case of ASCII letters only; any other letter may stand in another case.
    wide = _pattern(parts, field, fold=True, widen=True)
    return Bounds(wide, exact)


def _pattern(
    parts: tuple[GlobPart, ...], field: Indexed, *, fold: bool, widen: bool = False
) -> Query:
    if len(parts) == 1 and isinstance(parts[0], str) and not widen:
        return _term(field.path, parts[0], fold=fold)
    text = "".join(
        (_widened(part) if widen else _quoted(part))
        if isinstance(part, str)
        else ("*" if part == ANY_TEXT else "?")
        for part in parts
    )
    folding = {"case_insensitive": True} if fold else {}
    return {"wildcard": {field.path: {"value": text, **folding}}}


def _quoted(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)


def _widened(text: str) -> str:
    # Some letters have more characters in another case: any text, not one character.
    return "".join(_quoted(part) if _plain(part) else "*" for part in text)


def _plain(text: str) -> bool:
    return all(ord(part) < _ASCII or part.lower() == part.upper() for part in text)


def _term(path: str, value: str, *, fold: bool = True) -> Query:
    folding = {"case_insensitive": True} if fold else {}
    return {"term": {path: {"value": value, **folding}}}


def _whole_number(value: int, field: Indexed) -> Bounds:
    sign = "-" if value < 0 else "[+]?"
    written = rf" *{sign}0*{abs(value)}(\.0*)?([eE][+-]?[0-9]+)? *"
    # In another notation (1e1) the same number may be written in endless ways; with a mantissa
    # of its own digits only the plain ones are looked for, as event records write them.
    return Bounds(
        {"regexp": {field.path: {"value": written}}}, _term(field.path, str(value), fold=False)
    )


def _of_number(atom: Atom, field: Indexed) -> Bounds | None:
    match atom.op:
        case Op.NUMBER:
            return _both({"term": {field.path: atom.value}})
        case Op.COMPARE:
            operator, number = atom.value
            return _both({"range": {field.path: {operator: number}}})
        case Op.EQ | Op.C_EQ if re.fullmatch(r"-?[0-9]{1,18}", str(atom.value)):
            return _both({"term": {field.path: int(atom.value)}})
    return None


def _of_address(atom: Atom, field: Indexed) -> Bounds | None:
    # The same address may be written in several ways (IPv6): the cluster compares the address
    # itself, the event's text decides.
    if atom.op is Op.CIDR:
        return Bounds({"term": {field.path: atom.value}}, NONE)
    return None


def _both(query: Query) -> Bounds:
    return Bounds(query, query)
