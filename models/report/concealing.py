"""Concealing: passwords that stand on recorded command lines do not go onto a page for many.

Best effort over the forms that attackers and administrators use most. The events keep them.
"""

import re

HIDDEN = "[password hidden]"

_ANYWHERE = (
    re.compile(r"(?i)((?:\bpass(?:word|wd)?|\bpwd)\s*[=:]\s*)([^\s;&,]+)"),
    re.compile(r"(?i)((?<!\S)[-/]{1,2}pass(?:word|wd)?\s+)(\"[^\"]*\"|'[^']*'|[^\s/-]\S*)"),
    re.compile(r"(?i)(ConvertTo-SecureString\s+(?:-String\s+)?)(\"[^\"]*\"|'[^']*'|[^\s\"'$-]\S*)"),
)
_AFTER = {
    "schtasks": re.compile(r"(?i)((?<!\S)/r?p\s+)(\"[^\"]*\"|[^\s/]\S*)"),
    "psexec": re.compile(r"(?i)((?<!\S)[-/]p\s+)(\"[^\"]*\"|[^\s/-]\S*)"),
    "net": re.compile(
        r"(?i)(\bnet1?(?:\.exe)?\s+use\s+\S+\s+(?:\\\\\S+\s+)?)(\"[^\"]*\"|[^\s/\\]\S*)(?=\s+/user:)"
    ),
}


def without_passwords(text: str) -> str:
    """The text with what looks like a password on a command line replaced by ``HIDDEN``."""
    folded = text.casefold()
    for tool, form in _AFTER.items():
        if tool in folded:
            text = form.sub(rf"\1{HIDDEN}", text)
    for form in _ANYWHERE:
        text = form.sub(rf"\1{HIDDEN}", text)
    return text
