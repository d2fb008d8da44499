"""Answers the queries that ``parsing`` reads, over rows that are held."""

import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.sentinel.parsing import KustoError, Node, Operator, Query

Row = dict[str, Any]
Schema = Mapping[str, str]
"""Column to its type."""

NOW = 4_102_444_800_000_000
_TIME = "TimeGenerated"


class UnresolvedError(KustoError):
    """A table or column is not there."""


def answer(
    query: Query, tables: Mapping[str, tuple[Schema, list[Row]]]
) -> tuple[Schema, list[Row]]:
    """Columns with their types, and rows; times are microseconds since 1970 UTC.

    Raises:
        KustoError: It cannot be answered.
    """
    if query.union:
        schema: dict[str, str] = {}
        rows: list[Row] = []
        for one in query.union:
            found, more = answer(one, tables)
            schema |= found
            rows += more
        rows = [{column: row.get(column) for column in schema} for row in rows]
    else:
        if query.table not in tables:
            raise UnresolvedError(f"Failed to resolve table or column named '{query.table}'")
        held, rows = tables[query.table]
        schema = dict(held)
    for operator in query.operators:
        schema, rows = _applied(operator, schema, rows)
    return schema, rows


def _applied(  # noqa: PLR0911 - one an operator
    operator: Operator, schema: dict[str, str], rows: list[Row]
) -> tuple[Any, Any]:
    parts = operator.parts
    for _, node in (*parts, *operator.by):
        _resolve(node, schema)
    match operator.kind:
        case "where":
            test = parts[0][1]
            return schema, [row for row in rows if value_of(test, row) is True]
        case "extend":
            for name, node in parts:
                schema = {**schema, name: _type(node, schema)}
                rows = [{**row, name: value_of(node, row)} for row in rows]
            return schema, rows
        case "project":
            types = {_named(name): _type(node, schema) for name, node in parts}
            return types, [{name: value_of(node, row) for name, node in parts} for row in rows]
        case "distinct":
            groups = {tuple(value_of(node, row) for _, node in parts): None for row in rows}
            names = [name for name, _ in parts]
            types = {name: _type(node, schema) for name, node in parts}
            return types, [dict(zip(names, group, strict=True)) for group in groups]
        case "getschema":
            columns = {"ColumnName": "string", "ColumnOrdinal": "int", "ColumnType": "string"}
            return columns, [
                {"ColumnName": name, "ColumnOrdinal": at, "ColumnType": kind}
                for at, (name, kind) in enumerate(schema.items())
            ]
        case "take":
            return schema, rows[: operator.count]
        case "top":
            _resolve(Node("column", operator.column), schema)
            ordered = sorted(rows, key=lambda row: row[operator.column], reverse=True)
            return schema, (ordered if operator.descending else ordered[::-1])[: operator.count]
    return _summarized(operator, schema, rows)


def _summarized(operator: Operator, schema: dict[str, str], rows: list[Row]) -> tuple[Any, Any]:
    groups: dict[tuple[Any, ...], list[Row]] = {} if operator.by else {(): []}
    for row in rows:
        groups.setdefault(tuple(value_of(node, row) for _, node in operator.by), []).append(row)
    types = {_named(name): _type(node, schema) for name, node in operator.by}
    types |= {_named(name): _type(node, schema) for name, node in operator.parts}
    found = []
    for key, members in groups.items():
        row = dict(zip((name for name, _ in operator.by), key, strict=True))
        row |= {name: _aggregate(node, members) for name, node in operator.parts}
        found.append(row)
    return types, found


def _aggregate(node: Node, rows: Sequence[Row]) -> Any:
    if node.value == "count":
        return len(rows)
    if node.value == "countif":
        return sum(value_of(node.items[0], row) is True for row in rows)
    values = [value for row in rows if (value := value_of(node.items[0], row)) is not None]
    return (min if node.value == "min" else max)(values) if values else None


def _named(name: str) -> str:
    if not name:
        raise KustoError("a column needs a name here")
    return name


def _resolve(node: Node, schema: Schema) -> None:
    if node.kind == "column" and node.value not in schema:
        raise UnresolvedError(f"Failed to resolve scalar expression named '{node.value}' (SEM0100)")
    path = node.kind == "index" and node.items[0].kind == "column"
    if path and schema.get(node.items[0].value) != "dynamic":
        raise KustoError("only a dynamic has a path")
    if node.kind == "call" and node.value not in {*_CALLS, "count", "countif", "min", "max"}:
        raise UnresolvedError(f"Unknown function: '{node.value}' (SEM0260)")
    for item in node.items:
        _resolve(item, schema)


def _type(node: Node, schema: Schema) -> str:
    if node.kind == "column":
        return schema[node.value]
    if node.kind == "call" and node.value in {"min", "max", "bin", "bin_at"}:
        return _type(node.items[0], schema)
    if node.kind == "call" and node.value in {"count", "countif"}:
        return "long"
    return "string"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise KustoError("a text is needed here")
    return value


def _regex(pattern: str) -> re.Pattern[str]:
    if re.search(r"\(\?[=!<]", pattern):
        raise KustoError("no look-around")
    return re.compile(
        re.sub(r"\\x\{([0-9a-f]+)\}", lambda found: re.escape(chr(int(found[1], 16))), pattern)
    )


def _string(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def _translate(searched: str, replaced: str, value: str) -> str:
    return value.translate({ord(one): to for one, to in zip(searched, replaced, strict=True)})


def _extract(pattern: str, group: int, value: str) -> str:
    found = _regex(pattern).search(value)
    return (found[group] or "") if found else ""


def _case(*values: Any) -> Any:
    for test, value in zip(values[:-1:2], values[1::2], strict=False):
        if test is True:
            return value
    return values[-1]


def _whole(value: Any) -> int | None:
    return int(value) if re.fullmatch(r"-?\d+", _string(value)) else None


def _in_range(address: str, network: str) -> bool | None:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return None


_CALLS: Mapping[str, Callable[..., Any]] = {
    "tolower": lambda value: _text(value).lower(),
    "tostring": _string,
    "strcat": lambda *values: "".join(_string(value) for value in values),
    "translate": _translate,
    "isempty": lambda value: value in (None, ""),
    "isnotempty": lambda value: value not in (None, ""),
    "not": lambda value: None if value is None else not value,
    "extract": _extract,
    "replace_string": lambda value, old, new: _text(value).replace(old, new),
    "iff": lambda test, yes, no: yes if test is True else no,
    "case": _case,
    "coalesce": lambda *values: next((one for one in values if one not in (None, "")), ""),
    "tolong": _whole,
    "ipv4_is_in_range": _in_range,
    "bin": lambda value, step: value - value % step,
    "bin_at": lambda value, step, fixed: fixed + (value - fixed) // step * step,
    "ago": lambda span: NOW - span,
    "ingestion_time": lambda: NOW,
}


def value_of(node: Node, row: Row) -> Any:  # noqa: PLR0911 - one a kind
    """What an expression is in a row; None for no value."""
    match node.kind:
        case "literal":
            return node.value
        case "column":
            return row[node.value]
        case "index":
            inner = value_of(node.items[0], row)
            return inner.get(node.value) if isinstance(inner, dict) else None
        case "call":
            return _CALLS[node.value](*(value_of(item, row) for item in node.items))
        case "and":
            return all(value_of(item, row) is True for item in node.items)
        case "or":
            return any(value_of(item, row) is True for item in node.items)
    return _compared(node.kind, [value_of(item, row) for item in node.items])


def _compared(operator: str, values: list[Any]) -> bool:
    left, *others = values
    right = others[0] if others else None
    if operator in {"in", "in~"}:
        return any(_compared("==" if operator == "in" else "=~", [left, one]) for one in others)
    if operator in {"<", "<=", ">", ">=", "==", "!="}:
        if left is None or right is None:
            return False
        if isinstance(left, str) != isinstance(right, str):
            raise KustoError("a text is compared with something else")
        return {
            "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
            "==": left == right, "!=": left != right,
        }[operator]  # fmt: skip
    one, other = _text("" if left is None else left), _text(right)
    if operator == "matches":
        return _regex(other).search(one) is not None
    if operator.endswith("_cs"):
        operator = operator.removesuffix("_cs")
    else:
        one, other = one.upper(), other.upper()
    found: dict[str, bool] = {
        "=~": one == other, "!~": one != other, "contains": other in one,
        "startswith": one.startswith(other), "endswith": one.endswith(other),
    }  # fmt: skip
    return found[operator]
