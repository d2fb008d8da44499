import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.errors import DomainError
from huntonce.models.windows import HOUR, Window, floor_hour, merge, subtract, utc

START = datetime(2026, 8, 1, tzinfo=UTC)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    first = draw(st.integers(0, 300))
    length = draw(st.integers(1, 120))
    return Window(START + first * HOUR / 2, START + (first + length) * HOUR / 2)


def moments(*spans: Window) -> set[datetime]:
    """Every half hour that the spans touch: all windows here start and end on one."""
    found = set()
    for span in spans:
        moment = span.start
        while moment < span.end:
            found.add(moment)
            moment += HOUR / 2
    return found


@given(windows(), st.lists(windows(), max_size=8))
def test_what_is_left_and_what_was_seen_cover_the_wanted_window_exactly(
    wanted: Window, seen: list[Window]
) -> None:
    left = subtract(wanted, seen)

    assert moments(*left) == moments(wanted) - moments(*seen)


@given(windows(), st.lists(windows(), max_size=8))
def test_what_is_left_is_sorted_and_disjoint(wanted: Window, seen: list[Window]) -> None:
    left = subtract(wanted, seen)

    assert all(a.end < b.start for a, b in itertools.pairwise(left))


@given(st.lists(windows(), max_size=8))
def test_merging_keeps_the_moments_and_merging_again_changes_nothing(spans: list[Window]) -> None:
    merged = merge(spans)

    assert moments(*merged) == moments(*spans)
    assert merge(merged) == merged
    assert merge(reversed(spans)) == merged
    assert all(a.end < b.start for a, b in itertools.pairwise(merged))


@given(windows(), windows())
def test_the_overlap_is_the_common_part_either_way_round(one: Window, other: Window) -> None:
    common = one.overlap(other)

    assert common == other.overlap(one)
    assert moments(*([common] if common else [])) == moments(one) & moments(other)


def test_windows_that_touch_become_one_and_do_not_overlap() -> None:
    first, second = Window(START, START + HOUR), Window(START + HOUR, START + 2 * HOUR)

    assert merge([second, first]) == (Window(START, START + 2 * HOUR),)
    assert first.overlap(second) is None
    assert not first.contains(first.end)
    assert first.contains(first.start)


@pytest.mark.parametrize(
    ("minutes", "length", "hours"), [(0, 60, 1), (0, 61, 2), (59, 2, 2), (30, 24 * 60, 25)]
)
def test_hours_counts_the_clock_hours_touched(minutes: int, length: int, hours: int) -> None:
    start = START + timedelta(minutes=minutes)

    assert Window(start, start + timedelta(minutes=length)).hours == hours


def test_an_empty_or_zoneless_window_is_refused() -> None:
    with pytest.raises(DomainError, match="end after it starts"):
        Window(START, START)
    with pytest.raises(DomainError, match="zone"):
        Window(START.replace(tzinfo=None), START + HOUR)


def test_times_become_utc() -> None:
    berlin = timezone(timedelta(hours=2))

    assert utc(datetime(2026, 8, 1, 2, tzinfo=berlin)).isoformat() == "2026-08-01T00:00:00+00:00"
    assert utc(datetime(2026, 8, 1)) == START  # noqa: DTZ001 - a naive time is the case
    assert floor_hour(START + timedelta(minutes=59, microseconds=7)) == START
    assert str(Window(START, START + HOUR)) == "2026-08-01 00:00 .. 2026-08-01 01:00 UTC"
