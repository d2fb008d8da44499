"""Events of which only the fields of the Elastic Common Schema are left, without ``winlog``.

ECS keeps a part of an event under other names. Taken back is only what is certain: the log from a
provider that writes to one alone, and the fields that Winlogbeat's modules copy as they are. What
else the event said is not there, so that rules over it find nothing: each such event says that.
"""

import re
from collections.abc import Mapping
from typing import Any

from huntonce.connectors.siem.lake.event import Event, make_event
from huntonce.connectors.siem.lake.fields import NotAnEventError, as_text, microseconds
from huntonce.connectors.sigma.channels import (
    POWERSHELL,
    POWERSHELL_CLASSIC,
    SECURITY,
    SYSMON,
    SYSTEM,
    TASK_SCHEDULER,
)

LACKING = (
    "it is ECS without winlog: of the event's own fields only those are loaded that ECS keeps as"
    " they are, and rules over the others cannot match"
)
"""What is said of every such event."""

CHANNELS = {
    "Microsoft-Windows-Security-Auditing": SECURITY,
    "Microsoft-Windows-Sysmon": SYSMON,
    "Microsoft-Windows-TaskScheduler": TASK_SCHEDULER,
    "Microsoft-Windows-PowerShell": POWERSHELL,
    "PowerShell": POWERSHELL_CLASSIC,
    "Service Control Manager": SYSTEM,
}
"""Provider to the one channel that it writes to."""

_PROCESS = {"Image": "process.executable", "ProcessId": "process.pid"}
_ADDRESSES = {"SourceIp": "source.ip", "SourcePort": "source.port"} | {
    "DestinationIp": "destination.ip",
    "DestinationPort": "destination.port",
}
_OF_SYSMON: Mapping[int, Mapping[str, str]] = {
    1: {
        **_PROCESS,
        "CommandLine": "process.command_line",
        "CurrentDirectory": "process.working_directory",
        "OriginalFileName": "process.pe.original_file_name",
        "ParentImage": "process.parent.executable",
        "ParentCommandLine": "process.parent.command_line",
        "ParentProcessId": "process.parent.pid",
    },
    3: {**_PROCESS, **_ADDRESSES},
    5: _PROCESS,
    7: {**_PROCESS, "ImageLoaded": "file.path"},
    11: {**_PROCESS, "TargetFilename": "file.path"},
    12: {**_PROCESS, "TargetObject": "registry.path"},
    13: {**_PROCESS, "TargetObject": "registry.path"},
    14: {**_PROCESS, "TargetObject": "registry.path"},
    22: {**_PROCESS, "QueryName": "dns.question.name"},
}
FIELDS: Mapping[tuple[str, int], Mapping[str, str]] = {
    **{(SYSMON, number): fields for number, fields in _OF_SYSMON.items()},
    (SECURITY, 4688): {
        "NewProcessName": "process.executable",
        "CommandLine": "process.command_line",
        "ParentProcessName": "process.parent.executable",
    },
    (POWERSHELL, 4104): {"ScriptBlockText": "powershell.file.script_block_text"},
}
"""Channel and event id to the event's own fields and where ECS has them, unchanged."""

_CODE = re.compile(r"[0-9]{1,10}")


def is_ecs(document: Mapping[str, Any]) -> bool:
    """Whether a document says an event's code as ECS does."""
    return _at(document, "event.code") is not None


def from_ecs(document: Mapping[str, Any]) -> Event:
    """The event of a document.

    Raises:
        NotAnEventError: It is none of Windows, or its log cannot be told.
    """
    code, provider = _at(document, "event.code"), _at(document, "event.provider")
    if not _CODE.fullmatch(str(code)):
        raise NotAnEventError("not a Windows event: its event.code is no number")
    channel = CHANNELS.get(provider) if isinstance(provider, str) else None
    if channel is None:
        said = f"its event.provider is {str(provider)[:80]!r}" if provider else "no event.provider"
        raise NotAnEventError(
            f"ECS without winlog.channel, and {said}: it cannot be told which log it is of"
        )
    fields: dict[str, str] = {}
    for name, path in FIELDS.get((channel, int(str(code))), {}).items():
        value = _at(document, path)
        if isinstance(value, str | int) and (text := as_text(value)) is not None:
            fields[name] = text
    recorded, _ = microseconds(document.get("@timestamp"))
    event = make_event(
        fields,
        {},
        computer=_at(document, "host.name") or _at(document, "host.hostname"),
        channel=channel,
        provider=provider,
        event_id=code,
        record_id=None,
        recorded=recorded,
        ingested=_at(document, "event.created") or _at(document, "event.ingested"),
    )
    if isinstance(message := document.get("message"), str):
        event.fields.setdefault("Message", message)
    event.lacking = LACKING
    return event


def _at(document: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - any JSON value
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
