"""What people and systems do to many hosts, or by hand: deployments, policies, odd jobs."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from random import Random

from huntonce.models.lab import catalogue, scheduler
from huntonce.models.lab.clockwork import (
    HOUR,
    MINUTE,
    SECOND,
    at_local,
    dice,
    is_working_day,
    local_text,
    pick,
)
from huntonce.models.lab.company import CHANGE_WINDOW, VPN_ADDRESS, Company, Host
from huntonce.models.lab.events import REMOTE_DESKTOP, Session
from huntonce.models.lab.life import attendance, remote_desktop
from huntonce.models.lab.machine import SYS32, Act, Machine
from huntonce.models.lab.payloads import Origin
from huntonce.models.lab.people import SUPPLIER, Account
from huntonce.models.lab.tasks import Task

Plan = Mapping[str, Sequence[tuple[int, Act]]]
THURSDAY = 3
PACKAGES = (
    "Install Reader 24.4 pkg-3f",
    "Install MES Client 8.2 pkg-41",
    "Fix SAP GUI 8000 pkg-42",
    "Install PrintHub 7.2 pkg-4a",
    "Update Runtime 8.0.11 pkg-4c",
    "Install Konvoy 6.1 pkg-50",
)
ODD_JOBS: Sequence[tuple[str, str, str, bool]] = (
    ("\\Cleanup IIS logs", "cmd.exe", "/c C:\\Scripts\\iis-cleanup.cmd", True),
    ("\\Reindex orders", "powershell.exe", "-NoProfile -File D:\\Maintenance\\reindex.ps1", False),
    ("\\tmp restart spooler", "cmd.exe", "/c net stop spooler && net start spooler", True),
    ("\\Export certs", "powershell.exe", "-NoProfile -File C:\\Scripts\\cert-report.ps1", False),
    ("\\Robocopy Linie 4", "C:\\Scripts\\robocopy-l4.cmd", "", True),
    ("\\DB check", "powershell.exe", "-File D:\\Maintenance\\checkdb.ps1 -Verbose", True),
    ("\\Reboot after patch", "C:\\Windows\\System32\\shutdown.exe", "/r /t 60", True),
)
DEVELOPER_JOBS: Sequence[tuple[str, str, str]] = (
    (
        "\\dev\\nightly build",
        "powershell.exe",
        "-ExecutionPolicy Bypass -File C:\\dev\\nightly.ps1",
    ),
    ("\\dev\\sync wheels", "{local}\\Programs\\Python\\Python312\\python.exe", "C:\\dev\\sync.py"),
    ("\\dev\\clean temp", "cmd.exe", "/c del /q %TEMP%\\pytest-*"),
    ("\\dev\\warm cache", "powershell.exe", "-NoProfile -File C:\\Users\\{user}\\src\\warm.ps1"),
)


def plan_day(company: Company, day: date) -> Plan:
    """Acts of a day by host: a function of company and day."""
    rng = dice(company.spec.seed, "rollouts", day)
    plan: dict[str, list[tuple[int, Act]]] = {}
    if day.weekday() in CHANGE_WINDOW.days:
        _deploy(company, rng, day, plan)
    if day == policy_day(company):
        _policy(company, rng, day, plan)
    _odd_jobs(company, rng, day, plan)
    _developer(company, rng, day, plan)
    return plan


def _put(plan: dict[str, list[tuple[int, Act]]], host: Host, at: int, act: Act) -> None:
    plan.setdefault(host.name, []).append((at, act))


# ------------------------------------------------------------------- software deployment


def _deploy(
    company: Company, rng: Random, day: date, plan: dict[str, list[tuple[int, Act]]]
) -> None:
    """The same SYSTEM task on dozens of hosts within minutes, inside the change window."""
    week = day.isocalendar().week * 2 + (day.weekday() == THURSDAY)
    package = PACKAGES[week % len(PACKAGES)]
    group = ("hamburg", "kassel", "brno", "hamburg")[week % 4]
    awake = [host for host in company.group(group) if host.always_on]
    first = at_local(day, 22.1 + rng.random() * 0.3)
    run_at = at_local(day, 23.25)
    _put(plan, company.server("SWD"), first - 40 * SECOND, _deployment_starts)
    moment = first
    for host in awake[:60]:
        moment += int((4 + rng.random() * 16) * SECOND)
        _put(plan, host, moment, partial(_deployed, package, run_at))


def _deployment_starts(machine: Machine) -> None:
    image = "C:\\Program Files\\Feinwerk Deploy\\fwdeploy.exe"
    machine.start(image, f'"{image}" --wave --from-queue', machine.running["services"])


def _deployed(package: str, run_at: int, machine: Machine) -> None:
    company = machine.company
    account = company.accounts["svc-swdeploy"]
    session = machine.network_logon(account, company.server("SWD").ip, 12)
    task = catalogue.deployment(account, package, local_text(run_at), local_text(machine.clock))
    scheduler.register(machine, task, session)
    machine.at(run_at + int(machine.rng.random() * 20 * SECOND), partial(_installs, task))


def _installs(task: Task, machine: Machine) -> None:
    command = f"powershell.exe {task.arguments}"
    script = scheduler.run(machine, task.path, catalogue.POWERSHELL, command, machine.system, 240)
    package = f"C:\\Windows\\ccmcache\\{task.path[-2:]}\\setup.msi"
    image = SYS32 + "msiexec.exe"
    machine.start(image, f"{image} /i {package} /qn", script)
    machine.after(260, partial(_cleared, task.path))


def _cleared(path: str, machine: Machine) -> None:
    scheduler.delete(machine, path, machine.system, machine.running["schedule"])


# --------------------------------------------------------------------------- group policy


def policy_day(company: Company) -> date | None:
    """The day of the one policy change: the first Thursday of the window."""
    return next((day for day in company.spec.calendar if day.weekday() == THURSDAY), None)


def _policy(
    company: Company, rng: Random, day: date, plan: dict[str, list[tuple[int, Act]]]
) -> None:
    """Hosts take the policy at their own next refresh, within the change window."""
    author = company.accounts["adm-lange"]
    awake = [h for h in company.group("hamburg") if h.always_on]
    for host in awake[:30]:
        at = at_local(day, 22.2 + 3 * rng.random())
        _put(plan, host, at, partial(_policy_applied, author))


def _policy_applied(author: Account, machine: Machine) -> None:
    client = machine.start(
        SYS32 + "gpupdate.exe", "gpupdate.exe /target:computer", machine.running["profile"]
    )
    scheduler.register(machine, catalogue.inventory(author), machine.system, client)


# ----------------------------------------------------------------------- work by hand


def _odd_jobs(
    company: Company, rng: Random, day: date, plan: dict[str, list[tuple[int, Act]]]
) -> None:
    """Administrators make one-off tasks on servers, now and then out of hours."""
    hours: list[float] = []
    if is_working_day(day):
        hours += [8.5 + 8 * rng.random() for _ in range(2)]
        if rng.random() < 0.35:  # noqa: PLR2004
            hours.append(19 + 3.5 * rng.random())
    elif rng.random() < 0.5:  # noqa: PLR2004
        hours.append(9 + 12 * rng.random())
    for hour in hours:
        host, admin = pick(rng, company.group("server")), pick(rng, company.admins)
        _put(plan, host, at_local(day, hour), partial(_by_hand, admin, pick(rng, ODD_JOBS)))
    if day.weekday() in {0, 2}:  # the supplier looks after its application
        visit = partial(remote_desktop, company.accounts[SUPPLIER], VPN_ADDRESS, 25)
        _put(plan, company.server("APP"), at_local(day, 10 + 4 * rng.random()), visit)


def _by_hand(admin: Account, job: tuple[str, str, str, bool], machine: Machine) -> None:
    origin = Origin(
        machine.company.admin_desk(admin).ip,
        0,
        machine.host.name,
        "User32 ",
        "Negotiate",
        machine.running["profile"],
    )
    session = machine.logon(admin, REMOTE_DESKTOP, origin)
    shell = machine.start(
        "C:\\Windows\\explorer.exe",
        "C:\\Windows\\Explorer.EXE",
        machine.running["winlogon"],
        session,
    )
    prompt = machine.start(SYS32 + "cmd.exe", '"C:\\Windows\\system32\\cmd.exe"', shell)
    path, command, arguments, as_system = job
    action = f"{command} {arguments}".strip()
    principal = "SYSTEM" if as_system else admin.full
    hour = 1 + int(machine.rng.random() * 22)
    line = (
        f'schtasks  /create /tn "{path[1:]}" /tr "{action}" '
        f"/sc daily /st {hour:02d}:15 /ru {principal}"
    )
    client = machine.start(SYS32 + "schtasks.exe", line, prompt)
    start = f"{local_text(machine.clock)[:10]}T{hour:02d}:15:00"
    task = catalogue.own(admin, path, command, arguments, start, as_system=as_system)
    scheduler.register(machine, task, session, client)
    machine.after(60 + machine.rng.random() * 1500, partial(_done, task, session))


def _done(task: Task, session: Session, machine: Machine) -> None:
    if machine.rng.random() < 0.5:  # noqa: PLR2004 - tried once, then taken away
        scheduler.delete(machine, task.path, session, machine.running["schedule"])
    machine.logoff(session)


def developer_host(company: Company) -> Host:
    """The workstation of the developer who makes tasks for himself."""
    offices = company.group("hamburg")
    return offices[len(offices) // 2]


def _developer(
    company: Company, rng: Random, day: date, plan: dict[str, list[tuple[int, Act]]]
) -> None:
    host = developer_host(company)
    at_work = attendance(company, host, day)
    if at_work is None or rng.random() < 0.4:  # noqa: PLR2004
        return
    at = at_work.arrives + HOUR + int(rng.random() * 5 * HOUR)
    _put(plan, host, at, partial(_own_task, pick(rng, DEVELOPER_JOBS)))


def _own_task(job: tuple[str, str, str], machine: Machine) -> None:
    desk, shell = machine.desk, machine.shell
    if desk is None or shell is None:
        return
    user = desk.account
    names = {"user": user.name, "local": catalogue.local_app_data(user)}
    path, command, arguments = (text.format(**names) for text in job)
    prompt = machine.start(catalogue.POWERSHELL, "powershell.exe -NoLogo", shell)
    line = (
        f'"{SYS32}schtasks.exe" /create /tn "{path[1:]}" '
        f'/tr "{command} {arguments}" /sc daily /st 03:30 /f'
    )
    client = machine.start(SYS32 + "schtasks.exe", line, prompt)
    start = f"{local_text(machine.clock)[:10]}T03:30:00"
    task = catalogue.own(user, path, command, arguments, start, as_system=False)
    scheduler.register(machine, task, desk, client)
    machine.after(8 * MINUTE / SECOND, partial(_changed_mind, task))


def _changed_mind(task: Task, machine: Machine) -> None:
    desk = machine.desk
    if desk is not None and machine.rng.random() < 0.3:  # noqa: PLR2004
        scheduler.update(machine, task, desk, machine.shell)
