"""The scheduled task inside Security 4698 and 4702, as fields of the event."""

from huntonce.connectors.sigma.channels import SECURITY
from huntonce.models.errors import DomainError
from huntonce.models.taskxml import MAX_TASK_XML, TaskDefinition, parse_task, unescape_task

_CONTENT = ("TaskContent", "TaskContentNew")
_EVENT_IDS = frozenset({4698, 4702})
TASK_FIELDS = frozenset(
    {
        *("taskauthor", "taskcommand", "taskarguments", "taskuserid", "taskrunlevel"),
        *("tasklogontype", "taskhidden", "tasktriggers", "taskuri"),
        *(name.lower() for name in _CONTENT),
    }
)
"""Fields (lower case) whose values are not in the event as they stand."""


def unescape_content(fields: dict[str, str]) -> None:
    """Put the task XML itself where a collector stored it escaped."""
    for name in _CONTENT:
        if name in fields and len(fields[name]) <= MAX_TASK_XML:
            fields[name] = unescape_task(fields[name])


def add_task_fields(event_id: int, channel: str, fields: dict[str, str]) -> str:
    """Add the parts of the task XML (TaskAuthor, TaskCommand ...) to an event's fields.

    Returns:
        Why the XML could not be read; empty where it could, or where there is none.
    """
    if event_id not in _EVENT_IDS or channel != SECURITY:
        return ""
    text = fields.get("TaskContentNew") or fields.get("TaskContent") or ""
    if not text.strip():
        return ""
    try:
        task = parse_task(text)
    except DomainError as error:
        return str(error)
    for name, value in _parts(task).items():
        fields.setdefault(name, value)
    return ""


def _parts(task: TaskDefinition) -> dict[str, str]:
    return {
        "TaskAuthor": task.author,
        "TaskCommand": "\n".join(command for command, _ in task.actions),
        "TaskArguments": "\n".join(arguments for _, arguments in task.actions),
        "TaskUserId": task.user_id,
        "TaskRunLevel": task.run_level,
        "TaskLogonType": task.logon_type,
        "TaskHidden": "true" if task.hidden else "false",
        "TaskTriggers": "\n".join(task.triggers),
        "TaskUri": task.uri,
    }
