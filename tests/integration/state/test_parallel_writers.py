from collections.abc import Callable
from datetime import timedelta
from multiprocessing import get_context

import pytest

from huntonce.models.state.store import open_store
from tests.integration.state import writers
from tests.integration.state.writers import Job
from tests.unit.state.examples import NOW, a_gap, a_message

pytestmark = pytest.mark.integration
WRITERS = 20
Run = Callable[[Job, str], list[str]]


def by_threads(job: Job, address: str) -> list[str]:
    return writers.threads(job, address, 0, WRITERS)


def by_processes(job: Job, address: str) -> list[str]:
    return writers.processes(job, address, 4, WRITERS // 4)


both = pytest.mark.parametrize("run", [by_threads, by_processes])


@both
def test_the_same_key_by_twenty_writers_is_one_row_and_the_chain_holds(
    address: str, run: Run
) -> None:
    ids = run(writers.add_the_same, address)

    with open_store(address) as store, store.unit() as unit:
        gaps = unit.gaps.list()
        rows = unit.log.rows()
        assert unit.log.verify() is None
    assert [gap.id for gap in gaps] == [f"GAP-{n}" for n in range(1, WRITERS + 2)]
    assert len(set(ids)) == WRITERS + 1
    assert [row.seq for row in rows] == list(range(1, WRITERS + 2))


def test_interleaved_walks_leave_one_chain(address: str) -> None:
    by_threads(writers.walk, address)

    with open_store(address) as store, store.unit() as unit:
        assert {gap.state for gap in unit.gaps.list()} == {"verifying"}
        assert len(unit.log.rows()) == WRITERS * 4
        assert unit.log.verify() is None


def test_the_same_intel_in_any_order_is_stored_once(address: str) -> None:
    new = by_threads(writers.add_intel, address)

    assert sum(map(int, new)) == 50
    with open_store(address) as store, store.unit() as unit:
        ids = [item.id for item in unit.intel.latest()]
        assert len(ids) == 50
        assert len(unit.intel.feeds(ids[0])) == WRITERS


def test_one_message_put_by_all_is_new_once(address: str) -> None:
    assert by_threads(writers.put_the_same, address).count("True") == 1


@both
def test_many_senders_send_every_message_once(address: str, run: Run) -> None:
    keys = [f"key {number:03d}" for number in range(60)]
    with open_store(address) as store, store.unit() as unit:
        for key in keys:
            unit.outbox.put(a_message(key), at=NOW)
        unit.commit()

    sent = run(writers.send_all, address)

    assert sorted(sent) == keys


def test_a_process_that_died_leaves_neither_a_lock_nor_half_a_unit(address: str) -> None:
    with open_store(address) as store:
        with store.unit() as unit:
            unit.outbox.put(a_message(), at=NOW)
            unit.commit()
        process = get_context("spawn").Process(target=writers.die_in_the_middle, args=(address,))
        process.start()
        process.join()
        assert process.exitcode == 9

        with store.unit() as unit:
            assert unit.gaps.list() == ()
            assert unit.gaps.add(a_gap(), actor="a", why="b").id == "GAP-1"
            unit.commit()
            assert unit.log.verify() is None
        with store.unit() as unit:
            soon, later = NOW + timedelta(seconds=1), NOW + timedelta(seconds=61)
            assert unit.outbox.claim(None, at=soon, stale_after=60) is None
            assert unit.outbox.claim(None, at=later, stale_after=60) is not None
