"""Scheduled-task definitions, and their XML as the Task Scheduler writes it into events."""

from dataclasses import dataclass
from xml.sax.saxutils import escape

SYSTEM_ID = "S-1-5-18"
NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
INTERACTIVE_TOKEN = "InteractiveToken"  # noqa: S105 - a logon type of the Task Scheduler
PASSWORD = "Password"  # noqa: S105 - likewise
LEAST, HIGHEST = "LeastPrivilege", "HighestAvailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    r"""A task definition.

    Attributes:
        path: ``\Folder\Name``.
        author: Empty where the definition has none.
        user_id: Principal: a SID or DOMAIN\\name.
        triggers: XML of the triggers, from the functions below.
        date: Registration date as it stands in the XML; empty where there is none.
    """

    path: str
    command: str
    arguments: str = ""
    author: str = ""
    user_id: str = SYSTEM_ID
    logon_type: str = ""
    run_level: str = LEAST
    triggers: str
    date: str = ""
    description: str = ""
    schema: str = "1.2"
    hidden: bool = False
    limit: str = "PT72H"
    working_directory: str = ""


def element(name: str, value: str, indent: int) -> str:
    """One line with one element; nothing for an empty value."""
    return f"{' ' * indent}<{name}>{escape(value)}</{name}>\r\n" if value else ""


def xml(task: Task) -> str:
    """The definition as TaskContent has it: declared UTF-16, lines ended by CR LF."""
    hidden = "true" if task.hidden else "false"
    return (
        '<?xml version="1.0" encoding="UTF-16"?>\r\n'
        f'<Task version="{task.schema}" xmlns="{NAMESPACE}">\r\n'
        "  <RegistrationInfo>\r\n"
        f"{element('Date', task.date, 4)}"
        f"{element('Author', task.author, 4)}"
        f"{element('Description', task.description, 4)}"
        f"{element('URI', task.path, 4)}"
        "  </RegistrationInfo>\r\n"
        f"  <Triggers>\r\n{task.triggers}  </Triggers>\r\n"
        f"{_settings(hidden, task.limit)}"
        '  <Actions Context="Author">\r\n    <Exec>\r\n'
        f"{element('Command', task.command, 6)}"
        f"{element('Arguments', task.arguments, 6)}"
        f"{element('WorkingDirectory', task.working_directory, 6)}"
        "    </Exec>\r\n  </Actions>\r\n"
        '  <Principals>\r\n    <Principal id="Author">\r\n'
        f"{element('UserId', task.user_id, 6)}"
        f"{element('LogonType', task.logon_type, 6)}"
        f"{element('RunLevel', task.run_level, 6)}"
        "    </Principal>\r\n  </Principals>\r\n</Task>"
    )


def _settings(hidden: str, limit: str) -> str:
    lines = (
        "<MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>",
        "<DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>",
        "<StopIfGoingOnBatteries>true</StopIfGoingOnBatteries>",
        "<AllowHardTerminate>true</AllowHardTerminate>",
        "<StartWhenAvailable>true</StartWhenAvailable>",
        "<RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>",
        "<AllowStartOnDemand>true</AllowStartOnDemand>",
        "<Enabled>true</Enabled>",
        f"<Hidden>{hidden}</Hidden>",
        "<RunOnlyIfIdle>false</RunOnlyIfIdle>",
        "<WakeToRun>false</WakeToRun>",
        f"<ExecutionTimeLimit>{limit}</ExecutionTimeLimit>",
        "<Priority>7</Priority>",
    )
    inner = "".join(f"    {line}\r\n" for line in lines)
    return f"  <Settings>\r\n{inner}  </Settings>\r\n"


def _trigger(kind: str, start: str, *inner: str) -> str:
    body = "".join(f"      {line}\r\n" for line in inner if line)
    return (
        f"    <{kind}>\r\n{element('StartBoundary', start, 6)}"
        f"      <Enabled>true</Enabled>\r\n{body}    </{kind}>\r\n"
    )


def once(start: str) -> str:
    """At one local time."""
    return _trigger("TimeTrigger", start)


def every(start: str, interval: str) -> str:
    """From a local time on, again and again (an ISO 8601 duration)."""
    repetition = (
        f"<Repetition><Interval>{interval}</Interval>"
        "<StopAtDurationEnd>false</StopAtDurationEnd></Repetition>"
    )
    return _trigger("TimeTrigger", start, repetition)


def daily(start: str) -> str:
    """Every day at a local time."""
    return _trigger(
        "CalendarTrigger", start, "<ScheduleByDay><DaysInterval>1</DaysInterval></ScheduleByDay>"
    )


def at_logon(user_id: str = "") -> str:
    """When somebody, or one user, logs on."""
    return _trigger("LogonTrigger", "", f"<UserId>{escape(user_id)}</UserId>" if user_id else "")
