"""The traces that ATT&CK's analytics expect of a technique, in words.

Log-source references are written by many hands: what is plainly wrong (a Security event id that
is no Security event) is left out, free text is quoted short.
"""

import re
from collections.abc import Iterable

from huntonce.models.attack import Catalogue
from huntonce.models.attack_types import LogSource
from huntonce.models.deriving.text import plain, shorten

_SHOWN = 4
_CHANNEL = re.compile(r"EventCode\s*=\s*([0-9]{1,5}(?:\s*,\s*[0-9]{1,5})*)", re.IGNORECASE)
_MEANINGS: dict[str, dict[int, str]] = {
    "Sysmon": {
        1: "process start",
        2: "changed file time",
        3: "network connection",
        5: "process end",
        6: "driver load",
        7: "image load",
        8: "remote thread",
        9: "raw disk read",
        10: "process access",
        11: "new file",
        12: "registry key",
        13: "registry value",
        14: "registry rename",
        15: "file stream",
        17: "named pipe",
        18: "named pipe",
        19: "WMI filter",
        20: "WMI consumer",
        21: "WMI binding",
        22: "DNS query",
        23: "file deletion",
        25: "process tampering",
        26: "file deletion",
    },
    "Security": {
        1102: "log cleared",
        4624: "logon",
        4625: "failed logon",
        4648: "logon with given credentials",
        4656: "handle to an object",
        4657: "registry value",
        4662: "directory access",
        4663: "object access",
        4670: "changed permissions",
        4672: "privileged logon",
        4673: "use of a privilege",
        4688: "process start",
        4697: "new service",
        4698: "new task",
        4702: "changed task",
        4719: "changed audit policy",
        4720: "new account",
        4728: "new group member",
        4732: "new group member",
        4738: "changed account",
        4768: "Kerberos ticket",
        4769: "Kerberos service ticket",
        4776: "NTLM logon",
        5136: "changed directory object",
        5140: "share access",
        5145: "access to a file on a share",
        5156: "network connection",
    },
    "System": {104: "log cleared", 7036: "service state", 7045: "new service"},
    "PowerShell": {400: "engine start", 4103: "module", 4104: "script block"},
}
_VALID: dict[str, frozenset[int]] = {
    "Sysmon": frozenset(range(1, 30)),
    "Security": frozenset((*range(1100, 1109), *range(4608, 6425))),
    # Ids of the task scheduler's own channel, written down for this one by mistake.
    "System": frozenset(range(65_536)) - {106, 140, 141, 200, 201},
    "PowerShell": frozenset((400, 403, 600, 800, *range(4100, 4107))),
}


def traces(technique_id: str, scope: str, catalogue: Catalogue) -> str:
    """Such as "traces in Sysmon 10 (process access) or Security 4673 (use of a privilege)".

    "" where ATT&CK has no analytic of the technique for the scope, or none that can be read.
    """
    found = [
        source
        for analytic in catalogue.analytics.get(technique_id, ())
        if scope in {platform.casefold() for platform in analytic.platforms}
        for source in analytic.log_sources
    ]
    shown = list(dict.fromkeys(_readable(found)))[:_SHOWN]
    if not shown:
        return ""
    listed = f"{', '.join(shown[:-1])} or {shown[-1]}" if len(shown) > 1 else shown[0]
    return f"traces in {listed}"


def _readable(sources: Iterable[LogSource]) -> Iterable[str]:
    for source in sources:
        name = plain(source.name).removeprefix("WinEventLog:")
        codes = _CHANNEL.search(source.channel)
        if codes:
            ids = [int(code) for code in codes[1].split(",")]
            if words := _events(name, ids):
                yield words
        elif name:
            channel = plain(source.channel)
            told = f" ({shorten(channel, 50)})" if channel and channel != "None" else ""
            yield f"{name.replace(':', ' ')}{told}"


def _events(name: str, ids: list[int]) -> str:
    valid = _VALID.get(name)
    kept = [number for number in ids if valid is None or number in valid]
    if not kept:
        return ""
    meanings = dict.fromkeys(
        meaning for number in kept if (meaning := _MEANINGS.get(name, {}).get(number))
    )
    told = f" ({', '.join(meanings)})" if meanings else ""
    return f"{name.rsplit('/', 1)[0]} {', '.join(map(str, kept))}{told}"
