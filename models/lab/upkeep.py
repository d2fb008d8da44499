"""What tasks do on their own from day to day: updaters, agents, Windows itself."""

from collections.abc import Callable
from datetime import date
from functools import partial
from random import Random

from huntonce.models.lab import catalogue, scheduler
from huntonce.models.lab.clockwork import (
    DAY,
    HOUR,
    MINUTE,
    Presence,
    at_local,
    day_start,
    dice,
    local_text,
)
from huntonce.models.lab.company import SHOP_FLOOR
from huntonce.models.lab.life import on_hours
from huntonce.models.lab.machine import SYS32, Act, Machine
from huntonce.models.lab.tasks import Task

MSIEXEC = "C:\\Windows\\System32\\msiexec.exe"


def plan_day(machine: Machine, day: date, at_work: Presence | None) -> None:
    """Put a day's task life into the machine."""
    start, end = on_hours(machine, day, at_work)
    rng = machine.rng
    if machine.company.number(machine.host) % machine.company.spec.days == day_index(machine, day):
        # Each host's task auditing shows itself at least once in any window.
        machine.at(at_local(day, 9.2 + 6 * rng.random()), license_moved)
    if end > start:
        _windows(machine, start, end)
        _machine_wide(machine, start, end)
    if machine.host.is_server:
        _server(machine, day)
    elif at_work is not None:
        _desk(machine, at_work)


def day_index(machine: Machine, day: date) -> int:
    """The number of a day in the window."""
    return (day - machine.company.spec.calendar[0]).days


def _sometimes(
    machine: Machine, start: int, end: int, chances: tuple[tuple[float, Act], ...]
) -> None:
    rng = machine.rng
    for chance, act in chances:
        if rng.random() < chance:
            machine.at(start + int(rng.random() * (end - start)), act)


def wares(machine: Machine, level: str) -> Random:
    """Chance that decides once and for all what a host, or its user, has installed."""
    return dice(machine.company.spec.seed, "wares", level, machine.host.name)


def _windows(machine: Machine, start: int, end: int) -> None:
    chances = (
        (0.5, license_moved),
        (0.12, partial(_moved_by_system, catalogue.windows_update)),
        (0.08, partial(_moved_by_system, catalogue.defender)),
        (0.01, _switched),
        (0.7, _handler),
    )
    _sometimes(machine, start, end, chances)


def license_moved(machine: Machine) -> None:
    """The licensing service updates its restart task as NETWORK SERVICE: the usual 4702."""
    service = machine.network_service
    client = machine.start(
        SYS32 + "sppsvc.exe",
        "C:\\Windows\\system32\\sppsvc.exe",
        machine.running["services"],
        service,
    )
    start = local_text(machine.clock + 6 * DAY)
    scheduler.update(machine, catalogue.license_check(start), service, client)


def _moved_by_system(definition: Callable[[str], Task], machine: Machine) -> None:
    start = local_text(machine.clock + DAY + machine.rng.randrange(20) * HOUR)
    client = machine.running["update"]
    scheduler.update(machine, definition(start), machine.system, client)


def _switched(machine: Machine) -> None:
    task = catalogue.windows_update(local_text(machine.clock + DAY))
    client = machine.running["update"]
    scheduler.switch(machine, task, machine.system, client, enable=False)
    machine.after(90, partial(_switched_on, task))


def _switched_on(task: Task, machine: Machine) -> None:
    scheduler.switch(machine, task, machine.system, machine.running["update"], enable=True)


def _handler(machine: Machine) -> None:
    path = "\\Microsoft\\Windows\\Servicing\\StartComponentCleanup"
    scheduler.run_inside(machine, path, machine.system)


# --------------------------------------------------------------- products for every user


def _machine_wide(machine: Machine, start: int, end: int) -> None:
    has = wares(machine, "machine")
    chrome, printer, watched = has.random() < 0.7, has.random() < 0.3, has.random() < 0.25  # noqa: PLR2004
    desk = not machine.host.is_server
    chances: list[tuple[float, Act]] = [(0.85, _edge_runs), (0.07, _edge_renewed)]
    if chrome and desk:
        chances += [(0.5, _google_runs), (0.05, _google_renewed)]
    if printer and desk:
        chances += [(0.5, _printhub_runs), (0.03, _printhub_installed)]
    if watched and desk:
        chances += [(0.4, _wardline_moved)]
    if desk and machine.host.group != SHOP_FLOOR:
        chances += [(0.02, _adobe_updated)]
    _sometimes(machine, start, end, tuple(chances))


def _edge_number(machine: Machine, generation: int) -> str:
    return scheduler.guid(machine.host.uid, "edge", generation)


def _edge_runs(machine: Machine) -> None:
    generation = machine.generations.get("edge", 0)
    task = catalogue.edge("UA", _edge_number(machine, generation))
    command = f'"{catalogue.EDGE_UPDATE}" {task.arguments}'
    scheduler.run(machine, task.path, catalogue.EDGE_UPDATE, command, machine.system)


def _edge_renewed(machine: Machine) -> None:
    """A new version takes the old tasks away and registers its own, at whatever hour."""
    generation = machine.generations.get("edge", 0)
    old = _edge_number(machine, generation)
    path = catalogue.edge("UA", old).path
    command = f'"{catalogue.EDGE_UPDATE}" /ua /installsource scheduler'
    client = scheduler.run(machine, path, catalogue.EDGE_UPDATE, command, machine.system)
    machine.generations["edge"] = generation + 1
    new = _edge_number(machine, generation + 1)
    for kind in ("Core", "UA"):
        scheduler.delete(machine, catalogue.edge(kind, old).path, machine.system, client)
        scheduler.register(machine, catalogue.edge(kind, new), machine.system, client)


def _google(machine: Machine, generation: int) -> Task:
    return catalogue.google(scheduler.guid(machine.host.uid, "google", generation))


def _google_runs(machine: Machine) -> None:
    task = _google(machine, machine.generations.get("google", 0))
    command = f'"{catalogue.GOOGLE_UPDATER}" {task.arguments}'
    scheduler.run(machine, task.path, catalogue.GOOGLE_UPDATER, command, machine.system)


def _google_renewed(machine: Machine) -> None:
    generation = machine.generations.get("google", 0)
    old, new = _google(machine, generation), _google(machine, generation + 1)
    command = f'"{catalogue.GOOGLE_UPDATER}" {old.arguments}'
    client = scheduler.run(machine, old.path, catalogue.GOOGLE_UPDATER, command, machine.system)
    machine.generations["google"] = generation + 1
    scheduler.register(machine, new, machine.system, client)
    scheduler.delete(machine, old.path, machine.system, client)


def _printhub_runs(machine: Machine) -> None:
    task = catalogue.printhub()
    command = f"{catalogue.PRINTHUB_UPDATE} {task.arguments}"
    scheduler.run(machine, task.path, catalogue.PRINTHUB_UPDATE, command, machine.system)


def _printhub_installed(machine: Machine) -> None:
    client = machine.start(
        MSIEXEC, "C:\\Windows\\System32\\msiexec.exe /V", machine.running["services"]
    )
    scheduler.register(machine, catalogue.printhub(), machine.system, client)


def _adobe_updated(machine: Machine) -> None:
    client = machine.start(
        MSIEXEC, "C:\\Windows\\System32\\msiexec.exe /V", machine.running["services"]
    )
    scheduler.update(machine, catalogue.adobe(), machine.system, client)


def _wardline_moved(machine: Machine) -> None:
    if catalogue.WARDLINE_PATH in machine.hijacked:
        return
    command = f'"{catalogue.WARDLINE_SCAN}" /full /quiet'
    client = scheduler.run(
        machine, catalogue.WARDLINE_PATH, catalogue.WARDLINE_SCAN, command, machine.system
    )
    task = catalogue.wardline(local_text(machine.clock + 6 * HOUR))
    scheduler.update(machine, task, machine.system, client)


# ------------------------------------------------------------------- products of one user


def _desk(machine: Machine, at_work: Presence) -> None:
    if machine.host.group == SHOP_FLOOR:
        return
    konvoy = wares(machine, "user").random() < 0.45  # noqa: PLR2004
    start, end = at_work.arrives + 5 * MINUTE, at_work.leaves - 5 * MINUTE
    chances: list[tuple[float, Act]] = [(0.7, _onedrive_runs), (0.05, _onedrive_registered)]
    if konvoy:
        chances += [(0.6, _konvoy_runs), (0.05, _konvoy_registered)]
    _sometimes(machine, start, end, tuple(chances))


def _onedrive_runs(machine: Machine) -> None:
    desk = machine.desk
    if desk is None:
        return
    folder = catalogue.local_app_data(desk.account)
    image = f"{folder}\\Microsoft\\OneDrive\\OneDriveStandaloneUpdater.exe"
    path = catalogue.onedrive(desk.account).path
    scheduler.run(machine, path, image, f'"{image}"', desk)


def _onedrive_registered(machine: Machine) -> None:
    desk, shell = machine.desk, machine.shell
    if desk is None or shell is None:
        return
    image = f"{catalogue.local_app_data(desk.account)}\\Microsoft\\OneDrive\\OneDrive.exe"
    client = machine.start(image, f'"{image}" /background', shell)
    scheduler.register(machine, catalogue.onedrive(desk.account), desk, client)


def _konvoy_image(name: str) -> str:
    return f"C:\\Users\\{name}\\AppData\\Roaming\\Konvoy\\bin\\KonvoyUpdate.exe"


def _konvoy_runs(machine: Machine) -> None:
    desk = machine.desk
    if desk is None:
        return
    task, image = catalogue.konvoy(desk.account), _konvoy_image(desk.account.name)
    scheduler.run(machine, task.path, image, f'"{image}" {task.arguments}', desk)


def _konvoy_registered(machine: Machine) -> None:
    desk, shell = machine.desk, machine.shell
    if desk is None or shell is None:
        return
    image = _konvoy_image(desk.account.name)
    client = machine.start(image, f'"{image}" --register', shell)
    scheduler.register(machine, catalogue.konvoy(desk.account), desk, client)


# --------------------------------------------------------------------------------- servers


def _server(machine: Machine, day: date) -> None:
    rng = machine.rng
    for quarter in range(4):
        if rng.random() < 0.6:  # noqa: PLR2004
            machine.at(
                day_start(day) + quarter * 6 * HOUR + int(rng.random() * HOUR), _wardline_moved
            )
    night = at_local(day, 2.6 + 0.8 * rng.random())
    machine.at(night, _backup_runs)
    if rng.random() < 0.1:  # noqa: PLR2004
        machine.at(night - 5 * MINUTE, partial(_backup_set, rng.random() < 0.3))  # noqa: PLR2004


def _backup_runs(machine: Machine) -> None:
    if catalogue.BACKUP_PATH in machine.hijacked:
        return
    command = f'"{catalogue.BACKUP_AGENT}" --catalog --job nightly'
    scheduler.run(
        machine, catalogue.BACKUP_PATH, catalogue.BACKUP_AGENT, command, machine.system, 900
    )


def _backup_set(anew: bool, machine: Machine) -> None:
    """From the backup server, by its account: the job is enrolled or moved."""
    if catalogue.BACKUP_PATH in machine.hijacked:
        return
    company = machine.company
    account = company.accounts["svc-backup"]
    session = machine.network_logon(account, company.server("BKP").ip, 40)
    task = catalogue.backup(account, local_text(machine.clock + 10 * MINUTE))
    if anew:
        scheduler.register(machine, task, session)
    else:
        scheduler.update(machine, task, session)
