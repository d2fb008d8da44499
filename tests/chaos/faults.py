"""What else may go wrong while a job runs: servers that misbehave, a store that is locked."""

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from werkzeug import Response

from tests.chaos.site import DATABASE, Site
from tests.support import postgres
from tests.support.desks.server import answer
from tests.support.faulty_proxy import Fault, Habit

LOCKED = 3.0
"""Seconds that somebody else holds the store's lock."""
GONE = 3.0
"""Seconds that the store, or its server, is not there."""
LATE = 0.4
EVERY = 3
"""Every third request for objects goes wrong."""


def _taxii(fault: Fault) -> Callable[[Site], None]:
    def order(site: Site) -> None:
        site.proxy.script = ([None] * (EVERY - 1) + [fault]) * 3

    return order


def _habit(habit: Habit) -> Callable[[Site], None]:
    def order(site: Site) -> None:
        site.proxy.always = {habit}

    return order


def _desks(method: str, *given: Response) -> Callable[[Site], None]:
    def order(site: Site) -> None:
        for fake in (site.jira, site.hive):
            fake.faults = [(method, one) for one in given]

    return order


def _lost(site: Site) -> None:
    # What was asked for is done, and the answer is lost on the way.
    site.jira.lose = [("POST", re.escape("/rest/api/2/issue"))] * 3
    site.hive.lose = [("POST", re.escape("/api/v1/case"))]


def _late(site: Site) -> None:
    site.jira.slow = site.hive.slow = LATE


def _half() -> Response:
    whole = answer({"issues": [], "total": 0})
    return Response(whole.get_data()[:7], 200, content_type="application/json")


ORDERS: dict[str, Callable[[Site], None]] = {
    **{f"taxii: {fault.name.lower()}": _taxii(fault) for fault in Fault},
    **{f"taxii: {habit.name.lower()}": _habit(habit) for habit in Habit},
    "desks: 500": _desks("*", *[answer({}, 500)] * 3),
    "desks: 503": _desks("POST", *[answer({}, 503)] * 2),
    "desks: 429": _desks("*", *[answer({}, 429, Retry_After="1")] * 2),
    "desks: 401": _desks("*", answer({}, 401)),
    "desks: 400": _desks("POST", answer({"errorMessages": ["no"], "errors": {}}, 400)),
    "desks: half a body": _desks("GET", _half(), _half()),
    "desks: a page of HTML": _desks("*", Response("<html>gateway</html>", 200)),
    "desks: the answer is lost": _lost,
    "desks: late": _late,
}
"""Faults of the standing servers by name; ``Site.put_back`` ends them."""


@contextmanager
def lost(site: Site, after: float) -> Iterator[None]:
    """Some seconds later the store's file is somewhere else for a while (a share that is gone)."""
    away = site.base / "away"
    away.mkdir(exist_ok=True)

    def take() -> None:
        for path in site.home.glob(f"{DATABASE}*"):
            path.rename(away / path.name)

    def give() -> None:
        held = list(away.iterdir())
        for stranger in site.home.glob(f"{DATABASE}*") if held else ():
            stranger.unlink()
        for path in held:
            path.rename(site.home / path.name)

    with _then_and_back(after, take, give):
        yield


@contextmanager
def ended_server(after: float) -> Iterator[None]:
    """Some seconds later PostgreSQL is ended by its process id, and a while later started again."""
    with _then_and_back(after, postgres.crash, postgres.revive):
        yield


@contextmanager
def _then_and_back(
    after: float, away: Callable[[], None], back: Callable[[], None]
) -> Iterator[None]:
    ended = threading.Event()

    def work() -> None:
        if ended.wait(after):
            return
        away()
        ended.wait(GONE)
        back()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def locked(site: Site, seconds: float = LOCKED) -> Iterator[None]:
    """Somebody else writes to the store for a while."""
    holder = sqlite3.connect(site.home / DATABASE, check_same_thread=False)
    holder.execute("begin immediate")
    end = threading.Timer(seconds, holder.rollback)
    end.start()
    try:
        yield
    finally:
        end.cancel()
        end.join()
        holder.close()
