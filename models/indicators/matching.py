"""Field tests as a Sigma detection, and the same tests on a row that came back.

Many indicators are looked for in one search; which of them an event is a hit of is told by testing
the event again here.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence

from huntonce.models.indicators.patterns import FieldTest, Group, Op, leaves

Tree = FieldTest | Group[FieldTest]
_MODIFIERS = {
    Op.EQUALS: "",
    Op.LIKE: "",
    Op.CONTAINS: "|contains",
    Op.STARTS: "|startswith",
    Op.ENDS: "|endswith",
    Op.REGEX: "|re",
    Op.CIDR: "|cidr",
    Op.GREATER: "|gt",
    Op.AT_LEAST: "|gte",
    Op.LESS: "|lt",
    Op.AT_MOST: "|lte",
}
_NUMERIC = frozenset({Op.GREATER, Op.AT_LEAST, Op.LESS, Op.AT_MOST})


def detection(trees: Sequence[Tree], event_ids: Sequence[int] = ()) -> dict[str, object]:
    """A Sigma detection section that matches what any of the trees matches.

    Plain tests of one field and kind become one selection with a list of values.
    """
    lists: dict[str, list[object]] = {}
    selections: dict[str, object] = {}
    terms: list[str] = []
    for tree in trees:
        if isinstance(tree, FieldTest) and not tree.negated:
            lists.setdefault(_key(tree), []).append(_value(tree))
        else:
            terms.append(f"({_condition(tree, selections)})")
    for key, values in lists.items():
        name = f"list{len(selections)}"
        selections[name] = {key: list(dict.fromkeys(values))}
        terms.append(name)
    condition = " or ".join(terms)
    if event_ids:
        selections["ids"] = {"EventID": list(event_ids)}
        condition = f"ids and ({condition})"
    return {**selections, "condition": condition}


def fields(trees: Sequence[Tree]) -> tuple[str, ...]:
    """Fields that the trees test, in order."""
    return tuple(dict.fromkeys(test.field for tree in trees for test in leaves(tree)))


def holds(tree: Tree, row: Mapping[str, object]) -> bool:
    """Whether an event, as a row of projected fields, is what the tree asks for."""
    if isinstance(tree, Group):
        return (all if tree.every else any)(holds(part, row) for part in tree.parts)
    value = row.get(tree.field)
    found = isinstance(value, str) and _meets(tree, value)
    return found is not tree.negated


def groupable(tree: Tree) -> bool:
    """Whether it can share a search: every test means here exactly what it means to a SIEM."""
    return all(test.op is not Op.REGEX for test in leaves(tree))


def _condition(tree: Tree, selections: dict[str, object]) -> str:
    if isinstance(tree, Group):
        parts = [_condition(part, selections) for part in tree.parts]
        return f"({(' and ' if tree.every else ' or ').join(parts)})"
    name = f"one{len(selections)}"
    selections[name] = {_key(tree): _value(tree)}
    return f"not {name}" if tree.negated else name


def _key(test: FieldTest) -> str:
    return f"{test.field}{_MODIFIERS[test.op]}"


def _value(test: FieldTest) -> object:
    match test.op:
        case Op.REGEX | Op.CIDR:
            return test.value
        case Op.GREATER | Op.AT_LEAST | Op.LESS | Op.AT_MOST:
            return float(test.value)
        case Op.LIKE:
            parts = re.split(r"([%_])", test.value)
            wild = {"%": "*", "_": "?"}
            return "".join(wild.get(part) or _escaped(part) for part in parts)
        case _:
            return _escaped(test.value)


def _escaped(text: str) -> str:
    r"""Text as Sigma writes it: its wildcards and the backslash stand for themselves."""
    return re.sub(r"([\\*?])", r"\\\1", text)


def _meets(test: FieldTest, value: str) -> bool:
    have, want = value.lower(), test.value.lower()
    match test.op:
        case Op.EQUALS:
            found = have == want
        case Op.CONTAINS:
            found = want in have
        case Op.STARTS:
            found = have.startswith(want)
        case Op.ENDS:
            found = have.endswith(want)
        case Op.LIKE:
            found = _like(want, have)
        case Op.REGEX:
            found = re.search(test.value, value) is not None
        case Op.CIDR:
            found = _inside(value, test.value)
        case _:
            found = _ordered(test.op, value, test.value)
    return found


def _like(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern with % and _ says, in at most the product of their lengths.

    As a regular expression a pattern of others, "%a%a%a%a%b", would take for ever: only the last
    % is ever worth going back to.
    """
    at = here = 0
    back, resume = -1, 0
    while here < len(text):
        mark = pattern[at] if at < len(pattern) else ""
        if mark == "%":
            back, resume = at, here
            at += 1
        elif mark and mark in ("_", text[here]):
            at, here = at + 1, here + 1
        elif back >= 0:
            resume += 1
            at, here = back + 1, resume
        else:
            return False
    return not pattern[at:].strip("%")


def _inside(value: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _ordered(op: Op, value: str, bound: str) -> bool:
    try:
        have, want = float(value), float(bound)
    except ValueError:
        return False
    return {
        Op.GREATER: have > want,
        Op.AT_LEAST: have >= want,
        Op.LESS: have < want,
        Op.AT_MOST: have <= want,
    }[op]
