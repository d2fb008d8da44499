"""Sigma correlation rules, read into plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionNOT,
    CorrelationConditionOR,
    SigmaCorrelationCondition,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from huntonce.models.errors import DomainError

VALUES = frozenset({"value_sum", "value_avg", "value_percentile", "value_median"})
"""Types that calculate with the numbers in a field."""

_NAMES = {
    CorrelationConditionAND: "and",
    CorrelationConditionOR: "or",
    CorrelationConditionNOT: "not",
}
_MOST_PERCENT = 100
_DEEPEST = 50

Expression = str | tuple[Any, ...]
"""A rule, or ("and" | "or" | "not", expressions...)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationRule:
    """A correlation over the hits of rules, or over other correlations.

    Attributes:
        kind: event_count, value_count, temporal, temporal_ordered, value_sum, value_avg,
            value_percentile or value_median.
        rules: Ids of the rules or correlations, in the order in which they are named.
        group_by: Fields whose values tell groups apart.
        seconds: The time span.
        operator: lt, lte, gt, gte, eq or neq; what is measured is compared with ``count``.
        counted: Fields whose values are counted or calculated with.
        percentile: 0 to 100, of value_percentile.
        expression: Which rules must have hit, of temporal kinds; then ``operator`` does not count.
        aliases: Group field to rule id to the field of that rule's events.
        generate: The rules' own hits are reported too.
    """

    id: str
    title: str
    level: str
    author: str
    source: str
    kind: str
    rules: tuple[str, ...]
    group_by: tuple[str, ...]
    seconds: int
    operator: str
    count: float
    counted: tuple[str, ...]
    percentile: float | None
    expression: Expression | None
    aliases: Mapping[str, Mapping[str, str]]
    generate: bool


def read_correlation(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a correlation says, as JSON can hold it; its rules are named as it names them.

    Raises:
        DomainError: It cannot be run as it is meant; the message says what.
        SigmaError: pySigma refuses it.
    """
    rule = SigmaCorrelationRule.from_dict(dict(document))
    kind = rule.type.name.lower()
    condition = rule.condition
    expression: Any = None
    counted: str | list[str] = []
    operator, count, percentile = "gte", 1.0, None
    rules = [reference.reference for reference in rule.rules or ()]
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        expression = _expression(condition.parsed, 0)
        rules = rules or condition.get_referenced_rules()
    else:
        operator = condition.op.name.lower()
        count = _number(document, operator, condition)
        counted = condition.fieldref or []
        percentile = condition.percentile
    if not rules:
        raise DomainError("it names no rules")
    fields = [counted] if isinstance(counted, str) else list(counted)
    if not all(isinstance(name, str) for name in (*rules, *fields, *(rule.group_by or ()))):
        raise DomainError("its rules and fields are named by something that is no text")
    if kind in VALUES and len(fields) != 1:
        raise DomainError(f"{kind} calculates with one field")
    if kind == "value_percentile" and (percentile is None or not 0 <= percentile <= _MOST_PERCENT):
        raise DomainError("value_percentile needs a percentile from 0 to 100")
    return {
        "type": kind,
        "rules": rules,
        "group_by": list(rule.group_by or []),
        "seconds": rule.timespan.seconds,
        "operator": operator,
        "count": count,
        "counted": fields,
        "percentile": percentile,
        "expression": expression,
        "aliases": rule.aliases.to_dict(),
        "generate": rule.generate,
    }


def _number(
    document: Mapping[str, Any], operator: str, condition: SigmaCorrelationCondition
) -> float:
    """The number as it is written: pySigma cuts it to a whole one."""
    section = document["correlation"].get("condition")
    written = section.get(operator) if isinstance(section, Mapping) else None
    return written if isinstance(written, float) else condition.count


def _expression(node: CorrelationConditionItem | SigmaRuleReference, depth: int) -> Any:  # noqa: ANN401 - JSON
    if depth > _DEEPEST:
        raise DomainError("its condition is nested too deeply")
    if isinstance(node, SigmaRuleReference):
        return node.reference
    return [_NAMES[type(node)], *(_expression(item, depth + 1) for item in node.args)]


def resolved(expression: Any, ids: Mapping[str, str]) -> Expression | None:  # noqa: ANN401 - JSON
    """The expression with the ids of its rules."""
    if expression is None:
        return None
    if isinstance(expression, str):
        return ids[expression]
    name, *items = expression
    return (name, *(resolved(item, ids) for item in items))


def demanded(expression: Expression) -> frozenset[str]:
    """The rules of an expression that do not stand behind a not."""
    if isinstance(expression, str):
        return frozenset({expression})
    if expression[0] == "not":
        return frozenset()
    return frozenset[str]().union(*(demanded(item) for item in expression[1:]))


def has_not(expression: Expression) -> bool:
    """Whether more hits can make an expression false."""
    if isinstance(expression, str):
        return False
    return expression[0] == "not" or any(has_not(item) for item in expression[1:])


def true_for(expression: Expression, rules: frozenset[str]) -> bool:
    """Whether an expression holds where these rules have hit."""
    if isinstance(expression, str):
        return expression in rules
    found = (true_for(item, rules) for item in expression[1:])
    if expression[0] == "not":
        return not next(found)
    return any(found) if expression[0] == "or" else all(found)
