"""Conditions: which selections of a Sigma rule its condition asks for, and which it excludes."""

import re
from collections.abc import Iterator, Sequence

_WORD = re.compile(r"\(|\)|[^\s()]+")


def polarity(condition: str, names: Sequence[str]) -> dict[str, bool]:
    """Which selections a condition asks for (True), and which it only excludes (False).

    A selection that it does not name is left out. One that stands on both sides is asked for.
    """
    found: dict[str, bool] = {}
    depth: list[bool] = [True]
    negate = False
    words = _WORD.findall(condition)
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "(":
            depth.append(depth[-1] != negate)
            negate = False
        elif word == ")":
            if len(depth) > 1:
                depth.pop()
            negate = False
        elif word.lower() == "not":
            negate = not negate
        elif word.lower() not in {"and", "or"}:
            if at + 1 < len(words) and words[at].lower() == "of":
                word = words[at + 1]
                at += 2
            for name in _named(word, names):
                found[name] = found.get(name, False) or depth[-1] != negate
            negate = False
    return found


def _named(pattern: str, names: Sequence[str]) -> Iterator[str]:
    if pattern.lower() == "them":
        yield from (name for name in names if not name.startswith("_"))
        return
    glob = re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
    yield from (name for name in names if glob.fullmatch(name))
