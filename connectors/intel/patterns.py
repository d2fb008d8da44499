"""STIX patterns on intake: the common shapes by a regular expression, the rest by the grammar.

The OASIS parser takes about 0.3 ms a pattern; nine of ten real indicators are comparisons joined
by AND or OR, which one regular expression recognises some hundred times faster.
"""

import re

from stix2patterns.v21.pattern import ParseException, Pattern

MAX_PATTERN = 256 * 1024
_DEEP_CHECK = (
    8 * 1024
)  # longer ones are not worth the grammar's time, and could be meant to cost it

_PATH = r"[a-z0-9][a-z0-9-]*:(?:[a-zA-Z0-9_-]+|'[^'\\\n]+')(?:\.(?:[a-zA-Z0-9_-]+|'[^'\\\n]+'))*"
_VALUE = r"'(?:[^'\\]|\\['\\])*'"
_COMPARISON = rf"{_PATH} *!?= *{_VALUE}"
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_PLACE = re.compile(r"(\d+):(\d+):")
_NOT = "has a pattern that is not a STIX pattern:"
_SIMPLE = re.compile(rf"\[ *{_COMPARISON}(?: +(?:OR|AND) +{_COMPARISON})* *\]")


def pattern_fault(pattern: str) -> str:
    """What is wrong with a STIX pattern, in one sentence; "" where nothing is."""
    if not pattern.strip():
        return "has an empty pattern"
    if len(pattern) > MAX_PATTERN:
        return f"has a pattern longer than {MAX_PATTERN // 1024} KiB"
    if _SIMPLE.fullmatch(pattern):
        return ""
    if len(pattern) > _DEEP_CHECK:
        return "" if pattern.lstrip()[0] in "[(" else f"{_NOT} {_unopened(pattern)}"
    return _grammar_fault(pattern)


def _grammar_fault(pattern: str) -> str:
    try:
        Pattern(pattern)
    except ParseException as error:
        return f"{_NOT} {_explained(pattern, str(error).splitlines()[0])}"
    except RecursionError:
        return "has a pattern that nests too deeply"
    return ""


def _explained(pattern: str, message: str) -> str:
    """The grammar's word on a pattern, for somebody who reads patterns and not grammars."""
    if pattern.lstrip()[0] not in "[(":
        return _unopened(pattern)
    bare = _TEXT.sub("", pattern)
    for left, right in ("[]", "()"):
        if bare.count(left) != bare.count(right):
            return f"it has {bare.count(left)} {left} and {bare.count(right)} {right}"
    place = _PLACE.match(message)
    if place is None:
        return message[:200]
    line, column = int(place[1]), int(place[2])
    lines = pattern.split("\n")
    text = lines[min(line, len(lines)) - 1]
    near = text[max(column - 12, 0) : column + 20].strip()
    return f"it goes wrong at character {column + 1}, near {near!r}"


def _unopened(pattern: str) -> str:
    head = pattern.strip()[:40]
    return f"it starts with {head!r}; a comparison stands in square brackets, [ ... ]"
