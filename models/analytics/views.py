"""Views: which facts the events of a kind hold, under one name whatever the channel calls them.

A search of a hunt says ``as: process``, and its rows have the facts ``image``, ``command``,
``parent`` ... whether Sysmon 1 or Security 4688 told them. A hunt may add facts of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from huntonce.models.analytics.forms import form
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import FactRule


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One kind of thing, as events show it.

    Attributes:
        by: Facts by which two events on a host are one thing, if none of them is unknown.
        within: Seconds that may lie between those events.
        action: Facts of which the first known one is what was done.
    """

    facts: Mapping[str, FactRule]
    by: tuple[str, ...] = ()
    within: float = 10
    action: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """Every event field that it reads."""
        names = (name for rule in self.facts.values() for name in rule.fields)
        return tuple(dict.fromkeys(names))


def fact(*fields: str, form: str = "", match: str = "", joined: bool = False) -> FactRule:
    """A rule in short."""
    return FactRule(fields=fields, form=form, match=match, joined=joined)


_ACTOR = {
    "actor": fact("SubjectDomainName", "SubjectUserName", joined=True, form="account"),
    "actor_sid": fact("SubjectUserSid", form="sid"),
    "logon_id": fact("SubjectLogonId", "LogonId", form="lower"),
}
"""Who did it, as audit events name them."""

_BY_PROCESS = {
    "image": fact("Image", form="path"),
    "image_name": fact("Image", form="name"),
    "process_guid": fact("ProcessGuid", form="lower"),
    "pid": fact("ProcessId", form="number"),
    "actor": fact("User", form="account"),
}
"""Which process did it, as Sysmon names it."""

VIEWS: Mapping[str, View] = {
    "event": View(facts={**_ACTOR}),
    "process": View(
        facts={
            "image": fact("Image", form="path"),
            "image_name": fact("Image", form="name"),
            "command": fact("CommandLine"),
            "plain": fact("CommandLine", form="command"),
            "parent": fact("ParentImage", form="path"),
            "parent_name": fact("ParentImage", form="name"),
            "parent_command": fact("ParentCommandLine"),
            "actor": fact("User", form="account"),
            "actor_sid": fact("SubjectUserSid", form="sid"),
            "logon_id": fact("LogonId", form="lower"),
            "pid": fact("ProcessId", form="number"),
            "parent_pid": fact("ParentProcessId", form="number"),
            "process_guid": fact("ProcessGuid", form="lower"),
            "parent_guid": fact("ParentProcessGuid", form="lower"),
            "integrity": fact("IntegrityLevel"),
            "original": fact("OriginalFileName", form="lower"),
            "company": fact("Company"),
            "hashes": fact("Hashes"),
        },
        by=("pid", "image_name"),
        action=("command", "image"),
    ),
    "service": View(
        facts={
            **_ACTOR,
            "service": fact("ServiceName"),
            "path": fact("ImagePath", "ServiceFileName"),
            "plain": fact("ImagePath", "ServiceFileName", form="command"),
            "program": fact("ImagePath", "ServiceFileName", form="program"),
            "run_as": fact("AccountName", "ServiceAccount"),
            "start": fact("StartType", "ServiceStartType"),
            "type": fact("ServiceType"),
        },
        by=("service",),
        within=60,
        action=("path",),
    ),
    "registry": View(
        facts={
            **_BY_PROCESS,
            "key": fact("TargetObject", "ObjectName"),
            "value": fact("Details", "NewValue"),
            "change": fact("EventType", "OperationType"),
            "value_name": fact("ObjectValueName"),
            "actor": fact("User", "SubjectUserName", form="account"),
            "logon_id": fact("SubjectLogonId", form="lower"),
        },
        by=("key", "value"),
        within=5,
        action=("value", "key"),
    ),
    "account": View(
        facts={
            **_ACTOR,
            "target": fact("TargetUserName"),
            "target_sid": fact("TargetSid", form="sid"),
            "member": fact("MemberName", "MemberSid"),
            "member_sid": fact("MemberSid", form="sid"),
            "uac": fact("NewUacValue", "UserAccountControl"),
        },
        action=("target",),
    ),
    "logon": View(
        facts={
            "target": fact("TargetUserName"),
            "target_sid": fact("TargetUserSid", form="sid"),
            "logon_id": fact("TargetLogonId", form="lower"),
            "logon_type": fact("LogonType"),
            "remote_address": fact("IpAddress", form="host"),
            "workstation": fact("WorkstationName", "Workstation", form="host"),
            "process": fact("LogonProcessName"),
            "package": fact("AuthenticationPackageName", "PackageName"),
            "status": fact("SubStatus", "Status", form="lower"),
            "actor": fact("SubjectDomainName", "SubjectUserName", joined=True, form="account"),
        },
        action=("target",),
    ),
    "script": View(
        facts={
            "text": fact("ScriptBlockText", "Payload", "HostApplication", "Data"),
            "plain": fact(
                "ScriptBlockText", "Payload", "HostApplication", "Data", form="command"
            ),
            "block": fact("ScriptBlockId", form="lower"),
            "file": fact("Path", "ScriptName", form="path"),
            "context": fact("ContextInfo"),
            "actor": fact("User", "UserId", form="account"),
            "pid": fact("ProcessID", form="number"),
        },
        by=("block",),
        within=60,
        action=("text",),
    ),
    "access": View(
        facts={
            **_ACTOR,
            "image": fact("SourceImage", "ProcessName", form="path"),
            "image_name": fact("SourceImage", "ProcessName", form="name"),
            "target": fact("TargetImage", "ObjectName", form="path"),
            "rights": fact("GrantedAccess", "AccessMask", form="lower"),
            "trace": fact("CallTrace"),
            "process_guid": fact("SourceProcessGUID", "SourceProcessGuid", form="lower"),
            "pid": fact("SourceProcessId", "ProcessId", form="number"),
            "actor": fact("SourceUser", "SubjectUserName", form="account"),
        },
        by=("image", "pid", "target"),
        within=30,
        action=("image",),
    ),
    "file": View(
        facts={
            **_BY_PROCESS,
            "file": fact("TargetFilename", form="path"),
            "file_name": fact("TargetFilename", form="name"),
        },
        by=("file", "image"),
        action=("file",),
    ),
    "module": View(
        facts={
            **_BY_PROCESS,
            "module": fact("ImageLoaded", form="path"),
            "module_name": fact("ImageLoaded", form="name"),
            "signed": fact("Signed", form="lower"),
            "signature": fact("Signature"),
            "hashes": fact("Hashes"),
        },
        by=("module", "image", "pid"),
        action=("module",),
    ),
    "network": View(
        facts={
            **_BY_PROCESS,
            "address": fact("DestinationIp"),
            "port": fact("DestinationPort"),
            "name": fact("DestinationHostname"),
            "initiated": fact("Initiated", form="lower"),
            "remote_address": fact("SourceIp", form="host"),
        },
        by=("image", "pid", "address", "port"),
        within=60,
        action=("address",),
    ),
    "thread": View(
        facts={
            "image": fact("SourceImage", form="path"),
            "image_name": fact("SourceImage", form="name"),
            "target": fact("TargetImage", form="path"),
            "target_name": fact("TargetImage", form="name"),
            "function": fact("StartFunction"),
            "module": fact("StartModule", form="path"),
            "process_guid": fact("SourceProcessGuid", form="lower"),
            "pid": fact("SourceProcessId", form="number"),
        },
        by=("image", "pid", "target"),
        action=("target",),
    ),
    "pipe": View(
        facts={**_BY_PROCESS, "pipe": fact("PipeName")}, by=("pipe", "pid"), action=("pipe",)
    ),
    "wmi": View(
        facts={
            "object": fact("Name", "Filter", "ESS"),
            "query": fact("Query"),
            "consumer": fact("Consumer", "CONSUMER"),
            "payload": fact("Destination", "PossibleCause"),
            "operation": fact("Operation", "EventType"),
            "actor": fact("User", form="account"),
        },
        action=("payload", "query", "consumer"),
    ),
    "share": View(
        facts={
            **_ACTOR,
            "share": fact("ShareName"),
            "file": fact("RelativeTargetName"),
            "share_path": fact("ShareLocalPath", form="path"),
            "remote_address": fact("IpAddress", form="host"),
            "rights": fact("AccessMask", form="lower"),
        },
        by=("share", "file", "actor", "remote_address"),
        within=60,
        action=("file", "share"),
    ),
    "directory": View(
        facts={
            **_ACTOR,
            "object": fact("ObjectName"),
            "object_type": fact("ObjectType"),
            "properties": fact("Properties", form="lower"),
            "rights": fact("AccessMask", form="lower"),
        },
        by=("actor", "logon_id"),
        within=60,
        action=("properties",),
    ),
    "transfer": View(
        facts={
            "job": fact("jobTitle", "name", "JobTitle"),
            "url": fact("url", "Url", "RemoteName"),
            "file": fact("LocalName", form="path"),
            "image": fact("processPath", form="path"),
            "image_name": fact("processPath", form="name"),
            "actor": fact("jobOwner", "User", form="account"),
        },
        by=("job",),
        within=120,
        action=("url", "job"),
    ),
}  # fmt: skip


def view(of: str) -> View:
    """The view of a name.

    Raises:
        DomainError: There is none of that name.
    """
    if of not in VIEWS:
        raise DomainError(f"no view is called {of!r}", hint=f"use {', '.join(sorted(VIEWS))}")
    return VIEWS[of]


def read_rule(told: object) -> FactRule:
    """A rule as a hunt writes it: a field, a list of fields, or from/match/form/joined/text.

    Raises:
        DomainError: It names a form that does not exist, or reads nothing.
    """
    if isinstance(told, str):
        rule = FactRule(fields=(told,))
    elif isinstance(told, Mapping):
        source = told.get("from", ())
        fields = (source,) if isinstance(source, str) else tuple(str(item) for item in source)
        rule = FactRule(
            fields=fields,
            match=str(told.get("match", "")),
            form=str(told.get("form", "")),
            joined=bool(told.get("joined", False)),
            text=str(told.get("text", "")),
        )
    elif isinstance(told, Sequence):
        rule = FactRule(fields=tuple(str(item) for item in told))
    else:
        raise DomainError(f"a fact is a field, a list of fields or from: ..., not {told!r}")
    if not rule.fields and not rule.text:
        raise DomainError("a fact needs a field (from) or a text")
    form(rule.form)
    return rule
