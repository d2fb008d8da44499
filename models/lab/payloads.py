"""The data of each kind of event the lab has.

Field names follow Microsoft's descriptions of Security 4624-4702 and of Sysmon 15.
"""

from collections.abc import Mapping
from typing import NamedTuple

from huntonce.models.lab.clockwork import moment
from huntonce.models.lab.events import (
    HIGH,
    LOW,
    MEDIUM,
    NETWORK,
    SERVICE,
    SYSTEM_LEVEL,
    Data,
    Process,
    Session,
    is_builtin,
)
from huntonce.models.lab.people import Account
from huntonce.models.lab.programs import hashes_of, version_of

FILE_CREATED = 11
NULL_GUID = "00000000-0000-0000-0000-000000000000"
LEVEL_WORDS = {LOW: "Low", MEDIUM: "Medium", HIGH: "High", SYSTEM_LEVEL: "System"}
_PRIVILEGES = (
    "SeSecurityPrivilege",
    "SeBackupPrivilege",
    "SeRestorePrivilege",
    "SeTakeOwnershipPrivilege",
    "SeDebugPrivilege",
    "SeSystemEnvironmentPrivilege",
    "SeLoadDriverPrivilege",
    "SeImpersonatePrivilege",
    "SeDelegateSessionUserImpersonatePrivilege",
)


def sysmon_time(at: int) -> str:
    """2026-11-12 01:13:05.120."""
    return moment(at).replace(tzinfo=None).isoformat(" ", "milliseconds")


def _subject(session: Session) -> Data:
    account = session.account
    return {
        "SubjectUserSid": account.sid,
        "SubjectUserName": account.name,
        "SubjectDomainName": account.domain,
        "SubjectLogonId": session.logon_id,
    }


def process_created(child: Process, parent: Process, command_line: str) -> Data:
    """Security 4688; ``command_line`` is empty where the policy does not record it."""
    owner, creator = child.session, parent.session
    same = owner is creator
    target = owner.account
    elevated = owner.elevated and not is_builtin(owner)
    return {
        **_subject(creator),
        "NewProcessId": hex(child.pid),
        "NewProcessName": child.image,
        "TokenElevationType": "%%1937" if elevated else "%%1936",
        "ProcessId": hex(parent.pid),
        "CommandLine": command_line,
        "TargetUserSid": "S-1-0-0" if same else target.sid,
        "TargetUserName": "-" if same else target.name,
        "TargetDomainName": "-" if same else target.domain,
        "TargetLogonId": "0x0" if same else owner.logon_id,
        "ParentProcessName": parent.image,
        "MandatoryLabel": f"S-1-16-{child.level}",
    }


def sysmon_process(child: Process, parent: Process, at: int) -> Data:
    """Sysmon 1."""
    owner = child.session
    version = version_of(child.image)
    return {
        "RuleName": "-",
        "UtcTime": sysmon_time(at),
        "ProcessGuid": child.guid,
        "ProcessId": child.pid,
        "Image": child.image,
        "FileVersion": version.version,
        "Description": version.description,
        "Product": version.product,
        "Company": version.company,
        "OriginalFileName": version.original,
        "CommandLine": child.command,
        "CurrentDirectory": "C:\\Windows\\system32\\",
        "User": user_of(owner),
        "LogonGuid": owner.guid,
        "LogonId": owner.logon_id,
        "TerminalSessionId": owner.terminal,
        "IntegrityLevel": LEVEL_WORDS[child.level],
        "Hashes": hashes_of(child.image),
        "ParentProcessGuid": parent.guid,
        "ParentProcessId": parent.pid,
        "ParentImage": parent.image,
        "ParentCommandLine": parent.command,
        "ParentUser": user_of(parent.session),
    }


_BUILTIN_NAMES = {
    "S-1-5-18": "NT AUTHORITY\\SYSTEM",
    "S-1-5-19": "NT AUTHORITY\\LOCAL SERVICE",
    "S-1-5-20": "NT AUTHORITY\\NETWORK SERVICE",
}


def user_of(session: Session) -> str:
    """The account as Sysmon spells it."""
    return _BUILTIN_NAMES.get(session.account.sid) or session.account.full


def sysmon_object(event_id: int, process: Process, at: int, event_type: str, **rest: str) -> Data:
    """Sysmon 11 (file created), 12 (key created or deleted) or 13 (value set)."""
    data: Data = {"RuleName": "-"}
    if event_id != FILE_CREATED:  # file events have no type
        data["EventType"] = event_type
    data["UtcTime"] = sysmon_time(at)
    data["ProcessGuid"] = process.guid
    data["ProcessId"] = process.pid
    data["Image"] = process.image
    data.update(rest)
    data["User"] = user_of(process.session)
    return data


class Origin(NamedTuple):
    """Where a logon comes from, and through which process and package."""

    ip: str
    port: int
    workstation: str
    logon_process: str
    package: str
    process: Process | None


def logged_on(session: Session, machine: Session, origin: Origin) -> Data:
    """Security 4624; ``machine`` is the host's own SYSTEM session."""
    account = session.account
    over_network = session.kind == NETWORK
    nobody: Data = {
        "SubjectUserSid": "S-1-0-0",
        "SubjectUserName": "-",
        "SubjectDomainName": "-",
        "SubjectLogonId": "0x0",
    }
    ntlm = origin.package == "NTLM"
    return {
        **(nobody if over_network else _subject(machine)),
        "TargetUserSid": account.sid,
        "TargetUserName": "SYSTEM" if account.sid == "S-1-5-18" else account.name,
        "TargetDomainName": "NT AUTHORITY" if account.sid == "S-1-5-18" else account.domain,
        "TargetLogonId": session.logon_id,
        "LogonType": session.kind,
        "LogonProcessName": origin.logon_process,
        "AuthenticationPackageName": origin.package,
        "WorkstationName": origin.workstation,
        "LogonGuid": NULL_GUID if ntlm or session.kind == SERVICE else session.guid,
        "TransmittedServices": "-",
        "LmPackageName": "NTLM V2" if ntlm else "-",
        "KeyLength": 128 if ntlm else 0,
        "ProcessId": hex(origin.process.pid) if origin.process else "0x0",
        "ProcessName": origin.process.image if origin.process else "-",
        "IpAddress": origin.ip,
        "IpPort": str(origin.port) if origin.port else "-",
        "ImpersonationLevel": "%%1833",
        "RestrictedAdminMode": "-",
        "TargetOutboundUserName": "-",
        "TargetOutboundDomainName": "-",
        "VirtualAccount": "%%1843",
        "TargetLinkedLogonId": "0x0",
        "ElevatedToken": "%%1842" if session.elevated else "%%1843",
    }


def privileged(session: Session) -> Data:
    """Security 4672."""
    subject = _subject(session)
    if session.account.sid == "S-1-5-18":
        subject |= {"SubjectUserName": "SYSTEM", "SubjectDomainName": "NT AUTHORITY"}
    return {**subject, "PrivilegeList": "\r\n\t\t\t".join(_PRIVILEGES)}


def logged_off(session: Session) -> Data:
    """Security 4634."""
    return {
        "TargetUserSid": session.account.sid,
        "TargetUserName": session.account.name,
        "TargetDomainName": session.account.domain,
        "TargetLogonId": session.logon_id,
        "LogonType": session.kind,
    }


def explicit_credentials(by: Process, account: Account, server: str) -> Data:
    """Security 4648: a process used another account's password."""
    return {
        **_subject(by.session),
        "LogonGuid": NULL_GUID,
        "TargetUserName": account.name,
        "TargetDomainName": account.domain,
        "TargetLogonGuid": NULL_GUID,
        "TargetServerName": server,
        "TargetInfo": server,
        "ProcessId": hex(by.pid),
        "ProcessName": by.image,
        "IpAddress": "-",
        "IpPort": "-",
    }


def task_changed(
    session: Session, name: str, content: Mapping[str, str], client: Process | None, fqdn: str
) -> Data:
    """Security 4698-4702, version 1.

    ``content`` is the field that holds the XML, if any. A registration over the network has no
    client process: all three ids are 0.
    """
    parent = client.parent if client else None
    return {
        **_subject(session),
        "TaskName": name,
        **content,
        "ClientProcessStartKey": (client.pid << 16 | 1) + (14 << 48) if client else 0,
        "ClientProcessId": client.pid if client else 0,
        "ParentProcessId": parent.pid if parent else 0,
        "RpcCallClientLocality": 0,
        "FQDN": fqdn,
    }
