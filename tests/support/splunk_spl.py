"""The part of SPL that the connector sends, read and run over events in memory.

Written from Splunk's manuals, apart from the connector: whatever it cannot read is refused.
https://help.splunk.com/en/splunk-enterprise/spl-search-reference
"""

import math
import re
from collections.abc import Callable
from typing import Any

from tests.support.splunk_functions import (
    FUNCTIONS,
    Eval,
    Event,
    both,
    compared,
    either,
    reckoning,
    shown,
)
from tests.support.splunk_tokens import SplError, tokens

_BOOLEAN = {"AND", "OR", "NOT", "IN", "AS", "BY"}


class Run:
    """One search over events: each has ``_raw``, ``_time``, ``index``, ``sourcetype``, ``host``."""

    def __init__(self, spl: str, events: list[Event]) -> None:
        self._tokens = tokens(spl)
        self._at = 0
        self.rows = [dict(event) for event in events]

    def results(self) -> list[Event]:
        """What it gives, as Splunk writes results: every value a text."""
        if self._take("sign", "|"):
            self._generate()
        else:
            self._word("search")
            keep = self._terms()
            self.rows = [row for row in self.rows if keep(row)]
            self.rows.sort(key=lambda row: -float(row["_time"]))
        while self._take("sign", "|"):
            self._command()
        if self._at != len(self._tokens):
            raise SplError(f"left over: {self._tokens[self._at :][:3]}")
        return [
            {name: shown(value) for name, value in row.items() if value is not None}
            for row in self.rows
        ]

    # ---------------------------------------------------------------- commands

    def _generate(self) -> None:
        self._word("tstats")
        made = self._aggregates()
        self._word("where")
        keep = self._terms()
        by = self._by()
        kept = [row for row in self.rows if keep(row)]
        self.rows = self._grouped(kept, made, by)

    def _command(self) -> None:
        name = self._word()
        command = {
            "eval": self._eval,
            "where": self._where,
            "rex": self._rex,
            "head": self._head,
            "sort": self._sort,
            "table": self._table,
            "stats": self._stats,
        }.get(name)
        if command is None:
            raise SplError(f"Unknown search command '{name}'.")
        command()

    def _eval(self) -> None:
        while True:
            target = self._word()
            self._sign("=")
            value = self._or()
            for row in self.rows:
                row[target] = value(row)
            if not self._take("sign", ","):
                return

    def _where(self) -> None:
        keep = self._or()
        self.rows = [row for row in self.rows if keep(row) is True]

    def _rex(self) -> None:
        self._word("field")
        self._sign("=")
        self._word("_raw")
        pattern = re.compile(re.sub(r"\(\?<(?=[a-z])", "(?P<", self._text()))
        for row in self.rows:
            if match := pattern.search(row["_raw"]):
                row.update(match.groupdict())

    def _head(self) -> None:
        self.rows = self.rows[: int(self._number())]

    def _sort(self) -> None:
        if self._number() != 0:
            raise SplError("sort without 0 gives 10000 events at most")
        self._word("_time")
        self.rows.sort(key=lambda row: float(row["_time"]))

    def _table(self) -> None:
        wanted = [self._word()]
        while self._take("sign", ","):
            wanted.append(self._word())
        self.rows = [{name: row.get(name) for name in wanted} for row in self.rows]

    def _stats(self) -> None:
        made = self._aggregates()
        self.rows = self._grouped(self.rows, made, self._by())

    def _terms(self) -> Callable[[Event], bool]:
        """Index-time terms: names and words in the text, joined by AND and OR."""
        found = [self._any_term()]
        while self._at < len(self._tokens) and self._peek() in {("sign", "("), ("text", None)}:
            found.append(self._any_term())
        return lambda row: all(one(row) for one in found)

    def _any_term(self) -> Callable[[Event], bool]:
        self._sign("(")
        found = [self._term()]
        while self._take("word", "OR"):
            found.append(self._term())
        self._sign(")")
        return lambda row: any(one(row) for one in found)

    def _term(self) -> Callable[[Event], bool]:
        if self._peek() == ("text", None):
            # Words of an index: what stands between breakers, in any case.
            word = re.compile(
                rf"(?<![A-Za-z0-9]){re.escape(self._text())}(?![A-Za-z0-9])", re.IGNORECASE
            )
            return lambda row: word.search(row["_raw"]) is not None
        name = self._word()
        if name not in {"index", "sourcetype"}:
            raise SplError(f"{name} is no index-time field")
        self._sign("=")
        pattern = re.compile(re.escape(self._text()).replace(r"\*", ".*"), re.IGNORECASE)
        return lambda row: pattern.fullmatch(row[name]) is not None

    def _aggregates(self) -> list[tuple[str, str, Eval | None]]:
        made: list[tuple[str, str, Eval | None]] = []
        while True:
            function, value = self._word(), None
            if function not in {"count", "min", "max", "perc95"}:
                raise SplError(f"The aggregation {function} is not known.")
            if self._take("sign", "("):
                inner = self._take("word", "eval")
                if inner:
                    self._sign("(")
                value = self._or()
                for _ in range(2 if inner else 1):
                    self._sign(")")
            self._word("AS")
            made.append((self._word(), function, value))
            if not self._take("sign", ","):
                return made

    def _by(self) -> list[str]:
        found: list[str] = []
        if self._take("word", "BY"):
            found.append(self._word())
            while self._take("sign", ","):
                found.append(self._word())
        return found

    @staticmethod
    def _grouped(
        rows: list[Event], made: list[tuple[str, str, Eval | None]], by: list[str]
    ) -> list[Event]:
        groups: dict[tuple[Any, ...], list[Event]] = {} if by else {(): []}
        for row in rows:
            key = tuple(row.get(name) for name in by)
            if None not in key:
                groups.setdefault(key, []).append(row)
        return [
            {**dict(zip(by, key, strict=True)), **{n: _made(f, v, held) for n, f, v in made}}
            for key, held in groups.items()
        ]

    # ---------------------------------------------------------------- expressions

    def _or(self) -> Eval:
        found = self._and()
        while self._take("word", "OR"):
            found = either(found, self._and())
        return found

    def _and(self) -> Eval:
        found = self._not()
        while self._take("word", "AND"):
            found = both(found, self._not())
        return found

    def _not(self) -> Eval:
        if self._take("word", "NOT"):
            inner = self._not()
            return lambda row: None if inner(row) is None else not inner(row)
        left = self._sum()
        if self._take("word", "IN"):
            items = self._arguments()
            return lambda row: None if left(row) is None else left(row) in [i(row) for i in items]
        for sign in ("<=", ">=", "!=", "=", "<", ">"):
            if self._take("sign", sign):
                right = self._sum()
                return lambda row: compared(sign, left(row), right(row))
        return left

    def _sum(self) -> Eval:
        return self._reckoned(("-",), self._product)

    def _product(self) -> Eval:
        return self._reckoned(("*", "/"), self._atom)

    def _reckoned(self, signs: tuple[str, ...], part: Callable[[], Eval]) -> Eval:
        found = part()
        while self._peek() in {("sign", sign) for sign in signs}:
            sign = self._tokens[self._at][1]
            self._at += 1
            found = reckoning(sign, found, part())
        return found

    def _atom(self) -> Eval:
        if self._take("sign", "("):
            found = self._or()
            self._sign(")")
            return found
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "text":
            return lambda _: text
        if kind == "number":
            return lambda _: float(text)
        if kind != "word" or text in _BOOLEAN:
            raise SplError(f"unexpected {text!r}")
        if self._peek() != ("sign", "("):
            return lambda row: row.get(text)
        items = self._arguments()
        function = FUNCTIONS.get(text)
        if function is None:
            raise SplError(f"The function {text} is not known.")
        return lambda row: function(*(item(row) for item in items))

    def _arguments(self) -> list[Eval]:
        self._sign("(")
        found: list[Eval] = []
        while not self._take("sign", ")"):
            if found:
                self._sign(",")
            found.append(self._or())
        return found

    # ---------------------------------------------------------------- tokens

    def _peek(self) -> tuple[str, str | None]:
        if self._at >= len(self._tokens):
            return ("end", None)
        kind, text = self._tokens[self._at]
        return (kind, text if kind == "sign" else None)

    def _take(self, kind: str, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (kind, text):
            self._at += 1
            return True
        return False

    def _sign(self, text: str) -> None:
        if not self._take("sign", text):
            raise SplError(f"{text!r} is missing at {self._tokens[self._at : self._at + 3]}")

    def _next(self, kind: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise SplError(f"a {kind} is missing at {self._tokens[self._at : self._at + 3]}")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _word(self, expected: str = "") -> str:
        found = self._next("word")
        if expected and found != expected:
            raise SplError(f"{expected} is missing, there is {found}")
        return found

    def _text(self) -> str:
        return self._next("text")

    def _number(self) -> float:
        return float(self._next("number"))


def _made(function: str, value: Eval | None, rows: list[Event]) -> float | None:
    if function == "count":
        return len(rows) if value is None else sum(value(row) is True for row in rows)
    if value is None:
        raise SplError(f"{function} of nothing")
    found = sorted(float(one) for row in rows if (one := value(row)) is not None)
    if not found:
        return None
    at = {"min": 0, "max": len(found) - 1}.get(function, math.ceil(0.95 * len(found)) - 1)
    return found[at]
