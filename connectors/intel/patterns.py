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
        return "" if pattern.lstrip()[0] in "[(" else "has a pattern that does not start with ["
    return _grammar_fault(pattern)


def _grammar_fault(pattern: str) -> str:
    try:
        Pattern(pattern)
    except ParseException as error:
        return f"has a pattern that is not a STIX pattern: {str(error).splitlines()[0][:200]}"
    except RecursionError:
        return "has a pattern that nests too deeply"
    return ""
