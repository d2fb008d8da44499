"""Three planted intrusions: spread by night over hosts, one quiet host, a task turned to evil."""

import base64
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from huntonce.models.lab import scheduler
from huntonce.models.lab.catalogue import BACKUP_PATH, MICROSOFT, POWERSHELL
from huntonce.models.lab.clockwork import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    at_local,
    dice,
    is_working_day,
    local_text,
    moment,
)
from huntonce.models.lab.company import CHANGE_WINDOW, SYSMON, VPN_ADDRESS, Company, Host
from huntonce.models.lab.events import NETWORK, REMOTE_DESKTOP, SYSMON_CHANNEL, Session
from huntonce.models.lab.life import OFFICE, arrive, attendance
from huntonce.models.lab.machine import SYS32, Act, Machine
from huntonce.models.lab.payloads import Origin, explicit_credentials, sysmon_object, sysmon_time
from huntonce.models.lab.people import SUPPLIER, Account
from huntonce.models.lab.rollouts import developer_host
from huntonce.models.lab.tasks import INTERACTIVE_TOKEN, Task, at_logon, daily

TECHNIQUE = "T1053.005"
NIGHT_HOUR = 2 + 13 / 60
TRIGGER_HOUR = 2.75
DROP = "C:\\Users\\Public\\Libraries"
SPREAD = 5
LATERAL_PATH = "\\WinSync Health Update"
QUIET_PATH = "\\Office Background Sync Agent"
TURNED_ACTION = ("wscript.exe", "//B //E:jscript C:\\Windows\\Temp\\~avc41.tmp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A planted intrusion as acts on hosts.

    Attributes:
        acts: Host name, moment in microseconds, act.
        overnight: Host and day on which its user does not log off.
    """

    name: str
    task_name: str
    hosts: tuple[str, ...]
    accounts: tuple[str, ...]
    acts: tuple[tuple[str, int, Act], ...]
    overnight: tuple[tuple[str, date], ...] = ()


def campaigns(company: Company) -> tuple[Campaign, ...]:
    """The planted intrusions of a company; none where its spec wants none."""
    if not company.spec.intrusions:
        return ()
    return (_lateral(company), _quiet(company), _turned(company))


def _desks(company: Company, group: str, *, sysmon: bool | None = None) -> list[Host]:
    """Hosts of a group that are on at night, in an order of the seed; any where none is."""
    reserved = {developer_host(company).name, *(company.admin_desk(a).name for a in company.admins)}
    pool = [h for h in company.group(group) if h.name not in reserved] or [*company.group(group)]
    awake = [h for h in pool if h.always_on] or pool
    fitting = [h for h in awake if sysmon is None or (SYSMON in h.logs) == sysmon] or awake
    dice(company.spec.seed, "victims", group, sysmon).shuffle(fitting)
    return fitting


# ------------------------------------------------------------------------- 1: lateral spread


def lateral_night(company: Company) -> date:
    """A working night outside the change window, some days before the end."""
    days = company.spec.calendar
    candidates = days[: max(1, len(days) - 3)]
    for day in reversed(candidates):
        evening = moment(at_local(day - timedelta(days=1), 22.5))
        night = moment(at_local(day, NIGHT_HOUR))
        in_window = CHANGE_WINDOW.holds(night) or CHANGE_WINDOW.holds(evening)
        if is_working_day(day) and not in_window:
            return day
    return candidates[-1]


def _lateral(company: Company) -> Campaign:
    offices = _desks(company, "hamburg", sysmon=True)
    night = lateral_night(company)
    eve = night - timedelta(days=1)
    at_work = (host for host in offices[:-1] if attendance(company, host, eve))
    source = next(at_work, offices[0])
    server = _plain_server(company)
    targets = (
        offices[-1],
        _desks(company, "hamburg", sysmon=False)[0],
        _desks(company, "kassel", sysmon=False)[0],
        _desks(company, "brno")[0],
        server,
    )
    stolen = _desks(company, "kassel")[-1].user
    if stolen is None:
        stolen = company.accounts["Administrator"]
    start = at_local(night, NIGHT_HOUR)
    rng = dice(company.spec.seed, "lateral")
    acts: list[tuple[str, int, Act]] = [(source.name, start - 3 * MINUTE, _prompt)]
    at = start + int(rng.random() * 20 * SECOND)
    for target in targets:
        acts.append((source.name, at, partial(_create_on, target, stolen)))
        arrival = at + int((0.3 + rng.random()) * SECOND)
        acts.append((target.name, arrival, partial(_created_from, source, stolen)))
        runs = (day for day in company.spec.calendar if day >= night)
        acts += [
            (target.name, at_local(day, TRIGGER_HOUR) + int(rng.random() * SECOND), _implant)
            for day in runs
        ]
        at += int((90 + rng.random() * 60) * SECOND)
    user = source.user.full if source.user else ""
    return Campaign(
        name="lateral-night",
        task_name=LATERAL_PATH,
        hosts=(source.name, *(t.name for t in targets)),
        accounts=(stolen.full, user),
        acts=tuple(acts),
        overnight=((source.name, eve),),
    )


def _plain_server(company: Company) -> Host:
    """The last server that is neither a domain controller nor the one of the turned task."""
    servers = company.group("server")
    turned = company.server("APP")
    plain = [h for h in servers if "-DC-" not in h.name and h is not turned]
    return (plain or servers)[-1]


def _lateral_arguments() -> str:
    script = f"& '{DROP}\\wsh.ps1'"
    encoded = base64.b64encode(script.encode("utf-16-le")).decode()
    return f"-nop -w hidden -enc {encoded}"


def _prompt(machine: Machine) -> None:
    """The intruder's shell on the source, in the session its user left open."""
    if machine.shell is None and machine.host.user is not None:
        arrive(machine.host.user, machine)
    shell = machine.shell or machine.running["winlogon"]
    machine.running["intruder"] = machine.start(
        SYS32 + "cmd.exe", "C:\\Windows\\system32\\cmd.exe /Q", shell
    )


def _create_on(target: Host, stolen: Account, machine: Machine) -> None:
    prompt = machine.running["intruder"]
    line = (
        f"schtasks  /create /s {target.name} /u {stolen.full} /p Herbst2026! /ru SYSTEM "
        f'/sc DAILY /st 02:45 /tn "{LATERAL_PATH[1:]}" '
        f'/tr "powershell.exe {_lateral_arguments()}" /f'
    )
    tool = machine.start(SYS32 + "schtasks.exe", line, prompt)
    machine.audit(4648, explicit_credentials(tool, stolen, target.fqdn))


def _created_from(source: Host, stolen: Account, machine: Machine) -> None:
    origin = Origin(
        source.ip, 49152 + machine.rng.getrandbits(13), source.name, "NtLmSsp ", "NTLM", None
    )
    session = machine.logon(stolen, NETWORK, origin, elevated=True)
    if machine.has_sysmon:
        root = machine.running["system"]
        dropped = {
            "TargetFilename": f"{DROP}\\wsh.ps1",
            "CreationUtcTime": sysmon_time(machine.clock),
        }
        data = sysmon_object(11, root, machine.clock, "", **dropped)
        machine.emit(SYSMON_CHANNEL, 11, data, machine.running["sysmon"])
    today = local_text(machine.clock)
    task = Task(
        path=LATERAL_PATH,
        author=stolen.full,
        command="powershell.exe",
        arguments=_lateral_arguments(),
        triggers=daily(f"{today[:10]}T02:45:00"),
        date=today,
    )
    scheduler.register(machine, task, session)
    machine.after(14, partial(_log_off, session))


def _log_off(session: Session, machine: Machine) -> None:
    machine.logoff(session)


def _implant(machine: Machine) -> None:
    command = f"powershell.exe {_lateral_arguments()}"
    script = scheduler.run(machine, LATERAL_PATH, POWERSHELL, command, machine.system, 300)
    machine.clock += 2 * SECOND
    image = f"{DROP}\\wshelper.exe"
    machine.start(image, f"{image} -k", script)


# --------------------------------------------------------------------------- 2: one quiet host


def _quiet(company: Company) -> Campaign:
    host = _desks(company, "hamburg", sysmon=False)[-1]
    at = _at_the_desk(company, host)
    user = host.user
    return Campaign(
        name="quiet-user",
        task_name=QUIET_PATH,
        hosts=(host.name,),
        accounts=(user.full,) if user else (),
        acts=((host.name, at, _macro),),
    )


def _at_the_desk(company: Company, host: Host) -> int:
    """A moment at which the user is there, with days left for the task to run."""
    days = company.spec.calendar
    for day in reversed(days[: max(1, len(days) - 5)]):
        at_work = attendance(company, host, day)
        if at_work is not None:
            return at_work.arrives + int(5.2 * HOUR)
    return at_local(days[0], 14.4)


def _macro(machine: Machine) -> None:
    """A document runs a DLL, which registers a task in its user's name and its maker's."""
    user = machine.host.user
    if machine.shell is None and user is not None:
        arrive(user, machine)
    desk, shell = machine.desk, machine.shell
    if desk is None or shell is None:
        return
    home = f"C:\\Users\\{desk.account.name}"
    word = OFFICE + "WINWORD.EXE"
    document = machine.start(word, f'"{word}" /n "{home}\\Downloads\\Bewerbung_Maler.docm"', shell)
    machine.clock += 11 * SECOND
    library = f"{home}\\AppData\\Roaming\\Microsoft\\Crypto\\kbdsync.dll"
    tool = machine.start(SYS32 + "rundll32.exe", f"rundll32.exe {library},Start", document)
    page = f"{home}\\AppData\\Roaming\\Microsoft\\Office\\Recent\\sync.hta"
    task = Task(
        path=QUIET_PATH,
        author=MICROSOFT,
        command="mshta.exe",
        arguments=f'"{page}"',
        user_id=desk.account.full,
        logon_type=INTERACTIVE_TOKEN,
        triggers=at_logon(desk.account.full),
        hidden=True,
        description="Keeps Office documents in sync.",
    )
    scheduler.register(machine, task, desk, tool)
    machine.at_logon.append((machine.mark, partial(_page, page)))


def _page(page: str, machine: Machine) -> None:
    if machine.desk is not None:
        command = f'mshta.exe "{page}"'
        scheduler.run(machine, QUIET_PATH, SYS32 + "mshta.exe", command, machine.desk, 900)


# ------------------------------------------------------------------------ 3: a task turned


def _turned(company: Company) -> Campaign:
    host = company.server("APP")
    days = company.spec.calendar
    free = [d for d in days[len(days) // 3 :] if not is_working_day(d)]
    day = (free or days)[0]
    at = at_local(day, 21.7)
    supplier = company.accounts[SUPPLIER]
    acts: list[tuple[str, int, Act]] = [(host.name, at, _turn)]
    rng = dice(company.spec.seed, "turned")
    acts += [
        (host.name, at_local(later, 2.9) + int(rng.random() * SECOND), _turned_runs)
        for later in days
        if at_local(later, 2.9) > at
    ]
    return Campaign(
        name="turned-task",
        task_name=BACKUP_PATH,
        hosts=(host.name,),
        accounts=(supplier.full,),
        acts=tuple(acts),
    )


def _turn(machine: Machine) -> None:
    """By remote desktop, out of hours, the backup job gets another action."""
    company = machine.company
    supplier = company.accounts[SUPPLIER]
    origin = Origin(
        VPN_ADDRESS,
        0,
        machine.host.name,
        "User32 ",
        "Negotiate",
        machine.running["profile"],
    )
    session = machine.logon(supplier, REMOTE_DESKTOP, origin, elevated=True)
    explorer = "C:\\Windows\\explorer.exe"
    shell = machine.start(
        explorer, "C:\\Windows\\Explorer.EXE", machine.running["winlogon"], session
    )
    prompt = machine.start(SYS32 + "cmd.exe", '"C:\\Windows\\system32\\cmd.exe"', shell)
    machine.clock += 47 * SECOND
    program, arguments = TURNED_ACTION
    line = f'schtasks  /change /tn "{BACKUP_PATH}" /tr "{program} {arguments}" /ru SYSTEM'
    tool = machine.start(SYS32 + "schtasks.exe", line, prompt)
    author = company.accounts["svc-backup"]
    task = Task(
        path=BACKUP_PATH,
        author=author.full,
        command=program,
        arguments=arguments,
        run_level="HighestAvailable",
        triggers=daily(f"{local_text(machine.clock + DAY)[:10]}T02:54:00"),
        date="2026-03-02T03:00:00",
    )
    scheduler.update(machine, task, session, tool)
    machine.hijacked.add(BACKUP_PATH)
    machine.after(160, partial(_log_off, session))


def _turned_runs(machine: Machine) -> None:
    program, arguments = TURNED_ACTION
    image = SYS32 + program
    scheduler.run(machine, BACKUP_PATH, image, f"{program} {arguments}", machine.system, 60)
