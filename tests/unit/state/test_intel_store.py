import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.intel import AddCounts, IntelObject
from huntonce.models.state.intel_write import normal_time
from huntonce.models.state.store import Store
from tests.unit.state.examples import NOW, a_hypothesis, an_intel_object

TOOL = "tool--00000000-0000-4000-8000-000000000001"
OTHER = "tool--00000000-0000-4000-8000-000000000002"
MALWARE = "malware--00000000-0000-4000-8000-000000000003"
ADDRESS = "ipv4-addr--00000000-0000-5000-8000-000000000004"


def add(store: Store, *objects: IntelObject, feed: str = "feed") -> AddCounts:
    with store.unit() as unit:
        counts = unit.intel.add(objects, feed=feed, at=NOW)
        unit.commit()
    return counts


def latest(store: Store, *types: str) -> list[IntelObject]:
    with store.unit() as unit:
        return list(unit.intel.latest(*types))


def version(day: int, fraction: str = ".000") -> str:
    return f"2026-01-{day:02d}T00:00:00{fraction}Z"


def test_an_object_comes_back_byte_for_byte(store: Store) -> None:
    body = b'{ "type": "tool",\n "id": "' + TOOL.encode() + b'", "name": "a tool" }'
    item = an_intel_object(TOOL, body=body)

    add(store, item)

    with store.unit() as unit:
        assert unit.intel.get(TOOL) == item
        assert unit.intel.get(OTHER) is None


def test_new_updated_and_duplicate_are_told_apart(store: Store) -> None:
    one, two = an_intel_object(TOOL, version(1)), an_intel_object(TOOL, version(2))

    assert add(store, one) == AddCounts(new=1)
    assert add(store, two) == AddCounts(updated=1)
    assert add(store, one, two, an_intel_object(OTHER)) == AddCounts(new=1, duplicate=2)


def test_versions_within_one_batch_are_counted_the_same_way(store: Store) -> None:
    one, two = an_intel_object(TOOL, version(1)), an_intel_object(TOOL, version(2))

    assert add(store, two, one, one) == AddCounts(new=1, updated=1, duplicate=1)


def test_an_empty_batch_is_nothing(store: Store) -> None:
    assert add(store) == AddCounts()


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_the_newest_version_counts_whatever_the_order_of_arrival(
    store: Store, order: Sequence[int]
) -> None:
    for day in order:
        add(store, an_intel_object(TOOL, version(day), name=f"day {day}"))

    assert [item.content["name"] for item in latest(store)] == ["day 3"]
    with store.unit() as unit:
        newest = unit.intel.get(TOOL)
    assert newest is not None
    assert newest.version == version(3)


def test_versions_are_compared_as_times_not_as_texts(store: Store) -> None:
    # As texts "…00Z" sorts after "…00.5Z".
    add(store, an_intel_object(TOOL, version(1, ".5"), name="later"))
    add(store, an_intel_object(TOOL, version(1, ""), name="earlier"))

    assert [item.content["name"] for item in latest(store)] == ["later"]


def test_the_same_instant_in_another_precision_is_the_same_version(store: Store) -> None:
    add(store, an_intel_object(TOOL, version(1, "")))

    assert add(store, an_intel_object(TOOL, version(1, ".000"))) == AddCounts(duplicate=1)


def test_a_revoked_object_is_left_out_and_still_found_by_id(store: Store) -> None:
    add(store, an_intel_object(TOOL, version(1)), an_intel_object(OTHER))
    add(store, an_intel_object(TOOL, version(2), revoked=True))

    assert [item.id for item in latest(store)] == [OTHER]
    with store.unit() as unit:
        found = unit.intel.get(TOOL)
    assert found is not None
    assert found.revoked


def test_types_narrow_what_is_read(store: Store) -> None:
    add(store, an_intel_object(TOOL), an_intel_object(MALWARE), an_intel_object(ADDRESS, ""))

    assert [item.id for item in latest(store, "tool")] == [TOOL]
    assert [item.id for item in latest(store, "malware", "ipv4-addr")] == [MALWARE, ADDRESS]
    assert len(latest(store)) == 3


def test_an_object_without_version_is_known_by_its_content(store: Store) -> None:
    one, two = (an_intel_object(ADDRESS, "", name=name) for name in ("one", "two"))

    assert add(store, one, one) == AddCounts(new=1, duplicate=1)
    assert add(store, two) == AddCounts(updated=1)
    assert [item.content["name"] for item in latest(store)] == ["two"]


def test_other_white_space_is_no_other_content(store: Store) -> None:
    add(store, an_intel_object(TOOL))
    spaced = an_intel_object(TOOL, body=b'{"name": "a tool", "type": "tool", "id": "x"}')

    assert add(store, spaced, feed="second") == AddCounts(duplicate=1)
    assert store.intel_conflicts() == ()


def test_other_content_under_the_same_version_is_a_duplicate_that_can_be_seen(
    store: Store,
) -> None:
    add(store, an_intel_object(TOOL, name="first"))

    assert add(store, an_intel_object(TOOL, name="second"), feed="b") == AddCounts(duplicate=1)
    assert add(store, an_intel_object(TOOL, name="third"), feed="b") == AddCounts(duplicate=1)

    assert [item.content["name"] for item in latest(store)] == ["first"]
    conflicts = store.intel_conflicts()
    assert [(c.object_id, c.feed) for c in conflicts] == [(TOOL, "b")]
    assert b"second" in conflicts[0].body


def test_feeds_are_remembered_for_every_delivery(store: Store) -> None:
    add(store, an_intel_object(TOOL), feed="b")
    add(store, an_intel_object(TOOL), feed="a")
    add(store, an_intel_object(TOOL, version(9)), feed="a")

    with store.unit() as unit:
        assert unit.intel.feeds(TOOL) == ("a", "b")
        assert unit.intel.feeds(OTHER) == ()


def test_cursors_are_kept_by_feed_and_only_with_commit(store: Store) -> None:
    with store.unit() as unit:
        unit.intel.set_cursor("a", "1")
        unit.intel.set_cursor("a", "2")
        unit.commit()
        unit.intel.set_cursor("b", "3")

    with store.unit() as unit:
        assert (unit.intel.cursor("a"), unit.intel.cursor("b")) == ("2", None)


def test_a_unit_may_write_while_it_reads_objects(store: Store) -> None:
    ids = [f"tool--00000000-0000-4000-8000-{number:012d}" for number in range(2_500)]
    add(store, *(an_intel_object(object_id) for object_id in ids))

    with store.unit() as unit:
        seen: list[str] = []
        for item in unit.intel.latest():
            if len(seen) % 500 == 0:
                unit.hypotheses.add(a_hypothesis(f"T{len(seen)}"), actor="a", why="b")
            seen.append(item.id)

    assert seen == ids


def test_hostile_texts_are_stored_without_what_databases_refuse(store: Store) -> None:
    item = an_intel_object(TOOL)
    add(store, item, feed="name\0of\ud800feed")

    with store.unit() as unit:
        assert unit.intel.feeds(TOOL) == ("name\ufffdof\ufffdfeed",)


def test_integers_beyond_64_bits_come_back(store: Store) -> None:
    body = orjson.dumps({"type": "tool", "id": TOOL})[:-1] + b',"n":' + b"9" * 30 + b"}"
    add(store, an_intel_object(TOOL, body=body))

    assert latest(store)[0].body == body


@given(
    st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9000, 1, 1)),  # noqa: DTZ001 - the zone is the text's Z
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1)),
    st.integers(0, 3),
)
def test_normal_times_sort_as_the_times_do(moment: datetime, step: timedelta, zeros: int) -> None:
    texts = [
        f"{when.isoformat()}{'.0' if not when.microsecond else ''}{'0' * zeros}Z"
        for when in (moment, moment + step)
    ]
    first, second = map(normal_time, texts)

    assert (first < second) == bool(step)
    assert (first == second) == (not step)


def test_a_random_feed_agrees_with_a_plain_model(store: Store) -> None:
    chance = random.Random(7)  # noqa: S311 - no secret
    held: dict[str, dict[str, IntelObject]] = {}
    for _ in range(30):
        batch = [
            an_intel_object(
                f"tool--00000000-0000-4000-8000-{chance.randrange(12):012d}",
                version(chance.randrange(1, 9)),
                revoked=chance.random() < 0.2,
            )
            for _ in range(chance.randrange(8))
        ]
        expected = AddCounts()
        for item in batch:
            versions = held.setdefault(item.id, {})
            if item.version in versions:
                expected += AddCounts(duplicate=1)
            else:
                expected += AddCounts(updated=1) if versions else AddCounts(new=1)
                versions[item.version] = item
        assert add(store, *batch) == expected

    newest = {key: versions[max(versions)] for key, versions in held.items()}
    wanted = {key: item.version for key, item in newest.items() if not item.revoked}
    assert {item.id: item.version for item in latest(store)} == wanted


def test_feeds_of_many_are_those_of_each(store: Store) -> None:
    add(store, an_intel_object(TOOL), an_intel_object(OTHER), feed="b")
    add(store, an_intel_object(TOOL), feed="a")

    with store.unit() as unit:
        assert unit.intel.feeds_of([TOOL, OTHER, MALWARE]) == {TOOL: ("a", "b"), OTHER: ("b",)}
        assert unit.intel.feeds_of([]) == {}


def test_revoked_objects_are_listed_on_demand_only(store: Store) -> None:
    add(store, an_intel_object(TOOL), an_intel_object(OTHER, version(2), revoked=True))

    with store.unit() as unit:
        assert [item.id for item in unit.intel.latest()] == [TOOL]
        assert {item.id for item in unit.intel.latest(revoked=True)} == {TOOL, OTHER}
        assert [item.id for item in unit.intel.latest("tool", revoked=True)] == [TOOL, OTHER]
