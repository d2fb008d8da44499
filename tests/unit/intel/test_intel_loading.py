"""Files into a store: read once, named by their source, tried again from quarantine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from huntonce.connectors.intel.again import CheckAgain, FeedRules
from huntonce.connectors.intel.bundles import BundleFiles
from huntonce.connectors.intel.demo_intel import demo_intel, faulty_intel
from huntonce.connectors.intel.selection import Selection
from huntonce.models.intel import AddCounts
from huntonce.models.setaside import InputKind, SetAside
from huntonce.models.stages.collect import Collected, collect, replay
from huntonce.models.state.store import Store, open_store, sqlite_url, utcnow
from huntonce.models.tlp import Tlp

GOOD = demo_intel()[3:9]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(sqlite_url(tmp_path / "store.db")) as opened:
        yield opened


def write(path: Path, *bodies: bytes) -> Path:
    path.write_bytes(b'{"type":"bundle","id":"bundle--1","objects":[' + b",".join(bodies) + b"]}")
    return path


def load(store: Store, *paths: Path, name: str = "file") -> Collected:
    source = BundleFiles(paths, default_tlp=Tlp.AMBER, name=name)
    return collect(source, store.unit, utcnow)


def changes(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        return {
            table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()  # noqa: S608 - of this list
            for table in ("intel_object", "intel_feed_object", "intel_conflict", "set_aside")
        }


def test_a_file_that_passed_whole_is_not_read_again(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", *GOOD)

    assert load(store, path).counts == AddCounts(new=len(GOOD))
    before = changes(store)
    again = load(store, path)

    assert again.counts == AddCounts(duplicate=len(GOOD))
    assert changes(store) == before
    # From somebody else it is news: who delivers it is kept.
    assert load(store, path, name="other").counts == AddCounts(duplicate=len(GOOD))
    with store.unit() as unit:
        assert unit.intel.feeds(json.loads(GOOD[0])["id"]) == ("file", "other")


def test_a_file_that_did_not_pass_whole_is_read_again_and_says_so(
    store: Store, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.json", *GOOD, faulty_intel())

    first, second = load(store, path), load(store, path)

    assert [one.reason for one in second.set_aside] == [one.reason for one in first.set_aside]
    assert changes(store)["set_aside"] == 1
    with store.unit() as unit:
        (health,) = unit.feeds.health()
    assert (health.set_aside, health.totals) == (1, AddCounts(new=6, duplicate=6))


def test_a_changed_file_is_read(store: Store, tmp_path: Path) -> None:
    load(store, write(tmp_path / "a.json", *GOOD[:3]))

    assert load(store, write(tmp_path / "a.json", *GOOD)).counts == AddCounts(new=3, duplicate=3)


def again(**more: Any) -> CheckAgain:
    return CheckAgain(FeedRules(Tlp.AMBER), **more)


def quarantined(store: Store, payload: bytes, feed: str = "sector", place: str = "object") -> None:
    item = SetAside(
        kind=InputKind.INTEL, source="s", place=place, reason="old rules", payload=payload
    )
    with store.unit() as unit:
        unit.quarantine.add([item], at=utcnow(), feed=feed)
        unit.commit()


def test_what_passes_now_is_taken_with_its_feed_and_waits_no_more(store: Store) -> None:
    quarantined(store, GOOD[0])
    quarantined(store, faulty_intel())

    done = replay(store.unit, again(), utcnow)

    assert (done.tried, done.taken, done.counts) == (2, 1, AddCounts(new=1))
    assert [one.reason for one in done.refused] == ["has no valid_from"]
    with store.unit() as unit:
        (waiting,) = unit.quarantine.kept()
        assert waiting.item.reason == "has no valid_from"
        assert waiting.tried_at is not None
        assert unit.intel.feeds(json.loads(GOOD[0])["id"]) == ("sector",)
    assert replay(store.unit, again(), utcnow).taken == 0


def test_the_rules_of_the_feed_count_when_it_is_tried_again(store: Store) -> None:
    unmarked = {k: v for k, v in orjson.loads(GOOD[0]).items() if k != "object_marking_refs"}
    quarantined(store, orjson.dumps(unmarked))
    other = next(body for body in GOOD if json.loads(body)["type"] != unmarked["type"])
    quarantined(store, other)
    wanted = Selection.of(types=[unmarked["type"]])

    replay(store.unit, again(feeds={"sector": FeedRules(Tlp.RED, wanted)}), utcnow)

    with store.unit() as unit:
        held = unit.intel.get(unmarked["id"])
        assert held is not None
        assert held.tlp is Tlp.RED
        assert unit.intel.get(json.loads(other)["id"]) is None


def test_a_whole_file_is_tried_again_as_a_file(store: Store) -> None:
    quarantined(store, b'{"objects":[' + b",".join(GOOD) + b"]}", place="file")
    quarantined(store, b"hello", place="file")

    done = replay(store.unit, again(), utcnow)

    assert (done.taken, done.counts.new) == (1, len(GOOD))


def test_what_is_kept_in_part_is_not_tried(store: Store) -> None:
    quarantined(store, b'{"a":"' + b"x" * 2_000_000)

    assert replay(store.unit, again(), utcnow).cut == 1


MAKER, OTHER = (f"identity--{n * 8}-1111-4111-8111-111111111111" for n in ("a", "b"))


def tool(maker: str | None, modified: str, **more: object) -> bytes:
    made = {"created_by_ref": maker} if maker else {}
    return orjson.dumps({
        "type": "tool", "spec_version": "2.1", "id": "tool--cccccccc-1111-4111-8111-111111111111",
        "created": "2026-01-01T00:00:00.000Z", "modified": f"2026-0{modified}-01T00:00:00.000Z",
        "name": "PsExec", **made, **more,
    })  # fmt: skip


@pytest.mark.parametrize("intruder", [OTHER, None])
@pytest.mark.parametrize("revoked", [False, True])
def test_only_its_maker_changes_or_revokes_an_object(
    store: Store, tmp_path: Path, intruder: str | None, *, revoked: bool
) -> None:
    load(store, write(tmp_path / "a.json", tool(MAKER, "1")), name="theirs")

    hostile = tool(intruder, "2", revoked=revoked, name="PsExec, harmless")
    refused = load(store, write(tmp_path / "b.json", hostile), name="hostile")
    again = load(store, tmp_path / "b.json", name="hostile")
    tried = replay(store.unit, CheckAgain(FeedRules(Tlp.AMBER)), utcnow)

    assert [len(one.set_aside) for one in (refused, again)] == [1, 1]
    (told,) = refused.set_aside
    assert (told.payload, told.source) == (hostile, "hostile")
    assert MAKER in told.reason
    assert (tried.taken, len(tried.refused)) == (0, 1)
    with store.unit() as unit:
        held = unit.intel.get("tool--cccccccc-1111-4111-8111-111111111111")
        assert held is not None
        assert (held.content["name"], held.revoked, held.created_by) == ("PsExec", False, MAKER)
        assert unit.intel.feeds(held.id) == ("theirs",)


def test_its_maker_revokes_an_object_through_any_feed(store: Store, tmp_path: Path) -> None:
    load(store, write(tmp_path / "a.json", tool(MAKER, "1")), name="theirs")
    by_other_way = load(store, write(tmp_path / "b.json", tool(MAKER, "2", revoked=True)), name="x")
    assert by_other_way.counts == AddCounts(updated=1)
    assert by_other_way.set_aside == ()
    with store.unit() as unit:
        held = unit.intel.get("tool--cccccccc-1111-4111-8111-111111111111")
    assert held is not None
    assert held.revoked


def test_of_two_makers_in_one_delivery_the_first_has_it(store: Store, tmp_path: Path) -> None:
    both = write(tmp_path / "a.json", tool(MAKER, "1"), tool(OTHER, "2", name="mine now"))

    told = load(store, both)

    assert (told.counts, len(told.set_aside)) == (AddCounts(new=1), 1)


def test_an_object_that_names_no_maker_may_be_changed_by_anybody(
    store: Store, tmp_path: Path
) -> None:
    load(store, write(tmp_path / "a.json", tool(None, "1")), name="one")

    assert load(store, write(tmp_path / "b.json", tool(OTHER, "2")), name="two").counts == (
        AddCounts(updated=1)
    )
