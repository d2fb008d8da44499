"""What is planted in a lab: intrusions, gaps, and benign things that look odd."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from huntonce.models.lab.catalogue import BACKUP_PATH
from huntonce.models.lab.company import (
    COMMAND_LINE,
    SCHEDULER_CHANNEL,
    SYSMON,
    TASK_AUDITING,
    Company,
)
from huntonce.models.lab.events import EventKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Intrusion:
    """A planted intrusion.

    Attributes:
        hosts: Every host with events of it, its source first.
        first, last: Of its events in the window.
        events: All of its events that arrive, in order of time.
    """

    name: str
    technique_id: str
    task_name: str
    hosts: tuple[str, ...]
    accounts: tuple[str, ...]
    first: datetime
    last: datetime
    events: tuple[EventKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedGap:
    """Hosts on which a trace cannot be seen.

    Attributes:
        name: Source that would mend it, one of ``company.SOURCES``.
        atom_id: Evidence atom, as content/evidence names it.
        kind: A value of ``GapKind``.
    """

    name: str
    atom_id: str
    kind: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenignTrap:
    """A task that looks odd and is fine; ``task_name`` is an fnmatch pattern of its path."""

    task_name: str
    looks: str
    fine_because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabTruth:
    """Everything that is known of a lab beforehand."""

    intrusions: tuple[Intrusion, ...]
    gaps: tuple[PlantedGap, ...]
    traps: tuple[BenignTrap, ...]

    @property
    def malicious(self) -> frozenset[EventKey]:
        """Keys of all malicious events."""
        return frozenset(key for intrusion in self.intrusions for key in intrusion.events)


_ATOMS = {
    TASK_AUDITING: ("security/4698", "security/4698-subject"),
    COMMAND_LINE: ("security/4688-commandline",),
    SCHEDULER_CHANNEL: ("taskscheduler/106", "taskscheduler/200"),
    SYSMON: (
        "sysmon/1-child",
        "sysmon/1-commandline",
        "sysmon/1-user",
        "sysmon/11-tasks",
        "sysmon/12-13-taskcache",
    ),
}

TRAPS = (
    BenignTrap(
        task_name="\\OneDrive Standalone Update Task-*",
        looks="user-writable path; author Microsoft, registered by a user",
        fine_because="OneDrive registers it so for each user, on many hosts over many days",
    ),
    BenignTrap(
        task_name="\\KonvoyUpdateTaskUser-*",
        looks="runs from AppData\\Roaming, at logon",
        fine_because="a meeting client's own updater, on many hosts, no interpreter",
    ),
    BenignTrap(
        task_name="\\MicrosoftEdgeUpdateTaskMachine*",
        looks="SYSTEM, new GUID in the name, registered at any hour, no author",
        fine_because="registered by SYSTEM for a program under Program Files",
    ),
    BenignTrap(
        task_name="\\GoogleSystem\\GoogleUpdater\\*",
        looks="SYSTEM, new GUID in the name, registered outside the change window",
        fine_because="registered by SYSTEM for a program under Program Files",
    ),
    BenignTrap(
        task_name="\\PrintHub Status Monitor Update",
        looks="SYSTEM runs a program in ProgramData; author is not the subject",
        fine_because="put there by the installer as SYSTEM, on many hosts",
    ),
    BenignTrap(
        task_name="\\SWD\\*",
        looks="the same PowerShell task as SYSTEM on dozens of hosts within minutes",
        fine_because="the deployment account does it in the change window, from its server",
    ),
    BenignTrap(
        task_name="\\OM Inventory Report",
        looks="a script as SYSTEM on many hosts; author is not the subject",
        fine_because="group policy: written by SYSTEM in the change window, from SYSVOL",
    ),
    BenignTrap(
        task_name=BACKUP_PATH,
        looks="updated by night, over the network, as SYSTEM",
        fine_because="by the backup account from the backup server (but for one planted change)",
    ),
    BenignTrap(
        task_name="\\Wardline\\Inventory Scan",
        looks="updated several times a day",
        fine_because="the monitoring agent moves its own next start",
    ),
    BenignTrap(
        task_name="\\dev\\*",
        looks="an ordinary user makes tasks with PowerShell and cmd, from AppData too",
        fine_because="a developer, on his own workstation, as himself, in working hours",
    ),
    BenignTrap(
        task_name="\\tmp restart spooler",
        looks="cmd.exe as SYSTEM, once, at times out of hours",
        fine_because="made by an administrator on a server",
    ),
)


def planted_gaps(company: Company) -> tuple[PlantedGap, ...]:
    """The gaps of a company, one an atom; none for a source that is mended from the start."""
    gaps: list[PlantedGap] = []
    for source, atoms in _ATOMS.items():
        blind = tuple(h.name for h in company.hosts if company.since(h, source) > 0)
        if not blind:
            continue
        gaps += [
            PlantedGap(name=source, atom_id=atom, kind=_kind(source, blind, company), hosts=blind)
            for atom in atoms
        ]
    return tuple(gaps)


def _kind(source: str, blind: Iterable[str], company: Company) -> str:
    if source == COMMAND_LINE:
        return "missing_field"
    everywhere = len(set(blind)) == len(company.hosts)
    return "no_source" if everywhere else "partial_population"
