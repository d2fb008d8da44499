"""Sigma, slowly and obviously: a rule's own document against one event after another.

Nothing here is shared with the product: no pySigma, no IR, no columns. An event is a mapping of
field names to texts; a field that the event does not have is not in it. Log sources are left to
the caller.
"""

import base64
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

Event = Mapping[str, str]
ANY, ONE = object(), object()
Parts = list[Any]


def matches(detection: Mapping[str, Any], event: Event) -> bool:
    """Whether a rule's detection section matches an event."""
    selections = {name: value for name, value in detection.items() if name != "condition"}
    conditions = detection["condition"]
    if isinstance(conditions, str):
        conditions = [conditions]
    return any(_Condition(text, selections, event).holds() for text in conditions)


class _Condition:
    """Recursive descent: or < and < not < ( ), name, quantifier of pattern."""

    def __init__(self, text: str, selections: Mapping[str, Any], event: Event) -> None:
        self.tokens = re.findall(r"[()]|[^\s()]+", text)
        self.selections = selections
        self.event = event

    def holds(self) -> bool:
        answer = self.disjunction()
        assert not self.tokens
        return answer

    def disjunction(self) -> bool:
        answer = self.conjunction()
        while self.tokens[:1] == ["or"]:
            self.tokens.pop(0)
            other = self.conjunction()
            answer = answer or other
        return answer

    def conjunction(self) -> bool:
        answer = self.negation()
        while self.tokens[:1] == ["and"]:
            self.tokens.pop(0)
            other = self.negation()
            answer = answer and other
        return answer

    def negation(self) -> bool:
        if self.tokens[0] == "not":
            self.tokens.pop(0)
            return not self.negation()
        return self.operand()

    def operand(self) -> bool:
        token = self.tokens.pop(0)
        if token == "(":
            answer = self.disjunction()
            assert self.tokens.pop(0) == ")"
            return answer
        if token in ("1", "any", "all") and self.tokens[:1] == ["of"]:
            self.tokens.pop(0)
            pattern = self.tokens.pop(0)
            shape = ".*" if pattern == "them" else pattern.replace("*", ".*")
            held = [
                selection_holds(value, self.event)
                for name, value in self.selections.items()
                if re.fullmatch(shape, name) and not name.startswith("_")
            ]
            return all(held) if token == "all" else any(held)
        return selection_holds(self.selections[token], self.event)


def selection_holds(selection: Any, event: Event) -> bool:
    """A mapping is all of its items; a list is one of its members; a plain value a keyword."""
    if isinstance(selection, Mapping):
        return all(item_holds(key, value, event) for key, value in selection.items())
    if isinstance(selection, list):
        return any(selection_holds(member, event) for member in selection)
    return item_holds("", selection, event)


def item_holds(key: str, values: Any, event: Event) -> bool:
    field, *modifiers = key.split("|")
    listed = values if isinstance(values, list) else [values]
    held = [value_holds(field, modifiers, value, event) for value in listed]
    return all(held) if "all" in modifiers else any(held)


def value_holds(field: str, modifiers: Sequence[str], value: Any, event: Event) -> bool:
    texts = list(event.values()) if not field else [event[field]] if field in event else []
    if "exists" in modifiers:
        return bool(texts) == bool(value)
    if value is None:
        return not texts
    if "fieldref" in modifiers:
        return value in event and any(
            _placed(modifiers, low(text), low(event[value])) for text in texts
        )
    return any(_text_holds(text, modifiers, value, keyword=not field) for text in texts)


def _text_holds(  # noqa: PLR0911 - one kind of value after another
    text: str, modifiers: Sequence[str], value: Any, *, keyword: bool
) -> bool:
    compared = [name for name in modifiers if name in ("lt", "lte", "gt", "gte")]
    if compared:
        number = as_number(text)
        return number is not None and _compared(compared[0], number, float(value))
    if "re" in modifiers:
        flags = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
        chosen = sum(flags[name] for name in modifiers if name in flags)
        return re.search(value, text, chosen) is not None
    if "cidr" in modifiers:
        try:
            return ipaddress.ip_address(text) in ipaddress.ip_network(value)
        except ValueError:
            return False
    if isinstance(value, bool):
        return low(text) in (("true", "1") if value else ("false", "0"))
    if isinstance(value, int | float) and not modifiers and not keyword:
        number = as_number(text)
        return number is not None and number == value
    return any(
        _glob_holds(text, parts, modifiers, keyword=keyword)
        for parts in transformed(str(value), modifiers)
    )


def transformed(value: str, modifiers: Sequence[str]) -> list[Parts]:
    """The patterns that the modifiers make of a value."""
    if "base64" in modifiers:
        return [[base64.b64encode(value.encode()).decode()]]
    if "base64offset" in modifiers:
        start, end = (0, 2, 3), (None, -3, -2)
        return [
            [
                base64.b64encode(b" " * offset + value.encode())[
                    start[offset] : end[(len(value.encode()) + offset) % 3]
                ].decode()
            ]
            for offset in range(3)
        ]
    if "windash" in modifiers:
        return [parsed(form) for form in dashes(value)]
    return [parsed(value)]


def dashes(value: str) -> list[str]:
    """Every form of the value with its dashes at the start of a word written another way."""
    marks = "-/\u2013\u2014\u2015"
    found = re.search(r"(?<!\w)[-/](?=\w)", value) if re.search(r"\B[-/]\b", value) else None
    if found is None:
        return [value]
    head, tail = value[: found.start()], value[found.end() :]
    return [head + mark + rest for mark in marks for rest in dashes(tail)]


def parsed(value: str) -> Parts:
    """Text and wildcards: a backslash makes the next wildcard or backslash plain."""
    parts: Parts = []
    at = 0
    while at < len(value):
        letter = value[at]
        if letter == "\\" and value[at + 1 : at + 2] in ("*", "?", "\\"):
            parts.append(value[at + 1])
            at += 1
        elif letter == "*":
            parts.append(ANY)
        elif letter == "?":
            parts.append(ONE)
        else:
            parts.append(letter)
        at += 1
    return parts


def _glob_holds(text: str, parts: Parts, modifiers: Sequence[str], *, keyword: bool) -> bool:
    cased = "cased" in modifiers
    pattern = [part if part in (ANY, ONE) or cased else low(part) for part in parts]
    if keyword or "contains" in modifiers or "endswith" in modifiers:
        pattern = [ANY, *pattern]
    if keyword or "contains" in modifiers or "startswith" in modifiers:
        pattern = [*pattern, ANY]
    body = "".join(".*" if p is ANY else "." if p is ONE else re.escape(p) for p in pattern)
    return re.fullmatch(body, text if cased else low(text), re.DOTALL) is not None


def _placed(modifiers: Sequence[str], text: str, other: str) -> bool:
    if "contains" in modifiers:
        return other in text
    if "startswith" in modifiers:
        return text.startswith(other)
    if "endswith" in modifiers:
        return text.endswith(other)
    return text == other


def _compared(name: str, number: float, other: float) -> bool:
    return {
        "lt": number < other,
        "lte": number <= other,
        "gt": number > other,
        "gte": number >= other,
    }[name]


def as_number(text: str) -> float | None:
    """A decimal number, as people write it."""
    if re.fullmatch(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", text):
        return float(text)
    return None


def low(text: str) -> str:
    """Lower case, character by character."""
    return "".join(letter.lower()[:1] for letter in text)
