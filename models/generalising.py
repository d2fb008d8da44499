r"""Generalising: a Sigma rule from what the events of a finding share, where no template fits.

What an attacker changes freely (names, paths, addresses, arguments) never gets into a rule as it
was seen. What does: which event it is; who acted, as a class of account; which program of Windows
itself took part; and behaviours, each a general expression that every event of the finding meets.
A pattern that shares too little of that is not automated, and the reason says so.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from huntonce.models.finding import Finding
from huntonce.models.huntdef import DetectionTemplate
from huntonce.models.ids import digest

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

_PEOPLE = ("S-1-5-21-", "S-1-12-1-")
_ENOUGH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalised:
    """What came of it: a template, or the reason why there is none; ``shared`` in words."""

    template: DetectionTemplate | None
    reason: str = ""
    shared: tuple[str, ...] = field(default=())


def kind_of(channel: str, event_id: int) -> EventKind | None:
    """The kind of an event; None where no rule can be made of it."""
    for kind in EVENT_KINDS:
        if kind.channel == channel.lower() and event_id in kind.event_ids:
            return kind
    return None


def kinds_of(finding: Finding) -> tuple[EventKind, ...]:
    """The kinds of a finding's core events, the one with most events first."""
    counts: dict[int, int] = {}
    kinds: dict[int, EventKind] = {}
    for ref in finding.core:
        kind = kind_of(ref.channel, ref.event_id)
        if kind is not None:
            kinds[id(kind)] = kind
            counts[id(kind)] = counts.get(id(kind), 0) + 1
    return tuple(kinds[number] for number in sorted(counts, key=lambda one: -counts[one]))


def generalise(kind: EventKind, rows: Sequence[Row], *, level: str = "medium") -> Generalised:
    """A rule from what the events (all of one kind) share."""
    if not rows:
        return Generalised(template=None, reason="its events are not held any more")
    selections: dict[str, dict[str, object]] = {}
    shown = list(_behaviours(kind, rows))
    for behaviour, name in shown:
        selections[f"selection_{behaviour.name}"] = behaviour.selection(name)
    programs = dict(_programs(kind, rows))
    for name, program in programs.items():
        key = "selection_parent" if name.startswith("Parent") else "selection_program"
        selections[key] = {f"{name}|endswith": f"\\{program}"}
    event: dict[str, object] = {}
    if kind.selects:
        ids = kind.event_ids
        event["EventID"] = ids[0] if len(ids) == 1 else list(ids)
    person = _by_people(kind, rows)
    if person:
        event[f"{kind.account}|startswith"] = list(_PEOPLE)
    said = [behaviour.title for behaviour, _ in shown]
    strong = any(behaviour.strong for behaviour, _ in shown)
    firm = len(programs) + person
    if not shown or not (len(shown) >= _ENOUGH + 1 or (strong and len(shown) + firm >= _ENOUGH)):
        what = f"only {' and '.join(said).lower()}" if said else "nothing"
        return Generalised(
            template=None,
            reason=(
                f"its {len(rows)} events ({kind.subject.lower()}) share {what} that an attacker"
                " could not change freely"
            ),
            shared=tuple(said),
        )
    detection: dict[str, object] = {"selection_event": event} if event else {}
    detection |= selections
    detection["condition"] = "all of selection_*" if len(detection) > 1 else next(iter(detection))
    return Generalised(
        template=_template(kind, detection, said, programs, level), shared=tuple(said)
    )


def _behaviours(kind: EventKind, rows: Sequence[Row]) -> Iterable[tuple[Behaviour, str]]:
    """Behaviours that every event shows, each with the field that shows it."""
    seen: set[str] = set()
    for behaviour in BEHAVIOURS:
        for name, sort in kind.texts.items():
            if behaviour.name in seen or sort not in behaviour.sorts:
                continue
            if all(behaviour.shown_by(row.get(name, "")) for row in rows):
                seen.add(behaviour.name)
                yield behaviour, name


def _programs(kind: EventKind, rows: Sequence[Row]) -> Iterable[tuple[str, str]]:
    for name in kind.programs:
        programs = {row.get(name, "").rpartition("\\")[2].lower() for row in rows}
        if len(programs) == 1 and programs <= WINDOWS_PROGRAMS:
            yield name, programs.pop()


def _by_people(kind: EventKind, rows: Sequence[Row]) -> bool:
    return bool(kind.account) and all(row.get(kind.account, "").startswith(_PEOPLE) for row in rows)


def _template(
    kind: EventKind,
    detection: Mapping[str, object],
    said: Sequence[str],
    programs: Mapping[str, str],
    level: str,
) -> DetectionTemplate:
    by = [f"By {program}" for name, program in programs.items() if name.startswith("Parent")]
    of = [f"Of {program}" for name, program in programs.items() if not name.startswith("Parent")]
    head = " ".join([kind.subject, *of, *by])
    title = f"{head} With {' And '.join(said[:3])}"
    parts = [text.lower().replace("system rights", "SYSTEM rights") for text in said]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    who = " by an account of a person" if kind.account else ""
    return DetectionTemplate(
        name=f"generalised-{digest(kind.logsource, detection)[:12]}",
        title=title,
        description=(
            f"Detects events of the kind '{kind.subject.lower()}'{who} that show {listed}. Derived"
            " from the events of a hunt: it keeps what they have in common and what the behaviour"
            " needs, and nothing of their names, paths or addresses."
        ),
        level=level,
        needs=(),
        logsource=kind.logsource,
        detection=detection,
        falsepositives=("Software management and administration scripts that do the same",),
    )
