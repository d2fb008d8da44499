"""Sigma conditions as DuckDB predicates.

pysigma-backend-sqlite does the conversion; DuckDB differs in how it matches without regard to
case, in types (it compares none implicitly) and in having lists, which carry keyword searches.
"""

import copy
import math
from ipaddress import IPv4Network
from typing import Any, ClassVar, Protocol

from sigma.backends.sqlite.sqlite import sqliteBackend
from sigma.conditions import ConditionFieldEqualsValueExpression, ConditionValueExpression
from sigma.conversion.deferred import DeferredQueryExpression
from sigma.conversion.state import ConversionState
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError, SigmaValueError
from sigma.rule import SigmaRule
from sigma.types import (
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaNumber,
    SigmaString,
    SigmaType,
    SpecialChars,
)
from typing_extensions import override

from huntonce.models.errors import DomainError

_EXACT_DOUBLE = 2**53
_ESCAPE = " ESCAPE '\\'"


class FieldSql(Protocol):
    """How the fields that a rule names are reached in SQL."""

    def text(self, field: str) -> str:
        """Expression of type VARCHAR: the field's value, NULL where the event has none."""
        ...

    def number(self, field: str) -> str:
        """Numeric expression: the field's value, NULL where it is no number."""
        ...

    def everything(self) -> str:
        """Expression of type VARCHAR[]: every value of the event."""
        ...


class _AnyValue(str):
    """Stands for the field in a condition that is bound to none."""

    __slots__ = ()


_ANY_VALUE = _AnyValue("any value")
_LAMBDA = "v"

Converted = str | DeferredQueryExpression


def quote_text(value: str) -> str:
    """A value as a SQL string literal.

    Raises:
        DomainError: It holds a NUL, which ends DuckDB's query text.
    """
    if "\x00" in value:
        raise DomainError("a value with a NUL character cannot be searched for")
    return "'" + value.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """A column or view name as a SQL identifier.

    Raises:
        DomainError: It holds a NUL, which ends DuckDB's query text.
    """
    if "\x00" in name:
        raise DomainError("a field name with a NUL character cannot be searched for")
    return '"' + name.replace('"', '""') + '"'


def predicate(rule: SigmaRule, fields: FieldSql) -> str:
    """The SQL condition that is true for the events a rule matches, and never NULL-sensitive.

    Raises:
        DomainError: The rule uses something that DuckDB cannot do as it is meant.
    """
    backend = DuckDBBackend(fields)
    try:
        parts: list[str] = backend.convert_rule(copy.deepcopy(rule))  # type: ignore[no-untyped-call]
    except (SigmaError, NotImplementedError, ValueError, TypeError) as error:
        raise DomainError(f"cannot be compiled: {error}") from error
    except RecursionError as error:
        raise DomainError("cannot be compiled: it is nested too deeply") from error
    if not parts:
        raise DomainError("cannot be compiled: it has no condition")
    text = parts[0] if len(parts) == 1 else " OR ".join(f"({part})" for part in parts)
    if "\x00" in text:
        raise DomainError("a value with a NUL character cannot be searched for")
    return text


class DuckDBBackend(sqliteBackend):
    """Converts to a predicate over columns that ``FieldSql`` names."""

    name: ClassVar[str] = "DuckDB"

    startswith_expression: ClassVar[str] = "{field} ILIKE '{value}%'" + _ESCAPE
    endswith_expression: ClassVar[str] = "{field} ILIKE '%{value}'" + _ESCAPE
    contains_expression: ClassVar[str] = "{field} ILIKE '%{value}%'" + _ESCAPE
    wildcard_match_expression: ClassVar[str] = "{field} ILIKE '{value}'" + _ESCAPE
    wildcard_match_str_expression: ClassVar[str] = wildcard_match_expression
    eq_expression: ClassVar[str] = "lower({field}) = lower({value})"
    re_expression: ClassVar[str] = "regexp_matches({field}, '{regex}')"
    bool_expression: ClassVar[str] = "lower({field}) IN ({value}, '{numeric_value}')"
    null_safe_expression: ClassVar[str] = "COALESCE({expr}, FALSE)"
    field_equals_field_expression: ClassVar[str] = "lower({field1}) = lower({field2})"
    _like_literal: ClassVar[str] = (
        "replace(replace(replace({field2}, '\\', '\\\\'), '%', '\\%'), '_', '\\_')"
    )
    field_equals_field_startswith_expression: ClassVar[str] = (
        "{field1} ILIKE (" + _like_literal + " || '%')" + _ESCAPE
    )
    field_equals_field_endswith_expression: ClassVar[str] = (
        "{field1} ILIKE ('%' || " + _like_literal + ")" + _ESCAPE
    )
    field_equals_field_contains_expression: ClassVar[str] = (
        "{field1} ILIKE ('%' || " + _like_literal + " || '%')" + _ESCAPE
    )
    field_timestamp_part_expression: ClassVar[str] = (
        "CAST(strftime(TRY_CAST({field} AS TIMESTAMP), '{timestamp_part}') AS INTEGER)"
    )

    def __init__(self, fields: FieldSql) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fields = fields

    @override
    def escape_and_quote_field(self, field: str) -> str:
        return _LAMBDA if isinstance(field, _AnyValue) else self._fields.text(field)

    @override
    def finalize_query_default(
        self, rule: SigmaRule | SigmaCorrelationRule, query: str, index: int, state: ConversionState
    ) -> str:
        return query

    @override
    def convert_condition_field_eq_val_str(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Converted:
        text = super().convert_condition_field_eq_val_str(cond, state)
        if not isinstance(text, str):
            return text
        # Naming an escape character makes DuckDB leave its fast path.
        bare = text.removesuffix(_ESCAPE)
        return text if "\\" in bare else bare

    @override
    def convert_condition_field_eq_val_num(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Converted:
        number = _finite(cond.value)
        if isinstance(number, int) and abs(number) > _EXACT_DOUBLE:
            return f"{self.escape_and_quote_field(cond.field)} = '{number}'"
        return f"{self._number(cond.field)} = {number}"

    @override
    def convert_condition_field_compare_op_val(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Converted:
        value = cond.value
        if isinstance(value, SigmaCompareExpression) and isinstance(value.number, SigmaNumber):
            operator = self.compare_operators[value.op]
            return f"{self._number(cond.field)} {operator} {_finite(value.number)}"
        return super().convert_condition_field_compare_op_val(cond, state)

    @override
    def convert_condition_field_eq_val_cidr(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Converted:
        value = cond.value
        if not isinstance(value, SigmaCIDRExpression):
            raise SigmaValueError("a CIDR expression was expected")
        network = value.network
        if not isinstance(network, IPv4Network):
            return super().convert_condition_field_eq_val_cidr(cond, state)
        field = self.escape_and_quote_field(cond.field)
        octets = " + ".join(
            f"TRY_CAST(split_part({field}, '.', {part}) AS BIGINT) * {256 ** (4 - part)}"
            for part in range(1, 5)
        )
        first, last = int(network.network_address), int(network.broadcast_address)
        octet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
        shape = rf"{octet}(\.{octet}){{3}}"
        return (
            f"(CASE WHEN regexp_full_match({field}, '{shape}')"
            f" THEN {octets} BETWEEN {first} AND {last} ELSE FALSE END)"
        )

    @override
    def convert_condition_val_str(
        self, cond: ConditionValueExpression, state: ConversionState
    ) -> Converted:
        return self._any_value(_within(cond.value), state)

    @override
    def convert_condition_val_num(
        self, cond: ConditionValueExpression, state: ConversionState
    ) -> Converted:
        return self._any_value(_within(SigmaString(str(cond.value))), state)

    @override
    def convert_condition_val_re(
        self, cond: ConditionValueExpression, state: ConversionState
    ) -> Converted:
        return self._any_value(cond.value, state)

    def _any_value(self, value: SigmaType, state: ConversionState) -> Converted:
        """A condition bound to no field holds where any value of the event meets it."""
        bound = ConditionFieldEqualsValueExpression(_ANY_VALUE, value)
        test: Any = self.convert_condition(bound, state)
        return f"len(list_filter({self._fields.everything()}, lambda {_LAMBDA}: {test})) > 0"

    def _number(self, field: str) -> str:
        if isinstance(field, _AnyValue):
            return f"TRY_CAST({_LAMBDA} AS DOUBLE)"
        return self._fields.number(field)


def _within(value: object) -> SigmaString:
    """The value with a wildcard on both sides."""
    if not isinstance(value, SigmaString):
        raise SigmaValueError("a text was expected")
    text = SigmaString()
    text.s = [SpecialChars.WILDCARD_MULTI, *value.s, SpecialChars.WILDCARD_MULTI]
    return text


def _finite(value: object) -> int | float:
    if not isinstance(value, SigmaNumber):
        raise SigmaValueError("a number was expected")
    number: int | float = value.number
    if not math.isfinite(number):
        raise SigmaValueError(f"{number} is not a number to compare with")
    return number
