"""Windows events as evtx-rs writes them to JSON, and the sessions and processes they tell of.

Versions and constants follow Microsoft's descriptions of the Security events, of the Task
Scheduler's operational channel and of Sysmon 15.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from huntonce.models.lab.clockwork import moment
from huntonce.models.lab.people import Account

SECURITY = "Security"
SYSMON_CHANNEL = "Microsoft-Windows-Sysmon/Operational"
TASK_CHANNEL = "Microsoft-Windows-TaskScheduler/Operational"

Data = dict[str, object]
EventKey = tuple[str, str, int, int]
"""Host, channel, event id, record id."""

LOW, MEDIUM, HIGH, SYSTEM_LEVEL = 4096, 8192, 12288, 16384
INTERACTIVE = 2
NETWORK = 3
SERVICE = 5
UNLOCK = 7
REMOTE_DESKTOP = 10


class Session:
    """A logon session on one host."""

    __slots__ = ("account", "elevated", "guid", "kind", "logon_id", "terminal")

    def __init__(
        self, account: Account, logon_id: str, kind: int, *, elevated: bool, guid: str
    ) -> None:
        self.account = account
        self.logon_id = logon_id
        self.kind = kind
        self.elevated = elevated
        self.guid = guid
        self.terminal = 0 if kind in {NETWORK, SERVICE} else 1


class Process:
    """A running process on one host."""

    __slots__ = ("command", "guid", "image", "level", "parent", "pid", "session")

    def __init__(
        self,
        pid: int,
        image: str,
        command: str,
        session: Session,
        parent: "Process | None",
        guid: str,
    ) -> None:
        self.pid = pid
        self.image = image
        self.command = command
        self.session = session
        self.parent = parent
        self.guid = guid
        self.level = SYSTEM_LEVEL if is_builtin(session) else HIGH if session.elevated else MEDIUM


def is_builtin(session: Session) -> bool:
    """Whether it is SYSTEM, LOCAL SERVICE or NETWORK SERVICE."""
    return len(session.account.sid) == len("S-1-5-18")


class _Kind(NamedTuple):
    provider: Mapping[str, object]
    version: int
    level: int
    task: int
    opcode: int
    keywords: str
    security: Mapping[str, object] | None
    name: Mapping[str, object] | None


def _provider(name: str, guid: str) -> Mapping[str, object]:
    return {"#attributes": {"Name": name, "Guid": guid}}


_AUDIT = _provider("Microsoft-Windows-Security-Auditing", "54849625-5478-4994-A5BA-3E3B0328C30D")
_SYSMON = _provider("Microsoft-Windows-Sysmon", "5770385F-C22A-43E0-BF4C-06F5698FFBD9")
_TASKS = _provider("Microsoft-Windows-TaskScheduler", "DE7B24EA-73C8-4A09-985D-5BDADCFA9017")
_AS_SYSTEM: Mapping[str, object] = {"#attributes": {"UserID": "S-1-5-18"}}
_PLAIN = "0x8000000000000000"


def _audit(version: int, task: int) -> _Kind:
    return _Kind(_AUDIT, version, 0, task, 0, "0x8020000000000000", None, None)


def _sysmon(event_id: int, version: int) -> _Kind:
    return _Kind(_SYSMON, version, 4, event_id, 0, _PLAIN, _AS_SYSTEM, None)


def _task(event_id: int, version: int, opcode: int, name: str) -> _Kind:
    named: Mapping[str, object] = {"Name": name}
    return _Kind(_TASKS, version, 4, event_id, opcode, _PLAIN, _AS_SYSTEM, named)


KINDS: Mapping[tuple[str, int], _Kind] = {
    (SECURITY, 4624): _audit(2, 12544),
    (SECURITY, 4634): _audit(0, 12545),
    (SECURITY, 4648): _audit(0, 12544),
    (SECURITY, 4672): _audit(0, 12548),
    (SECURITY, 4688): _audit(2, 13312),
    (SECURITY, 4698): _audit(1, 12804),
    (SECURITY, 4699): _audit(1, 12804),
    (SECURITY, 4700): _audit(1, 12804),
    (SECURITY, 4701): _audit(1, 12804),
    (SECURITY, 4702): _audit(1, 12804),
    (SYSMON_CHANNEL, 1): _sysmon(1, 5),
    (SYSMON_CHANNEL, 11): _sysmon(11, 2),
    (SYSMON_CHANNEL, 12): _sysmon(12, 2),
    (SYSMON_CHANNEL, 13): _sysmon(13, 2),
    (TASK_CHANNEL, 106): _task(106, 0, 0, "TaskRegisteredEvent"),
    (TASK_CHANNEL, 129): _task(129, 0, 0, "CreatedTaskProcess"),
    (TASK_CHANNEL, 140): _task(140, 0, 0, "TaskUpdated"),
    (TASK_CHANNEL, 141): _task(141, 0, 0, "TaskDeleted"),
    (TASK_CHANNEL, 142): _task(142, 0, 0, "TaskDisabled"),
    (TASK_CHANNEL, 200): _task(200, 1, 1, "ActionStart"),
    (TASK_CHANNEL, 201): _task(201, 2, 2, "ActionSuccess"),
}
_XMLNS: Mapping[str, object] = {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"}


class LabEvent(NamedTuple):
    """One event.

    Attributes:
        host: Short name; ``computer`` is the full one.
        at: Microseconds since 1970, UTC.
        pid, tid: Of the writer.
        activity: GUID of the correlation; may be empty.
        mark: The planted intrusion it belongs to; empty for everything else. Never written.
    """

    host: str
    computer: str
    channel: str
    event_id: int
    record_id: int
    at: int
    pid: int
    tid: int
    activity: str
    data: Data
    mark: str

    @property
    def key(self) -> EventKey:
        """Host, channel, event id, record id."""
        return (self.host, self.channel, self.event_id, self.record_id)

    @property
    def time(self) -> datetime:
        """When it happened, UTC."""
        return moment(self.at)

    def record(self) -> Data:
        """The event as evtx-rs gives it as JSON."""
        kind = KINDS[self.channel, self.event_id]
        data = {"#attributes": kind.name, **self.data} if kind.name else self.data
        return {
            "Event": {
                "#attributes": _XMLNS,
                "System": {
                    "Provider": kind.provider,
                    "EventID": self.event_id,
                    "Version": kind.version,
                    "Level": kind.level,
                    "Task": kind.task,
                    "Opcode": kind.opcode,
                    "Keywords": kind.keywords,
                    "TimeCreated": {"#attributes": {"SystemTime": zulu(self.at)}},
                    "EventRecordID": self.record_id,
                    "Correlation": (
                        {"#attributes": {"ActivityID": self.activity}} if self.activity else None
                    ),
                    "Execution": {"#attributes": {"ProcessID": self.pid, "ThreadID": self.tid}},
                    "Channel": self.channel,
                    "Computer": self.computer,
                    "Security": kind.security,
                },
                "EventData": data,
            }
        }


def zulu(at: int) -> str:
    """2026-11-12T01:13:05.120331Z."""
    return moment(at).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
