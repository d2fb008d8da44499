"""The Task Scheduler service of a host: what registering, changing and running a task leaves."""

from collections.abc import Mapping
from functools import partial

from huntonce.models.ids import digest
from huntonce.models.lab.clockwork import SECOND
from huntonce.models.lab.events import SYSMON_CHANNEL, TASK_CHANNEL, Data, Process, Session
from huntonce.models.lab.machine import Machine
from huntonce.models.lab.payloads import sysmon_object, sysmon_time, task_changed, user_of
from huntonce.models.lab.tasks import Task, xml

TREE = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Schedule\\TaskCache\\Tree"
FOLDER = "C:\\Windows\\System32\\Tasks"
CREATED, DELETED, ENABLED, DISABLED, UPDATED = 4698, 4699, 4700, 4701, 4702


def guid(*parts: object) -> str:
    """A GUID that depends on the parts alone."""
    raw = digest(*parts)[:32].upper()
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


def register(machine: Machine, task: Task, session: Session, client: Process | None = None) -> None:
    """4698, 106, the task's file and its keys; without ``client`` it came over the network."""
    _audit(machine, CREATED, task.path, session, {"TaskContent": xml(task)}, client)
    _operational(machine, 106, {"TaskName": task.path, "UserContext": user_of(session)})
    tree = TREE + task.path
    number = guid(machine.host.name, task.path)
    _trace(machine, 12, "CreateKey", TargetObject=tree)
    _trace(machine, 13, "SetValue", TargetObject=f"{tree}\\Id", Details=f"{{{number}}}")
    _trace(machine, 13, "SetValue", TargetObject=f"{tree}\\Index", Details="DWORD (0x00000003)")
    _file(machine, task.path)


def update(machine: Machine, task: Task, session: Session, client: Process | None = None) -> None:
    """4702, 140, and the traces of the change."""
    _audit(machine, UPDATED, task.path, session, {"TaskContentNew": xml(task)}, client)
    _operational(machine, 140, {"TaskName": task.path, "UserName": user_of(session)})
    index = f"{TREE}{task.path}\\Index"
    _trace(machine, 13, "SetValue", TargetObject=index, Details="DWORD (0x00000003)")
    _file(machine, task.path)


def delete(machine: Machine, path: str, session: Session, client: Process | None = None) -> None:
    """4699 (whose content is empty), 141 and the removed key."""
    _audit(machine, DELETED, path, session, {"TaskContent": ""}, client)
    _operational(machine, 141, {"TaskName": path, "UserName": user_of(session)})
    _trace(machine, 12, "DeleteKey", TargetObject=TREE + path)


def switch(
    machine: Machine, task: Task, session: Session, client: Process, *, enable: bool
) -> None:
    """4700 or 4701, and 142 for the latter."""
    content = {"TaskContent": xml(task)}
    _audit(machine, ENABLED if enable else DISABLED, task.path, session, content, client)
    if not enable:
        _operational(machine, 142, {"TaskName": task.path, "UserName": user_of(session)})


def run(
    machine: Machine, path: str, image: str, command: str, session: Session, seconds: float = 20
) -> Process:
    """The action of a task: a child of the Schedule service; 129, 200 and later 201."""
    child = machine.start(image, command, machine.running["schedule"], session)
    if machine.has_task_channel:
        instance = guid(machine.host.name, path, machine.clock)
        created: Data = {"TaskName": path, "Path": image, "ProcessID": child.pid, "Priority": 16384}
        _operational(machine, 129, created)
        started: Data = {
            "TaskName": path,
            "ActionName": image,
            "TaskInstanceId": instance,
            "EnginePID": child.pid,
        }
        _operational(machine, 200, started, instance)
        machine.after(seconds, partial(_completed, {**started, "ResultCode": 0}, instance))
    return child


def run_inside(machine: Machine, path: str, session: Session) -> Process:
    """The action of a task that is a COM handler: taskhostw.exe below the Schedule service."""
    image = "C:\\Windows\\System32\\taskhostw.exe"
    return run(machine, path, image, "taskhostw.exe", session)


def _completed(data: Data, instance: str, machine: Machine) -> None:
    _operational(machine, 201, data, instance)


def _audit(
    machine: Machine,
    event_id: int,
    path: str,
    session: Session,
    content: Mapping[str, str],
    client: Process | None,
) -> None:
    data = task_changed(session, path, content, client, machine.host.fqdn)
    activity = guid(machine.host.uid, machine.clock // SECOND // 86_400)
    machine.audit(event_id, data, activity)


def _operational(machine: Machine, event_id: int, data: Data, activity: str = "") -> None:
    if machine.has_task_channel:
        machine.emit(TASK_CHANNEL, event_id, data, machine.running["schedule"], activity)


def _trace(machine: Machine, event_id: int, event_type: str, **rest: str) -> None:
    if machine.has_sysmon:
        service = machine.running["schedule"]
        data = sysmon_object(event_id, service, machine.clock, event_type, **rest)
        machine.emit(SYSMON_CHANNEL, event_id, data, machine.running["sysmon"])


def _file(machine: Machine, path: str) -> None:
    _trace(
        machine,
        11,
        "",
        TargetFilename=FOLDER + path,
        CreationUtcTime=sysmon_time(machine.clock),
    )
