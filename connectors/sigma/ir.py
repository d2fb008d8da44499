"""Sigma conditions as a small tree, free of pySigma: what the sweep engine runs and caches.

A condition is two-valued: an atom over a field that the event does not have is false (but for null
and "exists: false"), and NOT turns that into true, as the Sigma specification has it.

Its JSON form is made of lists: ``["&", [...]]``, ``["|", [...]]``, ``["!", x]``,
``["#", name, x]`` (a named selection) and ``["=", field, op, value]``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

IR_VERSION: Final = 3
"""Part of every cache key: a change here makes cached packs void."""

GlobPart = str | int
ANY_TEXT: Final = 0
"""In a glob: any text, also none."""
ANY_CHARACTER: Final = 1
"""In a glob: exactly one character."""


class Op(StrEnum):
    """What an atom asks of a field's text; the ``C`` ones mind case."""

    EQ = "eq"
    CONTAINS = "contains"
    STARTSWITH = "startswith"
    ENDSWITH = "endswith"
    GLOB = "glob"
    C_EQ = "ceq"
    C_CONTAINS = "ccontains"
    C_STARTSWITH = "cstartswith"
    C_ENDSWITH = "cendswith"
    C_GLOB = "cglob"
    NUMBER = "num"
    COMPARE = "cmp"
    BOOL = "bool"
    NULL = "null"
    EXISTS = "exists"
    REGEX = "re"
    CIDR = "cidr"
    FIELD = "fieldref"
    TIME_PART = "part"


CASED: Final = {
    Op.C_EQ: Op.EQ,
    Op.C_CONTAINS: Op.CONTAINS,
    Op.C_STARTSWITH: Op.STARTSWITH,
    Op.C_ENDSWITH: Op.ENDSWITH,
    Op.C_GLOB: Op.GLOB,
}
"""Each operation that minds case, with the one that does not."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One question to one field; no field is every value of the event.

    Attributes:
        value: Text; a tuple of text and wildcards (glob); a number; True or False (bool, exists);
            None (null); an RE2 pattern with its flags in front; a network; (operator, number) for
            a comparison; (field, "eq" | "startswith" | "endswith" | "contains") for a field
            reference; (strftime part, number) for a part of a time.
    """

    field: str | None
    op: Op
    value: Any


@dataclass(frozen=True, slots=True)
class And:
    """All hold."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One holds."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold."""

    item: "Condition"


@dataclass(frozen=True, slots=True)
class Named:
    """A selection of the rule, by its name."""

    name: str
    item: "Condition"


Condition = Atom | And | Or | Not | Named


def encode(condition: Condition) -> list[Any]:
    """The JSON form of a condition."""
    match condition:
        case Atom(field, op, value):
            return ["=", field, op.value, list(value) if isinstance(value, tuple) else value]
        case And(items):
            return ["&", [encode(item) for item in items]]
        case Or(items):
            return ["|", [encode(item) for item in items]]
        case Not(item):
            return ["!", encode(item)]
        case Named(name, item):
            return ["#", name, encode(item)]


_OPS = {op.value: op for op in Op}


def decode(form: Any) -> Condition:  # noqa: ANN401 - parsed JSON
    """The condition of a JSON form that ``encode`` made."""
    kind = form[0]
    if kind == "=":
        value = form[3]
        return Atom(form[1], _OPS[form[2]], tuple(value) if type(value) is list else value)
    if kind == "&":
        return And(tuple([decode(item) for item in form[1]]))
    if kind == "|":
        return Or(tuple([decode(item) for item in form[1]]))
    if kind == "!":
        return Not(decode(form[1]))
    return Named(form[1], decode(form[2]))


def atoms(condition: Condition) -> Iterator[Atom]:
    """Every atom in it, from left to right."""
    stack = [condition]
    while stack:
        node = stack.pop()
        match node:
            case Atom():
                yield node
            case And(items) | Or(items):
                stack += reversed(items)
            case Not(item) | Named(_, item):
                stack.append(item)


def fields_of(condition: Condition) -> tuple[str, ...]:
    """The fields that it names, once each."""
    named: dict[str, None] = {}
    for atom in atoms(condition):
        if atom.field is not None:
            named[atom.field] = None
        if atom.op is Op.FIELD:
            named[atom.value[0]] = None
    return tuple(named)


def branches(condition: Condition) -> tuple[Named, ...]:
    """The named selections that count towards a match: those under no NOT, once each."""
    found: dict[str, Named] = {}
    _branches(condition, positive=True, found=found)
    return tuple(found.values())


def _branches(condition: Condition, *, positive: bool, found: dict[str, Named]) -> None:
    match condition:
        case Named(name, _):
            if positive:
                found.setdefault(name, condition)
        case And(items) | Or(items):
            for item in items:
                _branches(item, positive=positive, found=found)
        case Not(item):
            _branches(item, positive=not positive, found=found)
        case Atom():
            pass
