"""Sigma rules as whole KQL queries, for rules that the workspace runs by itself.

Every operation is written as the specification has it, or the rule is refused. pySigma's Kusto
backend asks ``isnull`` of texts (never true) and takes ``?`` for ``*``, and its pipelines send
Sysmon's categories to SecurityEvent, which lacks them: only pySigma's parser is used here.
"""

import ipaddress
import re
from collections.abc import Sequence

from huntonce.connectors.siem.sentinel import kql
from huntonce.connectors.siem.sentinel.tables import Table
from huntonce.connectors.siem.session import terminal
from huntonce.connectors.sigma.channels import SECURITY
from huntonce.connectors.sigma.compiling import compile_detections
from huntonce.connectors.sigma.ir import (
    ANY_TEXT,
    And,
    Atom,
    Condition,
    Named,
    Not,
    Op,
    Or,
    fields_of,
)
from huntonce.connectors.sigma.logsource import Variant, variants
from huntonce.connectors.sigma.rules import logsource_of, parse_rule
from huntonce.models.errors import DomainError

MAX_QUERY = 10_000
"""Longest query of a scheduled rule, in characters."""

_OPERATORS = {
    Op.EQ: "=~",
    Op.CONTAINS: "contains",
    Op.STARTSWITH: "startswith",
    Op.ENDSWITH: "endswith",
    Op.C_EQ: "==",
    Op.C_CONTAINS: "contains_cs",
    Op.C_STARTSWITH: "startswith_cs",
    Op.C_ENDSWITH: "endswith_cs",
}
_SHOWN = ("TimeGenerated", "Computer", "EventID")


def translate(connector: str, rule: str, tables: Sequence[Table], minutes: int) -> str:
    """The query of a rule over what came in within some minutes.

    Raises:
        UnsupportedError: It cannot be written so that it means the same, or is too long.
    """
    with terminal(connector, "the rule"):
        parsed = parse_rule(rule)
        condition = compile_detections(parsed.detection, {})
        parts = [
            _part(table, place, condition, minutes)
            for place in variants(logsource_of(parsed))
            for table in tables
            if table.shape.table != "SecurityEvent" or place.channel in ("", SECURITY)
        ]
        if not parts:
            raise DomainError("no table in the settings holds its log source")
        query = parts[0] if len(parts) == 1 else f"union {', '.join(f'({one})' for one in parts)}"
        if len(query) > MAX_QUERY:
            raise DomainError(f"its query is longer than the {MAX_QUERY} characters that fit")
        for kind, found in kql.tokens(query):
            if kind == "comment":
                raise DomainError(f"its query holds a comment: {found[:40]}")
    return query


def _part(table: Table, place: Variant, condition: Condition, minutes: int) -> str:
    fields = fields_of(condition)
    columns = {field: f"huntonce_{at}" for at, field in enumerate(fields)}
    lines = [table.shape.table, f"where ingestion_time() > ago({minutes}m)"]
    lines += [f"where {one}" for one in table.scope(place)]
    if fields:
        values = ", ".join(f"{columns[one]} = {table.value(place, one)}" for one in fields)
        lines.append(f"extend {values}")
    lines += [f"extend {meant}" for one in fields if (meant := _meaning(place, one, columns[one]))]
    lines.append(f"where {_written(condition, columns)}")
    lines.append(f"project {', '.join((*_SHOWN, *columns.values()))}")
    return "\n| ".join(lines)


def _meaning(place: Variant, field: str, column: str) -> str:
    """The column with what its recorded values mean; empty where they mean themselves."""
    meanings = {name.lower(): found for name, found in place.values.items()}.get(field.lower())
    if not meanings:
        return ""
    cases = (f"{column} == {kql.text(one)}, {kql.text(meant)}" for one, meant in meanings.items())
    return f"{column} = case({', '.join(cases)}, {column})"


def _written(condition: Condition, columns: dict[str, str]) -> str:
    match condition:
        case Named(_, item):
            return _written(item, columns)
        case Not(item):
            return f"not({_written(item, columns)})"
        case And(items):
            return f"({' and '.join(_written(item, columns) for item in items)})"
        case Or(items):
            return f"({' or '.join(_written(item, columns) for item in items)})"
        case Atom():
            return _atom(condition, columns)


def _atom(atom: Atom, columns: dict[str, str]) -> str:
    if atom.field is None:
        raise DomainError("a scheduled rule cannot look for a word in every field")
    column, value = columns[atom.field], atom.value
    if atom.op in _OPERATORS and isinstance(value, str):
        return f"{column} {_OPERATORS[atom.op]} {kql.text(value)}"
    if atom.op is Op.NUMBER and isinstance(value, int):
        return f"{column} == {kql.text(str(value))}"
    if atom.op is Op.NULL:
        return f"isempty({column})"
    if atom.op is Op.EXISTS:
        return f"{'isnotempty' if value else 'isempty'}({column})"
    if atom.op in (Op.GLOB, Op.C_GLOB) and isinstance(value, tuple):
        return f"{column} matches regex {kql.text(_pattern(value, atom.op))}"
    if atom.op is Op.CIDR and _is_network4(str(value)):
        return f"ipv4_is_in_range({column}, {kql.text(str(value))})"
    raise DomainError(f"{atom.op.name} of {atom.field} cannot be asked of a scheduled rule")


def _pattern(parts: tuple[str | int, ...], op: Op) -> str:
    found = [
        re.escape(part) if isinstance(part, str) else ".*" if part == ANY_TEXT else "."
        for part in parts
    ]
    return f"{'(?s)' if op is Op.C_GLOB else '(?is)'}^{''.join(found)}$"


def _is_network4(text: str) -> bool:
    try:
        ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return False
    return True
