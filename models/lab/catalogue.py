"""Benign scheduled tasks: those of Windows, of products, and of people who look after hosts."""

from huntonce.models.lab.company import DOMAIN
from huntonce.models.lab.people import Account
from huntonce.models.lab.tasks import (
    HIGHEST,
    INTERACTIVE_TOKEN,
    PASSWORD,
    Task,
    at_logon,
    daily,
    every,
    once,
)

MICROSOFT = "Microsoft Corporation"
LONG_AGO = "1992-05-01T04:00:00"
SPRING = "2026-03-02T03:00:00"
EDGE_UPDATE = "C:\\Program Files (x86)\\Microsoft\\EdgeUpdate\\MicrosoftEdgeUpdate.exe"
GOOGLE_UPDATER = "C:\\Program Files (x86)\\Google\\GoogleUpdater\\131.0.6776.0\\updater.exe"
BACKUP_AGENT = "C:\\Program Files\\Arcavault\\Agent\\avagent.exe"
WARDLINE_SCAN = "C:\\Program Files\\Wardline\\wlscan.exe"
PRINTHUB_UPDATE = "C:\\ProgramData\\PrintHub\\phupdate.exe"
ADOBE_ARM = "C:\\Program Files (x86)\\Common Files\\Adobe\\ARM\\1.0\\AdobeARM.exe"
POWERSHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"

WARDLINE_PATH = "\\Wardline\\Inventory Scan"
BACKUP_PATH = "\\Arcavault\\Nightly Catalog Sync"
INVENTORY_PATH = "\\OM Inventory Report"


def local_app_data(user: Account) -> str:
    """Where a user's own programs lie."""
    return f"C:\\Users\\{user.name}\\AppData\\Local"


def onedrive(user: Account) -> Task:
    """Registered by OneDrive in the user's name; the author is its maker."""
    return Task(
        path=f"\\OneDrive Standalone Update Task-{user.sid}",
        author=MICROSOFT,
        command="%localappdata%\\Microsoft\\OneDrive\\OneDriveStandaloneUpdater.exe",
        user_id=user.full,
        logon_type=INTERACTIVE_TOKEN,
        triggers=every(LONG_AGO, "P1D"),
        limit="P1D",
    )


def konvoy(user: Account) -> Task:
    """A meeting client that lives in the user's profile."""
    return Task(
        path=f"\\KonvoyUpdateTaskUser-{user.sid}",
        author=user.full,
        command="%appdata%\\Konvoy\\bin\\KonvoyUpdate.exe",
        arguments="--check --quiet",
        user_id=user.full,
        logon_type=INTERACTIVE_TOKEN,
        triggers=at_logon(user.full) + every(SPRING, "PT4H"),
    )


def edge(kind: str, number: str) -> Task:
    """Edge's updater: ``Core`` or ``UA``, with a GUID of the installation; no author."""
    return Task(
        path=f"\\MicrosoftEdgeUpdateTaskMachine{kind}{{{number}}}",
        command=EDGE_UPDATE,
        arguments="/c" if kind == "Core" else "/ua /installsource scheduler",
        run_level=HIGHEST,
        triggers=(at_logon() if kind == "Core" else "") + daily(SPRING),
        description="Keeps your Microsoft software up to date.",
    )


def google(number: str) -> Task:
    """Chrome's updater, for the whole machine."""
    return Task(
        path=f"\\GoogleSystem\\GoogleUpdater\\GoogleUpdaterTaskSystem131.0.6776.0{{{number}}}",
        author=f"{DOMAIN}\\SYSTEM",
        command=GOOGLE_UPDATER,
        arguments="--wake --system",
        run_level=HIGHEST,
        triggers=every(SPRING, "PT1H"),
        description="GoogleUpdater Task System 131.0.6776.0",
        schema="1.3",
    )


def adobe() -> Task:
    """Runs as whoever is logged on; registered by the installer."""
    return Task(
        path="\\Adobe Acrobat Update Task",
        author="Adobe Systems Incorporated",
        command=ADOBE_ARM,
        user_id="S-1-5-4",
        triggers=at_logon() + daily(SPRING),
        description="This task keeps your Adobe Reader and Acrobat applications up to date",
    )


def printhub() -> Task:
    """A printer driver's updater, installed under ProgramData."""
    return Task(
        path="\\PrintHub Status Monitor Update",
        author="PrintHub Software",
        command=PRINTHUB_UPDATE,
        arguments="/silent /source:task",
        triggers=at_logon() + daily(SPRING),
    )


def wardline(start: str) -> Task:
    """The monitoring agent, which moves its own next start all the time."""
    return Task(
        path=WARDLINE_PATH,
        author="Wardline Software",
        command=WARDLINE_SCAN,
        arguments="/full /quiet",
        run_level=HIGHEST,
        triggers=every(start, "PT6H"),
    )


def backup(author: Account, start: str) -> Task:
    """The backup agent's nightly job, registered from the backup server."""
    return Task(
        path=BACKUP_PATH,
        author=author.full,
        command=BACKUP_AGENT,
        arguments="--catalog --job nightly",
        run_level=HIGHEST,
        triggers=daily(start),
        date=SPRING,
    )


def license_check(start: str) -> Task:
    """Windows' own: the licensing service moves its restart."""
    return Task(
        path="\\Microsoft\\Windows\\SoftwareProtectionPlatform\\SvcRestartTask",
        author="$(@%systemroot%\\system32\\sppc.dll,-200)",
        command="%systemroot%\\system32\\sc.exe",
        arguments="start sppsvc",
        user_id="S-1-5-20",
        triggers=daily(start),
        schema="1.6",
        hidden=True,
        limit="PT0S",
    )


def windows_update(start: str) -> Task:
    """Windows' own: the update orchestrator moves its scan."""
    return Task(
        path="\\Microsoft\\Windows\\UpdateOrchestrator\\Schedule Scan",
        author=MICROSOFT,
        command="%systemroot%\\system32\\usoclient.exe",
        arguments="StartScan",
        triggers=once(start),
        schema="1.4",
    )


def defender(start: str) -> Task:
    """Windows' own: the scheduled scan of Defender."""
    return Task(
        path="\\Microsoft\\Windows\\Windows Defender\\Windows Defender Scheduled Scan",
        author=MICROSOFT,
        command="C:\\Program Files\\Windows Defender\\MpCmdRun.exe",
        arguments="Scan -ScheduleJob -ScanTrigger 55 -IdleScheduledJob",
        run_level=HIGHEST,
        triggers=daily(start),
        schema="1.4",
    )


def deployment(author: Account, package: str, start: str, registered: str) -> Task:
    """One step of the software deployment: a script from its cache, once, as SYSTEM."""
    return Task(
        path=f"\\SWD\\{package}",
        author=author.full,
        command="powershell.exe",
        arguments=(
            f"-NoProfile -ExecutionPolicy Bypass -File C:\\Windows\\ccmcache\\{package[-2:]}"
            "\\install.ps1"
        ),
        run_level=HIGHEST,
        triggers=once(start),
        date=registered,
    )


def inventory(author: Account) -> Task:
    """Comes by group policy: written by SYSTEM, authored by the administrator of the policy."""
    return Task(
        path=INVENTORY_PATH,
        author=author.full,
        command="C:\\Windows\\System32\\cscript.exe",
        arguments="//B \\\\ad.ostermark.example\\SYSVOL\\ad.ostermark.example\\scripts\\inv.vbs",
        triggers=daily("2026-01-07T06:30:00"),
        date="2026-01-07T09:12:44",
    )


def own(
    author: Account, path: str, command: str, arguments: str, start: str, *, as_system: bool
) -> Task:
    """What an administrator or a developer makes by hand."""
    return Task(
        path=path,
        author=author.full,
        command=command,
        arguments=arguments,
        user_id="S-1-5-18" if as_system else author.full,
        logon_type="" if as_system else PASSWORD if author.is_admin else INTERACTIVE_TOKEN,
        run_level=HIGHEST if author.is_admin else "LeastPrivilege",
        triggers=daily(start),
        date=start,
    )
