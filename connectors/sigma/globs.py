"""Wildcards as regular expressions of RE2."""

import re
from collections.abc import Sequence

from huntonce.connectors.sigma.ir import ANY_TEXT, GlobPart

MAX_VALUE = 8_000
"""Longest text that a value to look for may have: RE2 bounds the size of its programs."""


def quoted(text: str) -> str:
    """The text as a pattern that means itself."""
    return re.escape(text)


def glob_pattern(parts: Sequence[GlobPart]) -> str:
    """The pattern that a whole value must match."""
    body = "".join(
        quoted(part) if isinstance(part, str) else (".*" if part == ANY_TEXT else ".")
        for part in parts
    )
    return rf"(?s)\A(?:{body})\z"
