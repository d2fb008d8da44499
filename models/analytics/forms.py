r"""Forms: one spelling for what Windows logs spell in many ways. Pure functions of text to text.

A hunt names a form where a fact is declared (``form: path``); analytics and joins then compare
like with like, whichever channel told it. No form lowers the case: comparison does that.
"""

import ntpath
import re
from collections.abc import Callable, Mapping

from huntonce.models.errors import DomainError

MAX_TEXT = 32_768
"""Windows' own longest command line; longer values are cut before a pattern sees them."""

_QUOTES = "\"'"
_PREFIX = re.compile(r"^(?:\\\\\?\\|\\\?\?\\)")
_SYSTEM_ROOT = re.compile(
    r"(?i)^(?:%{1,2}systemroot%{1,2}|%{1,2}windir%{1,2}|\\systemroot)(?=\\|$)"
)
_VOLUME = re.compile(r"(?i)^\\device\\harddiskvolume\d+(?=\\)")
_RELATIVE = re.compile(r"(?i)^(?=(?:system32|syswow64)\\)")
_SHORT = ((re.compile(r"(?i)\\progra~1(?=\\)"), r"\\Program Files"),
          (re.compile(r"(?i)\\progra~2(?=\\)"), r"\\Program Files (x86)"))  # fmt: skip
_SLASHES = re.compile(r"(?<=.)\\{2,}")
_SPACE = re.compile(r"\s+")
_PAIR = re.compile(r"(?<=\w)\"\"(?=\w)")
_PROGRAM = re.compile(
    r"(?i)[^\"<>|]{1,260}?\.(?:exe|com|bat|cmd|ps1|vbs|js|sys|dll|scr)(?=[\s,]|$)"
)
_SID = re.compile(r"(?i)s-1-\d+(?:-\d+)*")


def path(text: str) -> str:
    r"""A path as Explorer shows it.

    Quotes and the ``\??\`` prefixes go; ``%SystemRoot%`` (Sysmon doubles its signs),
    ``\SystemRoot`` and a bare ``System32\`` become C:\Windows; a ``\Device\HarddiskVolumeN``
    becomes C: (which volume it was is not in the event); slashes become backslashes, and the short
    names of Program Files become long.
    """
    plain = text[:MAX_TEXT].strip().strip(_QUOTES).replace("/", "\\")
    plain = _VOLUME.sub("C:", _PREFIX.sub("", plain))
    plain = _RELATIVE.sub(r"C:\\Windows\\", _SYSTEM_ROOT.sub(r"C:\\Windows", plain))
    for expression, long in _SHORT:
        plain = expression.sub(long, plain)
    return _SLASHES.sub(r"\\", plain)


def name(text: str) -> str:
    """The file name of a path, lower case."""
    return ntpath.basename(path(text)).casefold()


def program(text: str) -> str:
    """The path of the program that a command line starts."""
    line = path_of_line(text)
    return path(line)


def path_of_line(text: str) -> str:
    """The first word of a command line; an unquoted path may hold spaces up to its extension."""
    line = text[:MAX_TEXT].strip()
    if line[:1] in {'"', "'"}:
        end = line.find(line[0], 1)
        return line[1:end] if end > 0 else line[1:]
    found = _PROGRAM.match(line)
    return found.group(0) if found else line.partition(" ")[0]


def command(text: str) -> str:
    r"""A command line without what shells ignore: carets, empty quotes, runs of blanks."""
    plain = text[:MAX_TEXT].replace("^", "").replace("`", "")
    return _SPACE.sub(" ", _PAIR.sub("", plain)).strip()


def account(text: str) -> str:
    r"""An account without blanks; nothing for ``-``, and for its domain where that is ``-``."""
    plain = text.strip()
    domain, slash, bare = plain.rpartition("\\")
    if bare in {"", "-"}:
        return ""
    return plain if slash and domain not in {"", "-"} else bare


def sid(text: str) -> str:
    """A SID in capitals, out of ``%{S-1-5-...}`` too; nothing where there is none."""
    found = _SID.search(text)
    return found.group(0).upper() if found else ""


def host(text: str) -> str:
    r"""A host's short name in capitals; an address stays as it is, nothing for this very host."""
    plain = text.strip().strip("\\[]").removeprefix("::ffff:")
    if plain.casefold() in {"", "-", ".", "localhost", "127.0.0.1", "::1", "local"}:
        return ""
    if ":" in plain or plain.replace(".", "").isdigit():
        return plain
    return plain.split(".", 1)[0].upper()


def number(text: str) -> str:
    """A whole number in decimal, whether it was written so or as 0x...; else nothing."""
    plain = text.strip().casefold()
    try:
        return str(int(plain, 16) if plain.startswith("0x") else int(plain))
    except ValueError:
        return ""


def lower(text: str) -> str:
    """Lower case, without blanks around it."""
    return text.strip().casefold()


FORMS: Mapping[str, Callable[[str], str]] = {
    "account": account,
    "command": command,
    "host": host,
    "lower": lower,
    "name": name,
    "number": number,
    "path": path,
    "program": program,
    "sid": sid,
}


def form(of: str) -> Callable[[str], str]:
    """The form of a name; "" is the text as it stands.

    Raises:
        DomainError: There is none of that name.
    """
    if not of:
        return str.strip
    if of not in FORMS:
        raise DomainError(f"no form is called {of!r}", hint=f"use {', '.join(sorted(FORMS))}")
    return FORMS[of]
