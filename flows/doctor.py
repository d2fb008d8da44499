"""Looking at a home's health: each check says how it stands and what to do. Imports no Prefect.

Looking changes nothing but the lake's list of the files it has seen. What could not be looked at
is a warning that says so, never a pass.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from huntonce.flows.assets import read_assets
from huntonce.flows.blocklook import namesakes
from huntonce.flows.bootstrap import Home
from huntonce.flows.reach import reaching
from huntonce.flows.secrecy import open_to_others
from huntonce.flows.signals import server_of
from huntonce.models.errors import ConfigError, HuntonceError, TransientError
from huntonce.models.outbox import MessageState
from huntonce.models.state.store import Store

PATIENCE = timedelta(hours=24)
"""A message that waits longer than this is stuck."""
LITTLE, TOO_LITTLE = 2 * 1024**3, 256 * 1024**2
_SHOWN = 5
_RESTORE = "restore a backup into a new home (huntonce restore), and find out who changed it"


class Health(StrEnum):
    """How one thing stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        says: What was seen.
        todo: What to do about it; empty where nothing is.
        away: It failed because something outside did not answer.
        settings: It failed because a setting is wrong.
    """

    name: str
    health: Health
    says: str
    todo: str = ""
    away: bool = False
    settings: bool = False


def examine(home: Home, *, connect: bool = False, deep: bool = False) -> Iterator[Check]:
    """Every check, in the order in which faults should be mended.

    Args:
        home: What to look at.
        connect: Also ask the configured servers whether they answer.
        deep: Read all of the lake's files and not only their ends.
    """
    if not home.path.is_dir():
        yield _fail("home", f"{home.path} is not there", "name another --home, or: huntonce init")
        return
    settings = _settings(home)
    yield settings
    if settings.health is Health.OK:
        yield _hosts(home)
    yield _permissions(home, readable=settings.health is Health.OK)
    yield _space(home)
    if settings.health is not Health.OK:
        yield _unseen("store", "the settings say where it is")
    else:
        yield from _state(home)
    yield from _guarded("lake", lambda: _lake(home, deep=deep))
    if settings.health is Health.OK:
        for name, found in reaching(home, connect=connect):
            if found.error is not None:
                yield _fail(
                    name,
                    str(found.error),
                    found.error.hint or "see that it runs and that its settings are right",
                    away=not isinstance(found.error, ConfigError),
                    settings=isinstance(found.error, ConfigError),
                )
            else:
                yield Check(name=name, health=Health.OK, says=found.says)
        yield from _blocks(home)


def _blocks(home: Home) -> Iterator[Check]:
    """Names that several blocks have, on the server that this home has, if any."""
    server = server_of(home.path)
    if not server:
        return
    try:
        twice = namesakes(server, {"siem": home.settings.siems, "desk": home.settings.desks})
    except TransientError as error:
        yield _unseen("blocks", f"{error}; {error.hint}")
        return
    for same in twice:
        refusal = same.error()
        yield _fail(f"block {same.name}", str(refusal), refusal.hint, settings=True)
    if not twice:
        yield Check(name="blocks", health=Health.OK, says="no two of one sort have one name")


def _settings(home: Home) -> Check:
    try:
        home.settings  # noqa: B018 - reading them is the check
        home.profile  # noqa: B018 - as above; it reads the asset list
    except HuntonceError as error:
        return _fail("settings", str(error), error.hint, settings=True)
    return Check(name="settings", health=Health.OK, says="can be read")


def _hosts(home: Home) -> Check:
    part = home.settings.organisation
    if part.assets is None:
        return Check(
            name="asset list",
            health=Health.OK,
            says="none: the hosts in scope are those that send telemetry, and one that never sent "
            "any is not missed (organisation.assets)",
        )
    found = read_assets(home.path / part.assets)
    elsewhere = ", ".join(f"{count} {name}" for name, count in found.elsewhere.items())
    says = f"{len(found.assets)} hosts, {found.in_scope} in scope (Windows)"
    says += f", out of scope {elsewhere}" if elsewhere else ""
    says += f"; {found.repeated} rows name a host again" if found.repeated else ""
    if not found.remarks:
        return Check(name="asset list", health=Health.OK, says=f"{says}; nothing set aside")
    dropped = sum(remark.dropped for remark in found.remarks)
    return Check(
        name="asset list",
        health=Health.WARN,
        says=f"{says}; {dropped} rows set aside, {len(found.remarks) - dropped} doubtful: "
        + _some(remark.words for remark in found.remarks),
        todo=f"correct {found.path}: a host that is set aside is not missed when it is silent",
    )


def _permissions(home: Home, *, readable: bool) -> Check:
    found = open_to_others(home, known=readable)
    if found.worst:
        return _fail("permissions", _some(found.worst), "chmod -R go-rwx on the home and these")
    if found.wide:
        return Check(
            name="permissions",
            health=Health.WARN,
            says=_some(found.wide),
            todo=f"chmod 700 {home.path}",
        )
    return Check(name="permissions", health=Health.OK, says="only its owner can look into the home")


def _space(home: Home) -> Check:
    free = shutil.disk_usage(home.path).free
    says = f"{_size(free)} free"
    todo = "free some; huntonce lake retain --days N deletes old events"
    if free < TOO_LITTLE:
        return _fail("free space", says, todo)
    if free < LITTLE:
        return Check(name="free space", health=Health.WARN, says=says, todo=todo)
    return Check(name="free space", health=Health.OK, says=says)


def _state(home: Home) -> Iterator[Check]:
    from huntonce.models.state.copying import fault_of_database
    from huntonce.models.state.migrate import HEAD
    from huntonce.models.state.store import open_store, sqlite_url

    address = home.settings.store.url.get_secret_value()
    path = home.path / "huntonce.db"
    if not address and not path.exists():
        yield Check(
            name="store",
            health=Health.WARN,
            says="there is none yet: nothing was ever done in this home",
            todo="huntonce intel load, or huntonce loop; or name another --home",
        )
        return
    with ExitStack() as stack:
        try:
            fault = "" if address else fault_of_database(path)
            store = stack.enter_context(
                open_store(address or sqlite_url(path), clock=home.clock, upgrade=False)
            )
            version = store.version()
        except HuntonceError as error:
            yield _fail("store", str(error), error.hint)
            yield _unseen("transition log", "the store does not open")
            yield _unseen("outbox", "the store does not open")
            return
        if fault:
            yield _fail("store", f"the database is damaged: {fault}", _RESTORE)
        elif version == HEAD:
            yield Check(name="store", health=Health.OK, says=f"opens, schema {version}")
        elif version is None or version > HEAD:
            yield _fail(
                "store",
                f"schema {version or 'none'}, this version of Huntonce has {HEAD}",
                "use the version that wrote it, or a newer one",
            )
        else:
            yield Check(
                name="store",
                health=Health.WARN,
                says=f"schema {version}, the next command brings it to {HEAD}",
                todo="huntonce backup FILE first",
            )
        yield from _guarded("transition log", lambda: _chain(store))
        yield from _guarded("outbox", lambda: _outbox(home, store))
        yield from _guarded("set aside", lambda: _set_aside(store))


def _chain(store: Store) -> Iterator[Check]:
    with store.unit() as unit:
        broken = unit.log.verify()
        length = len(unit.log.rows()) if broken is None else 0
    if broken is None:
        yield Check(name="transition log", health=Health.OK, says=f"{length} rows, unbroken")
    else:
        yield _fail(
            "transition log",
            f"row {broken} was changed, is missing, or does not follow from the one before",
            _RESTORE,
        )


def _outbox(home: Home, store: Store) -> Iterator[Check]:
    with store.unit() as unit:
        refused = unit.outbox.list(MessageState.FAILED)
        waiting = unit.outbox.list(MessageState.PENDING, MessageState.CLAIMED)
    late = [m for m in waiting if m.created_at and home.clock() - m.created_at > PATIENCE]
    if refused:
        yield _fail(
            "outbox",
            f"{len(refused)} could not be sent: "
            + _some(f"{m.action} {m.subject} to {m.target}: {m.error}" for m in refused),
            "mend the cause, then send again: huntonce desks sync, huntonce intel publish, or "
            "huntonce detections deploy",
        )
    elif late:
        yield Check(
            name="outbox",
            health=Health.WARN,
            says=f"{len(late)} wait for longer than {PATIENCE.total_seconds() / 3600:.0f} h: "
            + _some(f"{m.action} {m.subject} to {m.target}, tried {m.attempts}x" for m in late),
            todo="huntonce doctor --connect says who does not answer; huntonce desks sync and "
            "huntonce intel publish send what waits",
        )
    else:
        says = f"nothing stuck, {len(waiting)} waiting"
        yield Check(name="outbox", health=Health.OK, says=says)


def _set_aside(store: Store) -> Iterator[Check]:
    counts = store.set_aside_counts()
    if counts:
        yield Check(
            name="set aside",
            health=Health.WARN,
            says=", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())),
            todo="huntonce intel quarantine shows each with its reason"
            if "intel" in counts
            else "the command that took it in named each with its reason; mend it, load it again",
        )
    else:
        yield Check(name="set aside", health=Health.OK, says="nothing waits")


def _lake(home: Home, *, deep: bool) -> Iterator[Check]:
    from huntonce.connectors.siem.lake.health import examine as examine_lake

    found = examine_lake(home.lake_path, deep=deep)
    says = f"{found.files} files, {found.events:,} events, {_size(found.size)}"
    if found.damaged or found.missing or found.strangers:
        faults = [f"{place}: {why}" for place, why in found.damaged]
        faults += [f"{place}: gone" for place in found.missing]
        faults += [f"{place}: of no layout that this version knows" for place in found.strangers]
        yield _fail(
            "lake",
            f"{says}; {_some(faults)}",
            "restore a backup; or delete what is damaged and load its sources again. Until then "
            "hunts do not see those events",
        )
    elif found.dropped:
        yield Check(
            name="lake",
            health=Health.WARN,
            says=f"{says}; gone as a whole since the last look: {_some(found.dropped)}",
            todo="nothing, where huntonce lake retain deleted those days; else restore a backup",
        )
    else:
        read = "read whole" if deep else "their ends were read (--deep reads all)"
        since = "" if found.compared else "; first look, what went before it cannot be seen"
        yield Check(name="lake", health=Health.OK, says=f"{says}; {read}{since}")


def _guarded(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    try:
        yield from look()
    except HuntonceError as error:
        yield _fail(name, f"cannot be read: {error}", error.hint)
    except OSError as error:
        yield _fail(name, f"cannot be read: {error}", "see the permissions of the home")


def _fail(name: str, says: str, todo: str, *, away: bool = False, settings: bool = False) -> Check:
    return Check(name=name, health=Health.FAIL, says=says, todo=todo, away=away, settings=settings)


def _unseen(name: str, why: str) -> Check:
    return Check(
        name=name,
        health=Health.WARN,
        says=f"not looked at: {why}",
        todo="mend that, then run huntonce doctor again",
    )


def _some(items: Iterable[str]) -> str:
    every = list(items)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return "; ".join(every[:_SHOWN]) + more


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - binary units
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
