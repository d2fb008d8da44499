"""A pattern as the domain knows it: comparisons joined by and / or, whatever language it came in.

A ``Comparison`` is about an observable ("file:name"); a ``FieldTest`` about a field of events. Both
hang in the same kind of tree.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar


class Op(StrEnum):
    """How a value is compared; texts without regard to case, but for ``REGEX``."""

    EQUALS = "equals"
    CONTAINS = "contains"
    STARTS = "startswith"
    ENDS = "endswith"
    LIKE = "like"  # % stands for any text, _ for one character
    REGEX = "re"
    CIDR = "cidr"
    GREATER = "gt"
    AT_LEAST = "gte"
    LESS = "lt"
    AT_MOST = "lte"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One comparison of a pattern.

    Attributes:
        path: Object path, its list indexes as "[*]" and its quotes gone
            ("file:hashes.SHA-256").
    """

    path: str
    op: Op
    value: str
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTest:
    """One test of an event's field."""

    field: str
    op: Op
    value: str
    negated: bool = False


L = TypeVar("L", Comparison, FieldTest)
M = TypeVar("M", Comparison, FieldTest)


@dataclass(frozen=True, slots=True)
class Group(Generic[L]):
    """Parts of which all (``every``) or at least one must hold."""

    every: bool
    parts: "tuple[L | Group[L], ...]"


def join(parts: "tuple[L | Group[L], ...]", *, every: bool) -> "L | Group[L]":
    """The parts as one tree, groups of the same kind made one."""
    flat: list[L | Group[L]] = []
    for part in parts:
        if isinstance(part, Group) and part.every is every:
            flat.extend(part.parts)
        else:
            flat.append(part)
    return flat[0] if len(flat) == 1 else Group(every, tuple(flat))


def leaves(tree: "L | Group[L]") -> Iterator[L]:
    """Every comparison in it."""
    if isinstance(tree, Group):
        for part in tree.parts:
            yield from leaves(part)
    else:
        yield tree


def alternatives(tree: "L | Group[L]") -> "tuple[L | Group[L], ...]":
    """The parts of which one is enough."""
    return tree.parts if isinstance(tree, Group) and not tree.every else (tree,)


def anchored(tree: "L | Group[L]") -> bool:
    """Whether it asks for something to be there; else it matches whatever is not something."""
    if isinstance(tree, Group):
        return (any if tree.every else all)(anchored(part) for part in tree.parts)
    return not tree.negated


def converted(
    tree: "L | Group[L]", convert: "Callable[[L], M | Group[M] | None]"
) -> "M | Group[M] | None":
    """The tree with its leaves converted; None where what is left would mean less or more.

    An alternative that cannot be converted is left out, a condition that cannot ends all that it
    is a condition of.
    """
    if not isinstance(tree, Group):
        return convert(tree)
    parts = [converted(part, convert) for part in tree.parts]
    kept = tuple(part for part in parts if part is not None)
    if not kept or (tree.every and len(kept) < len(parts)):
        return None
    return join(kept, every=tree.every)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Events by which a field fill shows that a place's events arrive.

    Attributes:
        renames: Field as searches name it, lower case, to the name that the event carries.
    """

    channel: str
    event_ids: tuple[int, ...]
    renames: Mapping[str, str]

    def field(self, name: str) -> str:
        """The event's own name of a field."""
        return self.renames.get(name.lower(), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where events of one sort are recorded.

    Attributes:
        name: What people call it ("process start").
        logsource: Sigma log source.
        event_ids: Ids that the search is narrowed to; empty where the log source says it.
        arrivals: Empty where only a search can tell whether its events arrive.
    """

    name: str
    logsource: Mapping[str, str]
    event_ids: tuple[int, ...] = ()
    arrivals: tuple[Arrival, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What to look for in one place; any branch of an indicator that is found is a hit."""

    place: Place
    tree: FieldTest | Group[FieldTest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What logs can show of a pattern.

    Attributes:
        branches: Empty where nothing of it can be matched.
        unmatched: What of it cannot, each with the reason.
    """

    branches: tuple[Branch, ...]
    unmatched: tuple[str, ...] = ()
