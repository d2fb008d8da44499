"""What eval's functions and operators do with the values of an event, as Splunk's manual says.

https://help.splunk.com/en/splunk-enterprise/spl-search-reference (evaluation functions)
"""

import json
import math
import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Event = dict[str, Any]
Eval = Callable[[Event], Any]


def compared(sign: str, left: Any, right: Any) -> bool | None:
    """A comparison; numbers as such, null where one side is."""
    if left is None or right is None:
        return None
    try:
        left, right = float(left), float(right)
    except ValueError:
        left, right = str(left), str(right)
    return {
        "=": left == right, "!=": left != right, "<": left < right,
        ">": left > right, "<=": left <= right, ">=": left >= right,
    }[sign]  # fmt: skip


def either(left: Eval, right: Eval) -> Eval:
    """OR."""
    return lambda row: _truth(left(row)) or _truth(right(row))


def both(left: Eval, right: Eval) -> Eval:
    """AND."""
    return lambda row: _truth(left(row)) and _truth(right(row))


def reckoning(sign: str, left: Eval, right: Eval) -> Eval:
    """Arithmetic."""
    does = {"-": operator.sub, "*": operator.mul, "/": operator.truediv}[sign]
    return lambda row: does(float(left(row)), float(right(row)))


def _truth(value: Any) -> bool:
    return value is True


def _like(text: str, pattern: str) -> bool:
    """Of eval: % is any text, _ any one character, and case counts."""
    return _made_like(pattern).fullmatch(text) is not None


@lru_cache(maxsize=100_000)
def _parsed(raw: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _json(raw: str, path: str) -> Any:
    found = _parsed(raw)
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (ValueError, TypeError):
        return None


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _lower(text: Any) -> Any:
    """ASCII only: no more than that may be counted on."""
    return None if text is None else str(text).translate(_ASCII_LOWER)


@lru_cache(maxsize=1_000)
def _made_like(pattern: str) -> re.Pattern[str]:
    made = "".join({"%": ".*", "_": "."}.get(one, re.escape(one)) for one in pattern)
    return re.compile(made, re.DOTALL)


def shown(value: Any) -> str:
    """A value as results write it."""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.6f}"
    return str(int(value)) if isinstance(value, float) else str(value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "coalesce": lambda *values: next((one for one in values if one is not None), None),
    "false": lambda: False,
    "floor": lambda value: float(math.floor(value)),
    "if": lambda test, yes, no: yes if test is True else no,
    "isnotnull": lambda value: value is not None,
    "isnull": lambda value: value is None,
    "json_extract": _json,
    "like": _like,
    "lower": _lower,
    "null": lambda: None,
    "replace": lambda text, old, new: re.sub(old, new, text),
    "tonumber": _number,
    "trim": lambda value: None if value is None else str(value).strip(),
    "true": lambda: True,
}
