"""Texts that must occur in a value for a question to be answered with yes."""

import re._constants as codes  # type: ignore[import-not-found]  # what re.compile itself uses
import re._parser as parser  # type: ignore[import-not-found]
import warnings
from typing import Any

from huntonce.connectors.siem.sweep.column import lower_text

LOW, HIGH = "\x02", "\x03"
"""Stand before and after every value that is scanned."""

_MOST = 64


def regex_needles(pattern: str) -> tuple[str, ...] | None:
    """Lower-case texts of which one occurs in every value the pattern is found in; None: unknown.

    Where case is ignored a text ends at an "s" or any character beyond ASCII: RE2 lets those stand
    for characters whose lower case is another ("s" for U+017F).
    """
    if "[:" in pattern:
        return None  # a POSIX class to RE2, something else to re
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = parser.parse(pattern)
    except (re_error, RecursionError, OverflowError):
        return None
    best = _sequence(tree, ignore_case=bool(tree.state.flags & codes.SRE_FLAG_IGNORECASE))
    return tuple(best) if best and min(map(len, best)) > 1 else None


re_error: type[Exception] = parser.error if hasattr(parser, "error") else parser.PatternError


def _sequence(items: Any, *, ignore_case: bool) -> list[str] | None:  # noqa: ANN401 - re's own trees
    best: list[str] | None = None
    run = ""
    for op, value in items:
        if op is codes.LITERAL and not (ignore_case and (value > 127 or chr(value) in "sS")):  # noqa: PLR2004 - ASCII
            run += chr(value)
            continue
        best, run = _better(best, [run] if run else None), ""
        best = _better(best, _inner(op, value, ignore_case=ignore_case))
    return _better(best, [run] if run else None)


def _inner(op: Any, value: Any, *, ignore_case: bool) -> list[str] | None:  # noqa: ANN401 - re's own trees
    if op is codes.SUBPATTERN:
        _, added, _, items = value
        ignored = ignore_case or bool(added & codes.SRE_FLAG_IGNORECASE)
        return _sequence(items, ignore_case=ignored)
    if op is codes.BRANCH:
        found: list[str] = []
        for items in value[1]:
            part = _sequence(items, ignore_case=ignore_case)
            if not part:
                return None
            found += part
        return list(dict.fromkeys(found)) if len(found) <= _MOST else None
    if op in (codes.MAX_REPEAT, codes.MIN_REPEAT) and value[0] >= 1:
        return _sequence(value[2], ignore_case=ignore_case)
    return None


def _better(one: list[str] | None, other: list[str] | None) -> list[str] | None:
    """The one whose shortest text is longer."""
    lowered = [lower_text(text) for text in other] if other else None
    if not lowered:
        return one
    if one is None or min(map(len, lowered)) > min(map(len, one)):
        return lowered
    return one
