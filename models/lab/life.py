"""Ordinary days: people who log on and work, servers that are asked all day long."""

from collections.abc import Sequence
from datetime import date
from functools import partial

from huntonce.models.lab.clockwork import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Presence,
    at_local,
    day_start,
    dice,
    is_working_day,
    pick,
    presence,
    some,
)
from huntonce.models.lab.company import SHOP_FLOOR, Company, Host
from huntonce.models.lab.events import INTERACTIVE, REMOTE_DESKTOP, UNLOCK, Process, Session
from huntonce.models.lab.machine import SYS32, Machine
from huntonce.models.lab.payloads import Origin
from huntonce.models.lab.people import Account

OFFICE = "C:\\Program Files\\Microsoft Office\\root\\Office16\\"
EDGE = "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe"
CHROME = "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe"
SAP = "C:\\Program Files\\SAP\\FrontEnd\\SAPGUI\\saplogon.exe"
READER = "C:\\Program Files (x86)\\Adobe\\Acrobat Reader DC\\Reader\\AcroRd32.exe"
PROJECTS = ("angebote", "reklamation", "linie4", "wartung", "einkauf", "lager", "pruefstand")

APPS: Sequence[tuple[str, str]] = (
    (EDGE, '"{image}" --profile-directory=Default'),
    (EDGE, '"{image}" --single-argument https://intranet.ad.ostermark.example/{project}'),
    (CHROME, '"{image}" --type=renderer --lang=de --renderer-client-id={number}'),
    (OFFICE + "OUTLOOK.EXE", '"{image}" /recycle'),
    (OFFICE + "EXCEL.EXE", '"{image}" "\\\\HAM-FS-05\\{project}\\{project}-{number}.xlsx"'),
    (
        OFFICE + "WINWORD.EXE",
        '"{image}" /n "C:\\Users\\{user}\\Documents\\{project}-{number}.docx"',
    ),
    (READER, '"{image}" "C:\\Users\\{user}\\Downloads\\{project}-{number}.pdf"'),
    (SAP, '"{image}"'),
    (SYS32 + "notepad.exe", '"{image}" C:\\Users\\{user}\\Desktop\\{project}.txt'),
    (
        "C:\\Windows\\explorer.exe",
        "{image} /factory,{{75dff2b7-6936-4c06-a8bb-676a7b00b24b}} -Embedding",
    ),
)
TERMINAL_APPS: Sequence[tuple[str, str]] = (
    ("C:\\Program Files\\Feinwerk MES\\client\\mesclient.exe", '"{image}" /line:{number}'),
    (EDGE, '"{image}" --kiosk https://mes.ad.ostermark.example/board/{number}'),
    (SYS32 + "notepad.exe", '"{image}" C:\\MES\\schicht-{number}.txt'),
)
SYSTEM_JOBS: Sequence[tuple[str, str, str]] = (
    ("dcom", SYS32 + "wbem\\WmiPrvSE.exe", "{image} -secured -Embedding"),
    ("dcom", SYS32 + "dllhost.exe", "{image} /Processid:{{AB8902B4-09CA-4BB6-B78D-A8F59079A8D5}}"),
    ("dcom", SYS32 + "RuntimeBroker.exe", "{image} -Embedding"),
    ("dcom", SYS32 + "backgroundTaskHost.exe", '"{image}" -ServerName:App.AppXe8kbpzq4n3.mca'),
    (
        "search",
        SYS32 + "SearchProtocolHost.exe",
        '"{image}" Global\\UsGthrFltPipeMssGthrPipe{number}_',
    ),
    ("search", SYS32 + "SearchFilterHost.exe", '"{image}" 0 {number} 804 8192 800'),
    ("update", SYS32 + "UsoClient.exe", "{image} StartScan"),
    ("services", SYS32 + "svchost.exe", "{image} -k netsvcs -p -s BITS"),
    ("services", SYS32 + "svchost.exe", "{image} -k LocalServiceNetworkRestricted -p -s lmhosts"),
)
ADMIN_TOOLS: Sequence[tuple[str, str]] = (
    (SYS32 + "mmc.exe", '"{image}" "C:\\Windows\\system32\\eventvwr.msc" /s'),
    (SYS32 + "mmc.exe", '"{image}" "C:\\Windows\\system32\\services.msc"'),
    (SYS32 + "Taskmgr.exe", '"{image}" /4'),
    (SYS32 + "WindowsPowerShell\\v1.0\\powershell.exe", '"{image}"'),
    (SYS32 + "cmd.exe", '"{image}"'),
)


def plan_day(machine: Machine, day: date) -> Presence | None:
    """Put an ordinary day into the machine; when its user is there, if at all."""
    if machine.host.is_server:
        _server(machine, day)
        return None
    return _desk(machine, day)


# ------------------------------------------------------------------------------ workstations


def attendance(company: Company, host: Host, day: date) -> Presence | None:
    """When the user of a host is at work on a day, known without running the machine."""
    rng = dice(company.spec.seed, "presence", host.name, day)
    return presence(rng, day, early=host.group == SHOP_FLOOR)


def _desk(machine: Machine, day: date) -> Presence | None:
    rng, noise = machine.rng, machine.company.spec.noise
    user = machine.host.user
    at_work = attendance(machine.company, machine.host, day)
    if at_work is not None and user is not None:
        machine.at(at_work.arrives, partial(arrive, user))
        apps = TERMINAL_APPS if machine.host.group == SHOP_FLOOR else APPS
        for _ in range(some(rng, 9 * noise)):
            machine.at(at_work.moment(rng), partial(_open, apps))
        if rng.random() < 0.5:  # noqa: PLR2004
            machine.at(at_work.lunch + 45 * MINUTE, _unlock)
        if str(day) not in machine.overnight:
            machine.at(at_work.leaves, leave)
    start, end = on_hours(machine, day, at_work)
    busy = 1.0 if at_work else 0.4
    if end > start:
        for act, mean in ((_system_job, 7), (Machine.service_logon, 2.4), (_visited, 1.2)):
            for _ in range(some(rng, mean * noise * busy)):
                machine.at(start + int(rng.random() * (end - start)), act)
    return at_work


def on_hours(machine: Machine, day: date, at_work: Presence | None) -> tuple[int, int]:
    """When a machine is switched on; an empty span where it stays off."""
    start = day_start(day)
    if machine.host.always_on:
        return start, start + DAY
    if at_work is None:
        return start, start
    return at_work.arrives - 2 * MINUTE, at_work.leaves + 10 * MINUTE


def arrive(user: Account, machine: Machine) -> None:
    """Somebody logs on, and the desktop starts."""
    if machine.desk is not None:
        _unlock(machine)
        return
    running = machine.running
    port_free = Origin(
        "127.0.0.1", 0, machine.host.name, "User32 ", "Negotiate", running["profile"]
    )
    session = machine.desk = machine.logon(user, INTERACTIVE, port_free)
    userinit = machine.start(
        SYS32 + "userinit.exe", "C:\\Windows\\system32\\userinit.exe", running["winlogon"], session
    )
    image = "C:\\Windows\\explorer.exe"
    machine.shell = machine.start(image, "C:\\Windows\\Explorer.EXE", userinit)
    for mark, act in machine.at_logon:
        machine.at(machine.clock + int((20 + machine.rng.random() * 40) * SECOND), act, mark)


def leave(machine: Machine) -> None:
    """Whoever sits there logs off."""
    if machine.desk is not None:
        machine.logoff(machine.desk)
        machine.desk = machine.shell = None


def _unlock(machine: Machine) -> None:
    desk = machine.desk
    if desk is None:
        return
    origin = Origin("-", 0, machine.host.name, "User32 ", "Negotiate", machine.running["lsass"])
    session = machine.logon(desk.account, UNLOCK, origin)
    machine.logoff(session)


def _open(apps: Sequence[tuple[str, str]], machine: Machine) -> None:
    desk, shell = machine.desk, machine.shell
    if desk is None or shell is None:
        return
    image, command = pick(machine.rng, apps)
    project, number = pick(machine.rng, PROJECTS), int(machine.rng.random() * 400)
    line = command.format(image=image, user=desk.account.name, project=project, number=number)
    machine.start(image, line, shell)


def _system_job(machine: Machine) -> None:
    parent, image, command = pick(machine.rng, SYSTEM_JOBS)
    number = int(machine.rng.random() * 900)
    machine.start(image, command.format(image=image, number=number), machine.running[parent])


def _visited(machine: Machine) -> None:
    company = machine.company
    server = company.server("SWD")
    machine.network_logon(company.accounts["svc-swdeploy"], server.ip, 30)


# ----------------------------------------------------------------------------------- servers


def _server(machine: Machine, day: date) -> None:
    rng, noise = machine.rng, machine.company.spec.noise
    start, working = day_start(day), is_working_day(day)
    for hour in range(24):
        busy = working and 5 <= hour < 17  # noqa: PLR2004 - UTC: six to six
        first = start + hour * HOUR
        # The first act comes in any case: a server is heard of in every hour.
        machine.at(first + int(rng.random() * HOUR), Machine.service_logon)
        acts = ((_asked, 2.2 if busy else 0.7), (_system_job, 1.2))
        for act, mean in acts:
            for _ in range(some(rng, mean * noise)):
                machine.at(first + int(rng.random() * HOUR), act)
    if working and rng.random() < 0.6:  # noqa: PLR2004
        machine.at(at_local(day, 8.5 + 8 * rng.random()), _administered)


def _asked(machine: Machine) -> None:
    """A user or a computer uses a share or a service of the server."""
    rng, company = machine.rng, machine.company
    desk = pick(rng, company.desks)
    account = desk.user
    if account is None or rng.random() < 0.3:  # noqa: PLR2004
        account = Account(
            company.accounts["Administrator"].domain, f"{desk.name}$", computer_sid(company, desk)
        )
    machine.network_logon(account, desk.ip, 5 + rng.random() * 600)


def computer_sid(company: Company, host: Host) -> str:
    """The SID of a computer account."""
    return f"{company.domain_sid}-{20_000 + company.number(host)}"


def _administered(machine: Machine) -> None:
    rng, company = machine.rng, machine.company
    admin = pick(rng, company.admins)
    remote_desktop(admin, company.admin_desk(admin).ip, 15 + rng.random() * 40, machine)


def remote_desktop(account: Account, ip: str, minutes: float, machine: Machine) -> None:
    """Somebody comes by remote desktop, looks at something and goes."""
    rng = machine.rng
    origin = Origin(
        ip,
        0,
        machine.host.name,
        "User32 ",
        "Negotiate",
        machine.running["profile"],
    )
    session = machine.logon(account, REMOTE_DESKTOP, origin)
    userinit = machine.start(
        SYS32 + "userinit.exe",
        "C:\\Windows\\system32\\userinit.exe",
        machine.running["winlogon"],
        session,
    )
    shell = machine.start("C:\\Windows\\explorer.exe", "C:\\Windows\\Explorer.EXE", userinit)
    for _ in range(1 + int(rng.random() * 3)):
        image, command = pick(rng, ADMIN_TOOLS)
        line = command.format(image=image)
        wait = int(rng.random() * minutes * 0.8 * MINUTE) + 5 * SECOND
        machine.at(machine.clock + wait, partial(_launch, image, line, shell))
    machine.after(minutes * 60, partial(_end, session))


def _launch(image: str, command: str, parent: Process, machine: Machine) -> None:
    machine.start(image, command, parent)


def _end(session: Session, machine: Machine) -> None:
    machine.logoff(session)
