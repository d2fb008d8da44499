"""pySigma's rules as conditions of ``ir``: every modifier that it parses, or a reason why not."""

import ipaddress
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionIdentifier,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    ConditionValueExpression,
)
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetections
from sigma.types import (
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
    TimestampPart,
)

from huntonce.connectors.sigma.globs import MAX_VALUE, glob_pattern
from huntonce.connectors.sigma.ir import (
    ANY_CHARACTER,
    ANY_TEXT,
    And,
    Atom,
    Condition,
    GlobPart,
    Named,
    Not,
    Op,
    Or,
)
from huntonce.models.errors import DomainError

Placeholders = Mapping[str, Sequence[str]]
"""Values of the placeholders that rules with the ``expand`` modifier name."""

_EXACT_DOUBLE = 2**53
_MAX_EXPANDED = 20_000
_WRITTEN = {SpecialChars.WILDCARD_MULTI: "*", SpecialChars.WILDCARD_SINGLE: "?"}
_TIME_PARTS = {
    TimestampPart.MINUTE: "%M",
    TimestampPart.HOUR: "%H",
    TimestampPart.DAY: "%d",
    TimestampPart.WEEK: "%W",
    TimestampPart.MONTH: "%m",
    TimestampPart.YEAR: "%Y",
}
_PLAIN = {
    (False, False): Op.EQ,
    (True, False): Op.ENDSWITH,
    (False, True): Op.STARTSWITH,
    (True, True): Op.CONTAINS,
}
_CASED = {
    Op.EQ: Op.C_EQ,
    Op.ENDSWITH: Op.C_ENDSWITH,
    Op.STARTSWITH: Op.C_STARTSWITH,
    Op.CONTAINS: Op.C_CONTAINS,
    Op.GLOB: Op.C_GLOB,
}


def compile_detections(detections: SigmaDetections, placeholders: Placeholders) -> Condition:
    """The condition of a rule's or filter's detections; several conditions are alternatives.

    Raises:
        DomainError: Something in it cannot be run as it is meant; the message says what.
    """
    try:
        found = [
            _Compiler(detections, placeholders).tree(condition.parse(postprocess=False))
            for condition in detections.parsed_condition
        ]
    except (SigmaError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, DomainError):
            raise
        raise DomainError(" ".join(str(error).split()) or type(error).__name__) from error
    except RecursionError as error:
        raise DomainError("it is nested too deeply") from error
    if not found:
        raise DomainError("it has no condition")
    return found[0] if len(found) == 1 else Or(tuple(found))


class _Compiler:
    def __init__(self, detections: SigmaDetections, placeholders: Placeholders) -> None:
        self._detections = detections
        self._placeholders = placeholders

    def tree(self, node: Any) -> Condition:  # noqa: ANN401 - pySigma's nodes share no useful type
        """A condition as it is written, selections by name."""
        if isinstance(node, ConditionIdentifier):
            return self._selection(node.identifier)
        if isinstance(node, ConditionSelector):
            names = [
                item.identifier for item in node.resolve_referenced_detections(self._detections)
            ]
            if not names:
                raise DomainError(f"no selection is named like {node.pattern!r}")
            return _joined(node.cond_class, [self._selection(name) for name in names])
        if isinstance(node, ConditionNOT):
            return Not(self.tree(node.args[0]))
        return _joined(type(node), [self.tree(item) for item in node.args])

    def _selection(self, name: str) -> Condition:
        if name not in self._detections.detections:
            raise DomainError(f"the condition names a selection {name!r} that is not there")
        found = self._detections[name].postprocess(self._detections)
        if found is None:
            raise DomainError(f"selection {name!r} is empty")
        return Named(name, self._inside(found))

    def _inside(self, node: Any) -> Condition:  # noqa: ANN401 - as above
        if isinstance(node, ConditionFieldEqualsValueExpression):
            return self._values(node.field, node.value)
        if isinstance(node, ConditionValueExpression):
            return self._values(None, node.value)
        if isinstance(node, ConditionNOT):
            return Not(self._inside(node.args[0]))
        return _joined(type(node), [self._inside(item) for item in node.args])

    def _values(self, field: str | None, value: Any) -> Condition:  # noqa: ANN401 - as above
        if isinstance(value, SigmaExpansion):
            return _any([self._values(field, item) for item in value.values])
        if isinstance(value, SigmaString | SigmaRegularExpression) and _has_placeholder(value):
            filled = value.replace_placeholders(self._fill)
            if len(filled) > _MAX_EXPANDED:
                raise DomainError(f"its placeholders expand to more than {_MAX_EXPANDED} values")
            cased = isinstance(value, SigmaCasedString)  # filling in loses the class
            return _any(
                [_cased(_atom(field, item)) if cased else _atom(field, item) for item in filled]
            )
        return _atom(field, value)

    def _fill(self, placeholder: Placeholder) -> Iterator[str]:
        values = self._placeholders.get(placeholder.name)
        if not values:
            raise DomainError(f"placeholder %{placeholder.name}% has no values")
        yield from values


def _has_placeholder(value: SigmaString | SigmaRegularExpression) -> bool:
    text = value.regexp if isinstance(value, SigmaRegularExpression) else value
    return any(isinstance(part, Placeholder) for part in text.s)


def _joined(kind: type, items: list[Condition]) -> Condition:
    if not items:
        raise DomainError("a part of the condition is empty")
    if len(items) == 1:
        return items[0]
    if issubclass(kind, ConditionAND):
        return And(tuple(items))
    if issubclass(kind, ConditionOR):
        return Or(tuple(items))
    raise DomainError(f"a condition of kind {kind.__name__} is not known")


def _any(items: list[Condition]) -> Condition:
    if not items:
        raise DomainError("a modifier left no value to look for")
    return items[0] if len(items) == 1 else Or(tuple(items))


def _atom(field: str | None, value: Any) -> Atom:  # noqa: ANN401, C901, PLR0911 - one case a type
    match value:
        case SigmaString():
            return _text(field, value)
        case SigmaTimestampPart():
            return Atom(field, Op.TIME_PART, (_TIME_PARTS[value.timestamp_part], value.number))
        case SigmaNumber():
            return _number(field, value)
        case SigmaBool():
            return Atom(field, Op.BOOL, value.boolean)
        case SigmaNull():
            return Atom(_bound(field, "null"), Op.NULL, None)
        case SigmaExists():
            return Atom(_bound(field, "exists"), Op.EXISTS, value.exists)
        case SigmaRegularExpression():
            return Atom(field, Op.REGEX, re2_pattern(value))
        case SigmaCIDRExpression():
            return Atom(field, Op.CIDR, str(ipaddress.ip_network(value.cidr, strict=False)))
        case SigmaCompareExpression():
            operator = value.op.name.lower()
            if operator not in ("lt", "lte", "gt", "gte"):
                raise DomainError(f"comparison {operator!r} is not known")
            return Atom(field, Op.COMPARE, (operator, _finite(value.number.number)))
        case SigmaFieldReference():
            return Atom(_bound(field, "fieldref"), Op.FIELD, (value.field, _reference(value)))
    raise DomainError(f"a value of kind {type(value).__name__} cannot be searched for")


def _bound(field: str | None, what: str) -> str:
    if field is None:
        raise DomainError(f"{what} needs a field")
    return field


def _reference(value: SigmaFieldReference) -> str:
    modes = {
        (False, False): "eq",
        (True, False): "startswith",
        (False, True): "endswith",
        (True, True): "contains",
    }
    return modes[value.starts_with, value.ends_with]


def _number(field: str | None, value: SigmaNumber) -> Atom:
    number = _finite(value.number)
    if field is None:
        return Atom(None, Op.CONTAINS, str(value))
    if isinstance(number, int) and abs(number) > _EXACT_DOUBLE:
        return Atom(field, Op.C_EQ, str(number))
    return Atom(field, Op.NUMBER, number)


def _finite(number: float) -> int | float:
    if not math.isfinite(number):
        raise DomainError(f"{number} is not a number to compare with")
    return number


def _text(field: str | None, value: SigmaString) -> Atom:
    parts: list[GlobPart] = []
    for part in value.s:
        if isinstance(part, str):
            parts.append(part)
        elif part is SpecialChars.WILDCARD_MULTI:
            if not parts or parts[-1] != ANY_TEXT:
                parts.append(ANY_TEXT)
        elif part is SpecialChars.WILDCARD_SINGLE:
            parts.append(ANY_CHARACTER)
        else:
            raise DomainError("a placeholder is left in a value")
    if sum(len(part) for part in parts if isinstance(part, str)) > MAX_VALUE:
        raise DomainError(f"a value is longer than {MAX_VALUE} characters")
    if field is None:
        parts = _within(parts)
    atom = _simplest(field, tuple(parts))
    return _cased(atom) if isinstance(value, SigmaCasedString) else atom


def _cased(atom: Atom) -> Atom:
    return Atom(atom.field, _CASED.get(atom.op, atom.op), atom.value)


def _within(parts: list[GlobPart]) -> list[GlobPart]:
    """A keyword may stand anywhere in a value."""
    head = [] if parts and parts[0] == ANY_TEXT else [ANY_TEXT]
    tail = [] if parts and parts[-1] == ANY_TEXT else [ANY_TEXT]
    return [*head, *parts, *tail] if parts else [ANY_TEXT]


def _simplest(field: str | None, parts: tuple[GlobPart, ...]) -> Atom:
    if not parts:
        return Atom(field, Op.EQ, "")
    if parts == (ANY_TEXT,):
        return Atom(field, Op.EXISTS, True)  # noqa: FBT003 - the value of an atom
    starts, ends = parts[0] == ANY_TEXT, parts[-1] == ANY_TEXT
    middle = parts[starts : len(parts) - ends]
    if len(middle) == 1 and isinstance(middle[0], str):
        return Atom(field, _PLAIN[starts, ends], middle[0])
    _check(glob_pattern(parts))
    return Atom(field, Op.GLOB, parts)


def re2_pattern(value: SigmaRegularExpression) -> str:
    """The pattern with its flags in front, checked by the engine that will run it.

    RE2 runs in time linear in the text, so that no rule can make it hang; what it cannot do,
    such as look-around and back references, no linear engine can.

    Raises:
        DomainError: RE2 refuses it.
    """
    flags = "".join(sorted(SigmaRegularExpression.sigma_to_re_flag[flag] for flag in value.flags))
    pattern = (f"(?{flags})" if flags else "") + "".join(
        _WRITTEN[part] if isinstance(part, SpecialChars) else str(part) for part in value.regexp.s
    )
    _check(pattern)
    return pattern


def _check(pattern: str) -> None:
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).removeprefix("Invalid regular expression: ").split())
        raise DomainError(
            f"its regular expression cannot be run in linear time (RE2: {reason[:300]})"
        ) from error
