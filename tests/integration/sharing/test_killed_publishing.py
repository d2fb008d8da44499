"""Publishing, retracting and negative knowledge, killed anywhere: no duplicate, no loss."""

import multiprocessing
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer, User
from huntonce.models.outbox import MessageState
from huntonce.models.publication import PublicationState
from huntonce.models.stages.dispatch import STALE_AFTER
from tests.integration.sharing.estate import POINTS, do, main, open_estate, prepare
from tests.integration.sharing.login import COLLECTION, PASSWORD, USER
from tests.integration.sharing.organisations import assert_sound, objects_at

LATER = timedelta(seconds=STALE_AFTER + 60)
WORKS = ("publish", "retract", "negative")
# Processes that are forked off one that has only imported: no state of the test, no long start.
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload([main.__module__])

pytestmark = pytest.mark.integration


def kill_at(point: str, home: Path, collection: str, work: str) -> None:
    """The work in a process of its own, which dies at a point."""
    done = FRESH.Process(target=main, args=(home, collection, work, point))
    done.start()
    done.join(120)
    assert done.exitcode == -signal.SIGKILL, f"ended with {done.exitcode}, not at the point"


@contextmanager
def ready(before: Path, work: str, folder: Path) -> Iterator[tuple[Path, str]]:
    """A home as it was before the work, and the collection of a server of its own."""
    spec = CollectionSpec(COLLECTION, "Sector", can_read=True, can_write=True)
    with TaxiiServer(users=[User(USER, PASSWORD)], collections=[spec]) as server:
        collection = server.collection_url(COLLECTION)
        home = folder / "home"
        shutil.copytree(before, home)
        if work == "retract":
            _deliver_again(home, collection)
        yield home, collection


def outcome(home: Path, collection: str) -> dict[str, Any]:
    """What the server holds, and what our ledger says of it, versions of withdrawal undated.

    When a withdrawal was written depends on when somebody asked for it again.
    """
    there = sorted(
        (o["id"], o.get("revoked", False), "" if o.get("revoked") else o.get("modified", ""))
        for o in objects_at(collection)
    )
    _, store = open_estate(home)
    with store, store.unit() as unit:
        assert unit.log.verify() is None
        assert {m.state for m in unit.outbox.list()} == {MessageState.SENT}
        published = {PublicationState.SENT, PublicationState.ALREADY_PRESENT}
        said = sorted(
            (p.object_id, '"revoked":true' in p.body, "there" if p.state in published else p.state)
            for p in unit.publications.list()
        )
    return {"there": there, "ledger": said}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Homes before each piece of work, what it leads to undisturbed, and a server."""
    spec = CollectionSpec(COLLECTION, "Sector", can_read=True, can_write=True)
    made: dict[str, tuple[Path, dict[str, Any]]] = {}
    for work in WORKS:
        base = tmp_path_factory.mktemp(work)
        with TaxiiServer(users=[User(USER, PASSWORD)], collections=[spec]) as server:
            collection = server.collection_url(COLLECTION)
            before = base / "before"
            before.mkdir()
            prepare(before, work, collection)
            sound = base / "sound"
            shutil.copytree(before, sound)
            kit, store = open_estate(sound, later=LATER)
            with store:
                do(kit, work, collection)
            made[work] = (before, outcome(sound, collection))
            assert_sound(objects_at(collection))
    return made


CASES = [
    ("publish", "before the plan"),
    ("publish", "after the server had it"),
    ("negative", "after the plan"),
    ("negative", "after the server had it"),
    *(("retract", point) for point in POINTS),
]


@pytest.mark.parametrize(("work", "point"), CASES)
def test_the_next_run_ends_where_one_ends_that_nobody_killed(
    work: str, point: str, prepared: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    before, sound = prepared[work]
    with ready(before, work, tmp_path) as (home, collection):
        kill_at(point, home, collection, work)

        kit, store = open_estate(home, later=LATER)
        with store:
            do(kit, work, collection)

        found = outcome(home, collection)
        assert found == sound
        assert len(set(map(tuple, found["there"]))) == len(found["there"])


@pytest.mark.parametrize("work", WORKS)
def test_publishers_at_once_leave_what_one_leaves(
    work: str, prepared: dict[str, tuple[Path, dict[str, Any]]], tmp_path: Path
) -> None:
    before, sound = prepared[work]
    with ready(before, work, tmp_path) as (home, collection):
        senders = [FRESH.Process(target=main, args=(home, collection, work, "")) for _ in range(3)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(120)

        assert [sender.exitcode for sender in senders] == [0, 0, 0]
        assert outcome(home, collection) == sound


def _deliver_again(home: Path, collection: str) -> None:
    """What an earlier server was sent stands at this one, too."""
    from tests.integration.sharing.estate import outlet  # noqa: PLC0415 - once

    _, store = open_estate(home)
    with store, store.unit() as unit:
        bodies = [p.body for p in unit.publications.list(PublicationState.SENT)]
    outlet(collection).destination.publish(bodies)


def test_a_withdrawal_leaves_nothing_of_the_case_in_force(
    prepared: dict[str, tuple[Path, dict[str, Any]]],
) -> None:
    _, sound = prepared["retract"]
    newest: dict[str, bool] = {}
    for name, revoked, _ in sound["there"]:
        newest[name] = newest.get(name, False) or revoked
    alive = {name.partition("--")[0] for name, revoked in newest.items() if not revoked}
    assert not alive & {"incident", "indicator", "report", "sighting", "relationship", "note"}
