"""A reader of the little of the Kusto Query Language that the tests' workspace takes.

Written from https://learn.microsoft.com/kusto/query/ and from nothing of the connector. What is
not in it is refused.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'", "0": "\0"}
UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000,
         "ms": 1_000, "microsecond": 1}  # fmt: skip
COMPARISONS = {
    *("==", "!=", "=~", "!~", "<", "<=", ">", ">=", "in", "in~", "contains", "contains_cs"),
    *("startswith", "startswith_cs", "endswith", "endswith_cs", "matches"),
}
AGGREGATES = {"count", "countif", "min", "max"}


class KustoError(ValueError):
    """The query is none that is taken."""


@dataclass(frozen=True)
class Token:
    kind: str
    value: Any


@dataclass(frozen=True)
class Node:
    """A literal, a column, a call, an index into a dynamic, or a comparison."""

    kind: str
    value: Any = None
    items: tuple["Node", ...] = ()


@dataclass
class Operator:
    kind: str
    parts: list[tuple[str, Node]] = field(default_factory=list)
    by: list[tuple[str, Node]] = field(default_factory=list)
    count: int = 0
    column: str = ""
    descending: bool = False


@dataclass
class Query:
    table: str
    operators: list[Operator]
    union: list["Query"] = field(default_factory=list)


def scan(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character.isspace():
            at += 1
        elif text.startswith("//", at):
            end = re.compile(r"[\r\n\u0085\u2028\u2029]").search(text, at)
            at = end.start() if end else len(text)
        elif match := re.compile(r"""[hH]?@?["']""").match(text, at):
            value, at = _literal(text, match)
            found.append(Token("text", value))
        elif match := re.compile(r"datetime\(([0-9T:.+Z-]+)\)").match(text, at):
            moment = datetime.fromisoformat(match[1])
            found.append(Token("moment", _micro(moment)))
            at = match.end()
        elif match := re.compile(r"[A-Za-z_]\w*~?", re.ASCII).match(text, at):
            found.append(Token("word", match[0]))
            at = match.end()
        elif match := re.compile(r"(\d+)([a-z]*)").match(text, at):
            if match[2] and match[2] not in UNITS:
                raise KustoError(f"no unit {match[2]}")
            number = int(match[1])
            found.append(
                Token("span", number * UNITS[match[2]]) if match[2] else Token("number", number)
            )
            at = match.end()
        elif match := re.compile(r"==|=~|!=|!~|<=|>=|[|()\[\],<>=]").match(text, at):
            found.append(Token("mark", match[0]))
            at = match.end()
        else:
            raise KustoError(f"unexpected {character!r}")
    return [*found, Token("end", "")]


def _literal(text: str, start: re.Match[str]) -> tuple[str, int]:
    quote, verbatim = start[0][-1], "@" in start[0]
    at, value = start.end(), []
    while at < len(text):
        character = text[at]
        if character in "\r\n":
            break
        if verbatim and text.startswith(quote * 2, at):
            value.append(quote)
            at += 2
        elif character == quote:
            return "".join(value), at + 1
        elif character == "\\" and not verbatim:
            if match := re.compile(r"\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})").match(text, at):
                value.append(chr(int(match[1] or match[2], 16)))
                at = match.end()
            elif text[at + 1 : at + 2] in ESCAPES and text[at + 1 : at + 2]:
                value.append(ESCAPES[text[at + 1]])
                at += 2
            else:
                raise KustoError("an escape that is none")
        else:
            value.append(character)
            at += 1
    raise KustoError("a literal without an end")


def _micro(moment: datetime) -> int:
    whole = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86_400 + whole.seconds) * 1_000_000 + whole.microseconds


def parse(text: str) -> Query:
    """The query.

    Raises:
        KustoError: Something in it is not taken here.
    """
    parser = _Parser(scan(text))
    query = parser.query()
    parser.take("end")
    return query


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def take(self, kind: str, value: Any = None) -> Any:
        token = self._next
        if token.kind != kind or (value is not None and token.value != value):
            raise KustoError(f"expected {value or kind}, found {token.value!r}")
        self._at += 1
        return token.value

    def _has(self, value: str) -> bool:
        if self._next.kind in {"mark", "word"} and self._next.value == value:
            self._at += 1
            return True
        return False

    def query(self) -> Query:
        union: list[Query] = []
        table = ""
        if self._has("union"):
            while True:
                self.take("mark", "(")
                union.append(self.query())
                self.take("mark", ")")
                if not self._has(","):
                    break
        else:
            table = self.take("word")
        operators = []
        while self._has("|"):
            operators.append(self._operator(self.take("word")))
        return Query(table, operators, union)

    def _operator(self, kind: str) -> Operator:  # noqa: PLR0911 - one an operator
        match kind:
            case "where":
                return Operator(kind, [("", self._or())])
            case "extend" | "project":
                return Operator(kind, self._named())
            case "summarize":
                parts = self._named()
                if any(part.kind != "call" or part.value not in AGGREGATES for _, part in parts):
                    raise KustoError("only count, countif, min and max are taken")
                return Operator(kind, parts, self._named() if self._has("by") else [])
            case "distinct":
                return Operator(kind, self._named())
            case "getschema":
                return Operator(kind)
            case "take":
                return Operator(kind, count=self.take("number"))
            case "top":
                count = self.take("number")
                self.take("word", "by")
                column = self.take("word")
                descending = self._has("desc")
                return Operator(kind, count=count, column=column, descending=descending)
        raise KustoError(f"no operator {kind}")

    def _named(self) -> list[tuple[str, Node]]:
        found = []
        while True:
            name, node = "", self._or()
            if node.kind == "column" and self._has("="):
                name, node = node.value, self._or()
            found.append((name or (node.value if node.kind == "column" else ""), node))
            if not self._has(","):
                return found

    def _or(self) -> Node:
        items = [self._and()]
        while self._has("or"):
            items.append(self._and())
        return items[0] if len(items) == 1 else Node("or", items=tuple(items))

    def _and(self) -> Node:
        items = [self._comparison()]
        while self._has("and"):
            items.append(self._comparison())
        return items[0] if len(items) == 1 else Node("and", items=tuple(items))

    def _comparison(self) -> Node:
        left = self._operand()
        operator = self._next.value
        if self._next.kind not in {"mark", "word"} or operator not in COMPARISONS:
            return left
        self._at += 1
        if operator == "matches":
            self.take("word", "regex")
        if operator in {"in", "in~"}:
            self.take("mark", "(")
            return Node(operator, items=(left, *self._list()))
        return Node(operator, items=(left, self._operand()))

    def _list(self) -> tuple[Node, ...]:
        found: list[Node] = []
        if self._has(")"):
            return ()
        while True:
            found.append(self._or())
            if self._has(")"):
                return tuple(found)
            self.take("mark", ",")

    def _operand(self) -> Node:
        token = self._next
        self._at += 1
        if token.kind in {"text", "number", "moment", "span"}:
            return Node("literal", token.value)
        if token == Token("mark", "("):
            node = self._or()
            self.take("mark", ")")
            return node
        if token == Token("mark", "["):
            name = self.take("text")
            self.take("mark", "]")
            return self._indexed(Node("column", name))
        if token.kind == "word" and token.value in {"true", "false"}:
            return Node("literal", token.value == "true")
        if token.kind == "word":
            if self._has("("):
                return Node("call", token.value, self._list())
            return self._indexed(Node("column", token.value))
        raise KustoError(f"unexpected {token.value!r}")

    def _indexed(self, node: Node) -> Node:
        while self._has("["):
            node = Node("index", self.take("text"), (node,))
            self.take("mark", "]")
        return node
