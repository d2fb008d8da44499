"""The tokens of the SPL that the connector sends.

Written from Splunk's manuals, apart from the connector: whatever it cannot read is refused.
https://help.splunk.com/en/splunk-enterprise/spl-search-reference
"""

import re

_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)'
    r"|(?P<sign><=|>=|!=|[()=<>,|*/+@-]))"
)


class SplError(ValueError):
    """It cannot be read; a real Splunk may say 400 here."""


def tokens(spl: str) -> list[tuple[str, str]]:
    """Kind and text of each token."""
    found, at = [], 0
    spl = spl.rstrip()
    while at < len(spl):
        match = _TOKEN.match(spl, at)
        if match is None:
            raise SplError(f"cannot be read: {spl[at : at + 30]!r}")
        kind = str(match.lastgroup)
        text = match.group(kind)
        found.append((kind, re.sub(r"\\(.)", r"\1", text[1:-1]) if kind == "text" else text))
        at = match.end()
    return found
