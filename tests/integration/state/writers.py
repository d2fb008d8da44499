"""What the parallel writers do; a module of its own, so that other processes can import it."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context

from huntonce.models.gap import GapState
from huntonce.models.state.store import Store, open_store
from tests.unit.state.examples import NOW, a_gap, a_message, an_intel_object

WHO = {"actor": "writer", "why": "a test"}
STALE = 60.0
Job = Callable[[Store, int], Sequence[str]]


def threads(job: Job, address: str, first: int, count: int) -> list[str]:
    """What ``count`` threads with one store between them answered."""
    with open_store(address) as store, ThreadPoolExecutor(count) as pool:
        answers = pool.map(lambda number: job(store, number), range(first, first + count))
        return [text for answer in answers for text in answer]


def processes(job: Job, address: str, count: int, each: int) -> list[str]:
    """What ``count`` processes of ``each`` threads answered; new interpreters, no fork."""
    with get_context("spawn").Pool(count) as pool:
        arguments = [(job, address, number * each, each) for number in range(count)]
        return [text for answer in pool.starmap(threads, arguments) for text in answer]


def add_the_same(store: Store, number: int) -> list[str]:
    """Add one gap that all add, and one that nobody else does."""
    with store.unit() as unit:
        same = unit.gaps.add(a_gap("the same"), **WHO)
        own = unit.gaps.add(a_gap(f"of writer {number}"), **WHO)
        unit.commit()
    return [same.id, own.id]


def walk(store: Store, number: int) -> list[str]:
    """Add a gap, then move it on in units of its own."""
    with store.unit() as unit:
        gap = unit.gaps.add(a_gap(f"walk {number}"), **WHO)
        unit.commit()
    for state in (GapState.ACCEPTED, GapState.REMEDIATING, GapState.VERIFYING):
        with store.unit() as unit:
            held = unit.gaps.get(gap.id)
            if held is not None:
                unit.gaps.save(replace(held, state=state), **WHO)
            unit.commit()
    return [gap.id]


def add_intel(store: Store, number: int) -> list[str]:
    """Add the same objects in an order of its own."""
    ids = [f"tool--00000000-0000-4000-8000-{i:012d}" for i in range(50)]
    turned = ids[number:] + ids[:number]
    with store.unit() as unit:
        counts = unit.intel.add(map(an_intel_object, turned), feed=f"feed {number}", at=NOW)
        unit.set_aside.add((), at=NOW)
        unit.commit()
    return [str(counts.new)]


def put_the_same(store: Store, number: int) -> list[str]:
    """Put one message that all put."""
    with store.unit() as unit:
        new = unit.outbox.put(a_message("the same"), at=NOW)
        unit.commit()
    return [str(new)] if number >= 0 else []


def send_all(store: Store, number: int) -> list[str]:
    """Claim and send until nothing waits; the keys that this sender sent."""
    sent: list[str] = []
    while True:
        with store.unit() as unit:
            message = unit.outbox.claim(None, at=NOW, stale_after=STALE)
            if message is None:
                return sent
            unit.outbox.done(message.key, remote_id=f"by {number}", at=NOW + timedelta(seconds=1))
            unit.commit()
            sent.append(message.key)


def die_in_the_middle(address: str) -> None:
    """Claim a message, begin to write something else, and be gone without a word."""
    store = open_store(address)
    with store.unit() as unit:
        unit.outbox.claim(None, at=NOW, stale_after=STALE)
        unit.gaps.add(a_gap("never committed"), **WHO)
        os._exit(9)
