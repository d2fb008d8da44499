"""What the store says of each feed, and that it says so after a restart."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from huntonce.models.errors import StateError
from huntonce.models.intel import AddCounts, Fault, FeedFailure, FeedHealth, IntelObject
from huntonce.models.state.store import Store, open_store
from tests.unit.state.examples import NOW, an_intel_object

DOWN = FeedFailure(error="no answer", hint="see that it runs", fault=Fault.SERVER)


def indicator(number: int, pattern: str, day: int = 1) -> IntelObject:
    name = f"indicator--00000000-0000-4000-8000-{number:012d}"
    content = {"type": "indicator", "id": name, "pattern": pattern, "pattern_type": "stix"}
    item = an_intel_object(name, f"2026-01-{day:02d}T00:00:00.000Z")
    return replace(item, body=json.dumps(content).encode(), content=content)


def health(store: Store, feed: str = "a") -> FeedHealth:
    with store.unit() as unit:
        return next(one for one in unit.feeds.health() if one.feed == feed)


def pulled(store: Store, failure: FeedFailure | None = None, days: int = 0) -> None:
    at = NOW + timedelta(days=days)
    with store.unit() as unit:
        unit.feeds.began("a", selection="s", at=at)
        unit.feeds.delivered("a", AddCounts(new=3, duplicate=1), set_aside=2, skipped=5)
        if failure:
            unit.feeds.failed("a", failure, at=at)
        else:
            unit.feeds.ended("a", at=at)
        unit.commit()


def test_pulls_add_up_and_survive_a_restart(address: str) -> None:
    with open_store(address) as store:
        pulled(store)
        pulled(store, days=1)
    with open_store(address) as store:
        found = health(store)

    assert (found.pulls, found.totals, found.set_aside, found.skipped) == (
        2, AddCounts(new=6, duplicate=2), 4, 10,
    )  # fmt: skip
    assert found.last_pull == found.last_success == NOW + timedelta(days=1)
    assert found.duplicate_rate == 0.25
    assert found.state == "ok"


def test_a_failure_stays_until_the_next_success(store: Store) -> None:
    pulled(store)
    pulled(store, DOWN, days=1)
    pulled(store, DOWN, days=2)

    found = health(store)
    assert (found.state, found.failures, found.failure) == ("failing", 2, DOWN)
    assert (found.last_success, found.last_failure) == (NOW, NOW + timedelta(days=2))

    pulled(store, days=3)
    found = health(store)
    assert (found.state, found.failures, found.failure) == ("ok", 0, None)
    assert found.last_failure == NOW + timedelta(days=2)


def test_a_pull_that_neither_ended_nor_failed_was_interrupted(store: Store) -> None:
    with store.unit() as unit:
        unit.feeds.began("a", selection="", at=NOW)
        unit.commit()

    assert health(store).state == "interrupted"


def test_another_selection_starts_from_the_beginning(store: Store) -> None:
    with store.unit() as unit:
        unit.intel.set_cursor("a", "17")
        unit.feeds.began("a", selection="one", at=NOW)  # the first that is known: cursor adopted
        unit.commit()
        assert unit.intel.cursor("a") == "17"
        unit.feeds.began("a", selection="one", at=NOW)
        unit.commit()
        assert unit.intel.cursor("a") == "17"
        unit.feeds.began("a", selection="two", at=NOW)
        unit.commit()
        assert unit.intel.cursor("a") is None


def test_the_same_pattern_from_many_feeds_is_one_claim_with_many_sources(store: Store) -> None:
    with store.unit() as unit:
        unit.intel.add(
            [
                indicator(1, "[url:value = 'x']"),
                indicator(2, "[url:value='x']"),
                indicator(3, "[url:value = 'y']"),
                indicator(3, "[url:value = 'y']", day=2),
            ],
            feed="a",
            at=NOW,
        )
        unit.intel.add([indicator(4, "[ url:value = 'x' ]")], feed="b", at=NOW)
        unit.commit()
        name = indicator(4, "").id
        assert unit.intel.claimants(name) == ("a", "b")
        assert unit.intel.claimants(indicator(3, "").id) == ("a",)

    a, b = health(store, "a"), health(store, "b")
    assert (a.held, a.indicators, a.claims, a.shared_claims) == (4, 3, 2, 1)
    assert (b.held, b.indicators, b.claims, b.shared_claims) == (1, 1, 1, 1)
    assert a.state == "new"


def test_files_that_passed_whole_are_remembered_by_feed(store: Store) -> None:
    with store.unit() as unit:
        unit.feeds.took_whole("a", "d1", objects=3, at=NOW)
        unit.feeds.took_whole("a", "d1", objects=3, at=NOW)
        unit.commit()
        assert unit.feeds.whole("a") == {"d1": 3}
        assert unit.feeds.whole("b") == {}


@pytest.mark.parametrize("name", ["", "x" * 257])
def test_a_feed_needs_a_name_that_fits(store: Store, name: str) -> None:
    with store.unit() as unit, pytest.raises(StateError, match="name"):
        unit.feeds.began(name, selection="", at=NOW)


def test_a_second_delivery_of_the_same_objects_writes_nothing(store: Store) -> None:
    objects = [indicator(number, f"[url:value = '{number}']") for number in range(50)]
    with store.unit() as unit:
        unit.intel.add(objects, feed="a", at=NOW)
        unit.commit()
    with store.unit() as unit:
        assert unit.intel.add(objects, feed="a", at=NOW) == AddCounts(duplicate=50)
        assert not unit.intel._work.writing  # type: ignore[attr-defined]
        # Another feed is new provenance.
        assert unit.intel.add(objects, feed="b", at=NOW) == AddCounts(duplicate=50)
        assert unit.intel._work.writing  # type: ignore[attr-defined]


def test_the_bytes_of_what_was_upgraded_are_kept(store: Store) -> None:
    item = an_intel_object("tool--00000000-0000-4000-8000-000000000001")
    upgraded = replace(item, original=b'{"type":"tool"}')
    with store.unit() as unit:
        unit.intel.add([upgraded], feed="a", at=NOW)
        unit.commit()
        assert unit.intel.originals(item.id) == {item.version: b'{"type":"tool"}'}
        assert unit.intel.get(item.id) == item
