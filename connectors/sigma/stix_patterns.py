"""STIX patterns as searches of logs: parsed with the OASIS grammar, then told in fields of events.

What one event can show is taken: comparisons joined by AND and OR, and observations joined by OR.
What needs several events in a relation (AND of observations, FOLLOWEDBY, WITHIN, REPEATS, START)
is refused with the reason, never searched in part.
"""

import re
from typing import Any

from stix2patterns.v21.pattern import ParseException, Pattern

from huntonce.connectors.sigma.stix_fields import PLACES, field_tests, known_path
from huntonce.models.errors import DomainError
from huntonce.models.indicators.patterns import (
    Branch,
    Comparison,
    Compiled,
    FieldTest,
    Group,
    Op,
    Place,
    alternatives,
    anchored,
    converted,
    join,
    leaves,
)

MAX_PATTERN = 64 * 1024
_OPS = {
    "=": Op.EQUALS,
    "!=": Op.EQUALS,
    "IN": Op.EQUALS,
    "LIKE": Op.LIKE,
    "MATCHES": Op.REGEX,
    "ISSUBSET": Op.CIDR,
    ">": Op.GREATER,
    ">=": Op.AT_LEAST,
    "<": Op.LESS,
    "<=": Op.AT_MOST,
}
_REFUSED = {
    "ObservationExpressionWithin": "asks that things happen WITHIN a time",
    "ObservationExpressionRepeated": "asks that something REPEATS",
    "ObservationExpressionStartStop": "is about a fixed time (START, STOP)",
}
_ESCAPED = re.compile(r"\\(['\\])")
# The one shape that most indicators have; the grammar takes a hundred times as long.
_PATH = r"([a-z0-9][a-z0-9-]*:(?:[a-zA-Z0-9_-]+|'[^'\\\n]+')(?:\.(?:[a-zA-Z0-9_-]+|'[^'\\\n]+'))*)"
_SINGLE = re.compile(rf"\[\s*{_PATH}\s*=\s*'((?:[^'\\]|\\['\\])*)'\s*\]")
Tree = Comparison | Group[Comparison]


def parse_pattern(pattern: str) -> Tree:
    """The comparisons of a STIX pattern.

    Raises:
        DomainError: It is no STIX pattern, or one event cannot show what it asks for.
    """
    single = _SINGLE.fullmatch(pattern.strip())
    if single:
        return Comparison(path=_plain(single[1]), op=Op.EQUALS, value=_unescaped(single[2]))
    if len(pattern) > MAX_PATTERN:
        raise DomainError(f"the pattern is longer than {MAX_PATTERN // 1024} KiB")
    try:
        return _observations(Pattern(pattern).visit(_Root()))
    except ParseException as error:
        reason = str(error).splitlines()[0][:200]
        raise DomainError(f"not a STIX pattern: {reason}") from error
    except RecursionError as error:
        raise DomainError("the pattern nests too deeply") from error


def compile_pattern(tree: Tree) -> Compiled:
    """Where logs can show what a pattern asks for, and what of it they cannot."""
    kept: list[Tree] = []
    unmatched: list[str] = []
    for alternative in alternatives(tree):
        if not anchored(alternative):
            unmatched.append("it matches whatever is not something: nothing to look for")
        elif not _anywhere(alternative):
            unmatched.extend(_why_not(alternative))
        else:
            kept.append(alternative)
    branches = []
    for place in PLACES:
        found = [
            test
            for alternative in kept
            if (test := _at(alternative, place)) is not None and anchored(test)
        ]
        if found:
            branches.append(Branch(place=place, tree=join(tuple(found), every=False)))
    return Compiled(branches=tuple(branches), unmatched=tuple(dict.fromkeys(unmatched)))


class _Root:
    """A visitor that hands over the tree as it was parsed."""

    def visit(self, tree: Any) -> Any:  # noqa: ANN401 - ANTLR's contexts have no types
        return tree


def _name(node: Any) -> str:  # noqa: ANN401 - as above
    return type(node).__name__.removesuffix("Context")


def _children(node: Any) -> list[Any]:  # noqa: ANN401 - as above
    return [node.getChild(index) for index in range(node.getChildCount())]


def _words(node: Any) -> list[str]:  # noqa: ANN401 - as above
    """The node's own terminals."""
    return [child.getText() for child in _children(node) if hasattr(child, "symbol")]


def _inner(node: Any) -> list[Any]:  # noqa: ANN401 - as above
    return [child for child in _children(node) if not hasattr(child, "symbol")]


def _observations(node: Any) -> Tree:  # noqa: ANN401 - as above
    name, parts = _name(node), _inner(node)
    if name in _REFUSED:
        raise DomainError(f"the pattern {_REFUSED[name]}, which no single event shows")
    words = _words(node)
    if "FOLLOWEDBY" in words:
        raise DomainError(
            "the pattern asks for a sequence (FOLLOWEDBY), which no single event shows"
        )
    if name == "ObservationExpressionAnd" and len(parts) > 1:
        raise DomainError("the pattern asks for two observations together, which no event shows")
    if name == "ObservationExpressionSimple":
        return _comparisons(parts[0])
    return join(tuple(_observations(part) for part in parts), every=False)


def _comparisons(node: Any) -> Tree:  # noqa: ANN401 - as above
    name, parts = _name(node), _inner(node)
    if name in {"ComparisonExpression", "ComparisonExpressionAnd"}:
        every = name == "ComparisonExpressionAnd"
        return join(tuple(_comparisons(part) for part in parts), every=every)
    if name == "PropTestParen":
        return _comparisons(parts[0])
    return _test(node, parts)


def _test(node: Any, parts: list[Any]) -> Tree:  # noqa: ANN401 - as above
    words = _words(node)
    operator = next((word for word in words if word in _OPS), "")
    if not operator:
        shown = next((word for word in words if word.isupper() and word != "NOT"), _name(node))
        raise DomainError(f"the pattern uses {shown}, which is not searched for")
    negated = ("NOT" in words) is not (operator == "!=")
    path = _plain(parts[0].getText())
    texts = _literals(node, parts)
    made = tuple(
        Comparison(path=path, op=_OPS[operator], value=text, negated=negated) for text in texts
    )
    return join(made, every=negated)


def _literals(node: Any, parts: list[Any]) -> list[str]:  # noqa: ANN401 - as above
    if len(parts) > 1:
        literal = parts[1]
        if _name(literal) == "SetLiteral":
            return [_literal(one.getText()) for one in _inner(literal)]
        return [_literal(literal.getText())]
    return [_literal(_words(node)[-1])]


def _literal(text: str) -> str:
    if text.startswith("'"):
        return _unescaped(text[1:-1])
    if text[:2] in {"h'", "b'"}:
        raise DomainError("the pattern compares bytes, which logs do not hold")
    return text[2:-1] if text.startswith("t'") else text


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _plain(path: str) -> str:
    """An object path without quotes, every list index as "[*]"."""
    return re.sub(r"\[(?:\*|-?\d+)\]", "[*]", path.replace("'", ""))


def _at(tree: Tree, place: Place) -> FieldTest | Group[FieldTest] | None:
    def convert(comparison: Comparison) -> FieldTest | Group[FieldTest] | None:
        return field_tests(comparison, place.name)

    return converted(tree, convert)


def _anywhere(tree: Tree) -> bool:
    """Whether some place can show it all; of alternatives within it, each in some place."""
    if isinstance(tree, Group) and not tree.every:
        return all(_anywhere(part) for part in tree.parts)
    if not isinstance(tree, Group) or not any(isinstance(p, Group) for p in tree.parts):
        return any(_at(tree, place) is not None for place in PLACES)
    # Alternatives under a condition: each of them together with the rest must be shown.
    index = next(i for i, part in enumerate(tree.parts) if isinstance(part, Group))
    nested = tree.parts[index]
    rest = (*tree.parts[:index], *tree.parts[index + 1 :])
    parts = nested.parts if isinstance(nested, Group) else (nested,)
    return all(_anywhere(join((*rest, part), every=True)) for part in parts)


def _why_not(tree: Tree) -> list[str]:
    unknown = dict.fromkeys(leaf.path for leaf in leaves(tree) if not known_path(leaf.path))
    if unknown:
        return [f"{path}: no log source that is known here records it" for path in unknown]
    shown = ", ".join(dict.fromkeys(f"{leaf.path} {leaf.op.value}" for leaf in leaves(tree)))
    return [f"no log source shows this together or in this way: {shown}"]
