"""Which outside systems a home's settings name, and whether they answer. Imports no Prefect."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from huntonce.flows.bootstrap import Home
from huntonce.flows.desksettings import BUILTIN
from huntonce.models.errors import HuntonceError

NOT_ASKED = "its settings are whole; not asked whether it answers (--connect)"
_ANSWERS = "answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How one system stands: what it said, or why it did not."""

    says: str = ""
    error: HuntonceError | None = None


def reaching(home: Home, *, connect: bool) -> Iterator[tuple[str, Reached]]:
    """Name of each system that the settings name, and how it stands; writes nothing there."""
    for name in sorted(home.intel):
        yield f"intel {name}", _tried(partial(_source, home, name, connect=connect))
    for name in sorted(home.publish):
        yield f"publish {name}", _tried(partial(_outlet, home, name, connect=connect))
    for name in home.siem_names():
        if name != "lake":
            yield f"siem {name}", _tried(partial(_siem, home, name, connect=connect))
    for what in ("tickets", "cases"):
        chosen = getattr(home.settings, what).desk
        if chosen != BUILTIN:
            label = f"desk {chosen} ({what})"
            yield label, _tried(partial(_desk, home, what, connect=connect))


def _tried(look: Callable[[], str]) -> Reached:
    try:
        return Reached(says=look())
    except HuntonceError as error:
        return Reached(error=error)


def _taxii(source: object, *, connect: bool, writes: bool = False) -> str:
    from huntonce.connectors.intel.taxii_endpoint import TaxiiEndpoint
    from huntonce.models.errors import TerminalError

    if not connect or not isinstance(source, TaxiiEndpoint):
        return NOT_ASKED
    with source.client() as client:
        found = source.info(client)
    if not (found.can_write if writes else found.can_read):
        raise TerminalError(
            f"{source.name}: the collection {found.title!r} may not be "
            f"{'written' if writes else 'read'} by this user",
            connector=source.name,
            hint="ask those who run the server for the right, or use another user",
        )
    return f"{_ANSWERS}: {found.title}"


def _source(home: Home, name: str, *, connect: bool) -> str:
    return _taxii(home.source(name), connect=connect)


def _outlet(home: Home, name: str, *, connect: bool) -> str:
    destination = next(o.destination for o in home.outlets() if o.destination.name == name)
    return _taxii(destination, connect=connect, writes=True)


def _siem(home: Home, name: str, *, connect: bool) -> str:
    siem = home.siem(name)
    if not connect:
        return NOT_ASKED
    held = siem.extent()
    if held is None:
        return f"{_ANSWERS}; holds no events"
    return f"{_ANSWERS}; events {held.start:%Y-%m-%d} to {held.end:%Y-%m-%d}"


def _desk(home: Home, what: str, *, connect: bool) -> str:
    from huntonce.flows.desks import case_desk, ticket_desk

    make = ticket_desk if what == "tickets" else case_desk
    desk = make(home.connected, home.path, home.store, home.clock)
    if not connect:
        return NOT_ASKED
    desk.find("check")
    return _ANSWERS
