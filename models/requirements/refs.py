"""Log-source references of ATT&CK's analytics, read with distrust.

They are written by many hands: "EventCode=13, 14", prose, or ids of another channel. A reference is
``parsed`` where channel and ids are known to belong together, ``suspect`` where they do not, and
``free_text`` where there is nothing to check.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from huntonce.models.attack_types import LogSource

MAX_TEXT = 500
"""Characters of a reference that are looked at and kept."""
MAX_IDS = 32
SYSMON = "Microsoft-Windows-Sysmon/Operational"
_CODES = re.compile(r"EventCode\s{0,4}=\s{0,4}([0-9]{1,5}(?:\s{0,4},\s{0,4}[0-9]{1,5}){0,31})")
_SECURITY = frozenset((*range(1100, 1109), *range(4608, 6425), 6416))
_SYSTEM = frozenset(
    (12, 13, 41, 104, 1001, 1074, 1502, 1503, 6005, 6006, 6008, 6009, 6013, 10016, 10028, 10036,
     *range(7000, 7046))
)  # fmt: skip
_Channels = tuple[tuple[str, frozenset[int]], ...]
_KNOWN: dict[str, _Channels] = {
    "sysmon": ((SYSMON, frozenset((*range(1, 30), 255))),),
    "security": (("Security", _SECURITY),),
    "system": (("System", _SYSTEM),),
    "application": (("Application", frozenset((1000, 1001, 1002, 1026, 11707, 11724))),),
    "powershell": (
        ("Microsoft-Windows-PowerShell/Operational", frozenset((4100, *range(4103, 4107)))),
        ("Windows PowerShell", frozenset((400, 403, 600, 800))),
    ),
    "wmi": (("Microsoft-Windows-WMI-Activity/Operational", frozenset(range(5857, 5862))),),
    "taskscheduler": (("Microsoft-Windows-TaskScheduler/Operational", frozenset(range(100, 412))),),
    "winrm": (("Microsoft-Windows-WinRM/Operational", frozenset(range(1, 250))),),
    "codeintegrity": (
        ("Microsoft-Windows-CodeIntegrity/Operational", frozenset(range(3000, 3120))),
    ),
}
_PREFIX = "wineventlog:"
_SHIPPED = "Microsoft-Windows-"


class RefState(StrEnum):
    """How far a reference could be read."""

    PARSED = "parsed"
    FREE_TEXT = "free_text"
    SUSPECT = "suspect"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRef:
    """One reference, or the part of it that stands alike.

    Attributes:
        name: As written ("WinEventLog:Security", "auditd:SYSCALL"), bounded.
        text: The channel as written, bounded.
        channel: Windows event channel; "" where none is known.
        event_ids: Known of that channel, or for a suspect one the ids in doubt.
        why: What is wrong, for a suspect one.
    """

    name: str
    text: str
    state: RefState
    channel: str = ""
    event_ids: tuple[int, ...] = ()
    why: str = ""


def parse(source: LogSource) -> tuple[ParsedRef, ...]:
    """What a reference says; at least one answer, whatever the text is."""
    name, text = source.name.strip()[:MAX_TEXT], source.channel.strip()[:MAX_TEXT]
    ids = _ids(text)
    key = name.casefold()
    known: _Channels
    if key == "linux:sysmon" and ids:
        known = (("Linux-Sysmon/Operational", _KNOWN["sysmon"][0][1]),)
    elif not key.startswith(_PREFIX) or not ids:
        return (ParsedRef(name=name, text=text, state=RefState.FREE_TEXT),)
    else:
        known = _channels(name[len(_PREFIX) :].strip())
    found: list[ParsedRef] = []
    placed: set[int] = set()
    for channel, valid in known:
        good = tuple(i for i in ids if i in valid)
        placed.update(good)
        if good:
            found.append(
                ParsedRef(
                    name=name, text=text, state=RefState.PARSED, channel=channel, event_ids=good
                )
            )
    left = tuple(i for i in ids if i not in placed)
    if left:
        where = known[0][0] if known else name
        why = (
            f"not known as {'ids' if len(left) > 1 else 'an id'} of {where}"
            if known
            else f"{name} names no channel that is known here"
        )
        found.append(
            ParsedRef(
                name=name, text=text, state=RefState.SUSPECT,
                channel=known[0][0] if known else "", event_ids=left, why=why,
            )
        )  # fmt: skip
    return tuple(found)


def _ids(text: str) -> tuple[int, ...]:
    numbers = (int(n) for codes in _CODES.findall(text) for n in codes.split(","))
    return tuple(dict.fromkeys(n for n in numbers if n < 65_536))[:MAX_IDS]  # noqa: PLR2004 - ids are 16 bit


def _channels(name: str) -> _Channels:
    known = _KNOWN.get(name.casefold())
    if known:
        return known
    for channels in _KNOWN.values():
        for channel, valid in channels:
            if channel.casefold() == name.casefold():
                return ((channel, valid),)
    # A channel that is named in full is believed: which ids it has is not known here.
    if name.startswith(_SHIPPED) and "/" in name:
        return ((name, frozenset(range(65_536))),)
    return ()
