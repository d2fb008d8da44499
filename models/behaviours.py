"""Behaviours: kinds of event, and what a pattern shows that its author cannot leave out.

Data that generalising rests on. Expressions are RE2's and match in any case.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

Row = Mapping[str, str]
"""Fields of one event, by the names that Sigma rules use for its log source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """A kind of event that a rule can be made of.

    Attributes:
        channel: Lower case.
        selects: The rule must name the event id; a category implies it.
        subject: What the event says happened, as a title begins.
        texts: Field to sort of text in it: command, xml, path or key.
        programs: Fields with a program's path.
        account: Field with the SID of who acted; "" where there is none.
    """

    channel: str
    event_ids: tuple[int, ...]
    logsource: Mapping[str, str]
    subject: str
    texts: Mapping[str, str]
    selects: bool = False
    programs: tuple[str, ...] = ()
    account: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """What must be known of an event."""
        return (*self.texts, *self.programs, *((self.account,) if self.account else ()))


_SYSMON = "microsoft-windows-sysmon/operational"
_SECURITY = {"product": "windows", "service": "security"}


def _category(name: str) -> dict[str, str]:
    return {"product": "windows", "category": name}


EVENT_KINDS: tuple[EventKind, ...] = (
    EventKind(
        channel="security",
        event_ids=(4698,),
        logsource=_SECURITY,
        subject="Scheduled Task Created",
        texts={"TaskContent": "xml"},
        selects=True,
        account="SubjectUserSid",
    ),
    EventKind(
        channel="security",
        event_ids=(4702,),
        logsource=_SECURITY,
        subject="Scheduled Task Updated",
        texts={"TaskContentNew": "xml"},
        selects=True,
        account="SubjectUserSid",
    ),
    EventKind(
        channel="security",
        event_ids=(4697,),
        logsource=_SECURITY,
        subject="Service Installed",
        texts={"ServiceFileName": "command"},
        selects=True,
        account="SubjectUserSid",
    ),
    EventKind(
        channel="system",
        event_ids=(7045,),
        logsource={"product": "windows", "service": "system"},
        subject="Service Installed",
        texts={"ImagePath": "command"},
        selects=True,
    ),
    EventKind(
        channel="security",
        event_ids=(4688,),
        logsource=_category("process_creation"),
        subject="Process Started",
        texts={"CommandLine": "command"},
        programs=("Image", "ParentImage"),
    ),
    EventKind(
        channel=_SYSMON,
        event_ids=(1,),
        logsource=_category("process_creation"),
        subject="Process Started",
        texts={"CommandLine": "command"},
        programs=("Image", "ParentImage"),
    ),
    EventKind(
        channel=_SYSMON,
        event_ids=(11,),
        logsource=_category("file_event"),
        subject="File Created",
        texts={"TargetFilename": "path"},
        programs=("Image",),
    ),
    EventKind(
        channel=_SYSMON,
        event_ids=(13,),
        logsource=_category("registry_set"),
        subject="Registry Value Set",
        texts={"TargetObject": "key", "Details": "command"},
        programs=("Image",),
    ),
    EventKind(
        channel="microsoft-windows-powershell/operational",
        event_ids=(4104,),
        logsource=_category("ps_script"),
        subject="PowerShell Script",
        texts={"ScriptBlockText": "command"},
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Something a pattern does that its author cannot leave out without losing it.

    Attributes:
        sorts: Sorts of text that it is looked for in.
        title: As a title names it, after "With".
        contains: Parts of which one is there; or
        regex: expressions (RE2, any case) of which one matches.
        strong: Rare enough in honest use to carry a rule together with one other thing.
    """

    name: str
    sorts: frozenset[str]
    title: str
    contains: tuple[str, ...] = ()
    regex: tuple[str, ...] = ()
    strong: bool = False

    def shown_by(self, text: str) -> bool:
        """Whether a text shows it."""
        lower = text.lower()
        return any(part.lower() in lower for part in self.contains) or any(
            _compiled(pattern).search(text) for pattern in self.regex
        )

    def selection(self, name: str) -> dict[str, object]:
        """The Sigma selection for a field."""
        if self.contains:
            return {f"{name}|contains": list(self.contains)}
        return {f"{name}|re": [f"(?i){p}" for p in self.regex] if len(self.regex) > 1 else
                f"(?i){self.regex[0]}"}  # fmt: skip


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_ANY = frozenset({"command", "xml"})
_HOSTS = "cmd|powershell|pwsh|wscript|cscript|mshta|bash"
_PROXIES = (
    "rundll32|regsvr32|mshta|msbuild|installutil|regasm|regsvcs|cmstp|odbcconf|pcalua|forfiles"
    "|certutil|bitsadmin|msxsl|presentationhost"
)
_WRITABLE = (
    "\\Users\\Public\\",
    "\\AppData\\",
    "\\ProgramData\\",
    "\\Windows\\Temp\\",
    "\\Temp\\",
    "%TEMP%",
    "%APPDATA%",
    "%LOCALAPPDATA%",
    "%PUBLIC%",
)

BEHAVIOURS: tuple[Behaviour, ...] = (
    Behaviour(
        name="encoded",
        sorts=_ANY,
        title="Encoded Command",
        regex=(
            r"[\s>\"'][-/]e(n|nc|nco|ncod|ncode|ncoded\w*|c)?\s+[A-Za-z0-9+/=]{16,}",
            r"frombase64string",
        ),
        strong=True,
    ),
    Behaviour(
        name="download",
        sorts=_ANY,
        title="Download",
        regex=(
            r"downloadstring|downloadfile|downloaddata|invoke-webrequest|net\.webclient",
            r"start-bitstransfer|[-/]urlcache",
            r"https?://",
        ),
        strong=True,
    ),
    Behaviour(
        name="scriptlet",
        sorts=_ANY,
        title="Script In An Argument",
        regex=(r"javascript:|vbscript:|scrobj\.dll|mshtml,",),
        strong=True,
    ),
    Behaviour(
        name="share",
        sorts=_ANY,
        title="Administrative Share",
        regex=(r"\\\\[^\\\s]+\\(admin|c|ipc)\$",),
        strong=True,
    ),
    Behaviour(
        name="minidump",
        sorts=_ANY,
        title="Memory Dump Through A System Library",
        regex=(r"comsvcs(\.dll)?\W{1,8}(minidump|#?[-+]?24)",),
        strong=True,
    ),
    Behaviour(
        name="interpreter",
        sorts=frozenset({"command"}),
        title="Script Interpreter",
        regex=(rf"\b({_HOSTS})(\.exe)?\b",),
    ),
    Behaviour(
        name="interpreter",
        sorts=frozenset({"xml"}),
        title="Script Interpreter",
        regex=(rf"<Command>[^<]*\b({_HOSTS})(\.exe)?\b[^<]*</Command>",),
    ),
    Behaviour(
        name="proxy",
        sorts=_ANY,
        title="Proxy Execution",
        regex=(rf"\b({_PROXIES})(\.exe)?\b",),
    ),
    Behaviour(
        name="redirect",
        sorts=_ANY,
        title="Redirected Output",
        regex=(r"(2>&1|2&gt;&amp;1)",),
    ),
    Behaviour(
        name="folder",
        sorts=frozenset({"command", "xml", "path"}),
        title="User-Writable Folder",
        contains=_WRITABLE,
    ),
    Behaviour(
        name="system",
        sorts=frozenset({"xml"}),
        title="SYSTEM Rights",
        contains=(
            "<UserId>S-1-5-18</UserId>",
            "<UserId>SYSTEM</UserId>",
            "<UserId>NT AUTHORITY\\SYSTEM</UserId>",
        ),
    ),
    Behaviour(
        name="highest",
        sorts=frozenset({"xml"}),
        title="Highest Rights",
        contains=("<RunLevel>HighestAvailable</RunLevel>",),
    ),
    Behaviour(
        name="hidden",
        sorts=frozenset({"xml"}),
        title="Hidden Flag",
        contains=("<Hidden>true</Hidden>",),
    ),
    Behaviour(
        name="autorun",
        sorts=frozenset({"key"}),
        title="Autorun Key",
        contains=(
            "\\CurrentVersion\\Run",
            "\\CurrentVersion\\Explorer\\Shell Folders",
            "\\CurrentVersion\\Winlogon\\",
            "\\Image File Execution Options\\",
            "\\Active Setup\\Installed Components\\",
        ),
        strong=True,
    ),
    Behaviour(
        name="startup",
        sorts=frozenset({"path"}),
        title="Startup Folder",
        contains=("\\Start Menu\\Programs\\Startup\\",),
        strong=True,
    ),
)

WINDOWS_PROGRAMS = frozenset(
    f"{name}.exe"
    for name in (
        "at",
        "bitsadmin",
        "certutil",
        "cmd",
        "cmstp",
        "computerdefaults",
        "conhost",
        "consent",
        "cscript",
        "dllhost",
        "eventvwr",
        "excel",
        "explorer",
        "fodhelper",
        "forfiles",
        "installutil",
        "lsass",
        "mmc",
        "msbuild",
        "mshta",
        "net",
        "net1",
        "nltest",
        "ntdsutil",
        "outlook",
        "powerpnt",
        "powershell",
        "pwsh",
        "reg",
        "regsvr32",
        "rundll32",
        "sc",
        "schtasks",
        "sdclt",
        "services",
        "spoolsv",
        "sqlservr",
        "svchost",
        "taskeng",
        "taskhostw",
        "vssadmin",
        "w3wp",
        "wevtutil",
        "whoami",
        "winlogon",
        "winword",
        "wmic",
        "wmiprvse",
        "wscript",
        "wsmprovhost",
    )
)
"""Programs whose name says what they do: an attacker who renames one loses its trust."""
