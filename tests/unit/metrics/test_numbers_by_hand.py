"""Every number of the programme, against the example that docs/metrics.md works out by hand."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.entity import Kind
from huntonce.models.errors import DomainError
from huntonce.models.metrics.gaps import remediation_hours
from huntonce.models.metrics.measure import measure
from huntonce.models.metrics.records import EVER, Period, Records, quantile
from huntonce.models.metrics.trends import trend
from huntonce.models.report.definitions import DEFINITIONS, TABLES
from tests.unit.metrics.metric_example import END, PERIOD, START, expected, log, records


def test_every_number_is_worked_out_on_the_page_and_comes_out_so() -> None:
    found = measure(records(), PERIOD)
    by_hand = expected()

    assert set(by_hand) == set(found.numbers) == set(DEFINITIONS)
    got = {name: number.value for name, number in found.numbers.items()}
    assert got == pytest.approx(by_hand, abs=1e-4)


def test_every_number_names_the_things_that_it_was_counted_from() -> None:
    numbers = measure(records(), PERIOD).numbers

    for name, definition in DEFINITIONS.items():
        if definition.unit == "count":
            assert len(numbers[name].rows) == numbers[name].value, name
    assert numbers["gaps_closed"].rows == ("GAP-1", "GAP-2")
    assert numbers["remediation_hours"].rows == ("GAP-1", "GAP-2")
    assert numbers["confirmed"].rows == ("H-1",)
    assert numbers["alert_precision"].rows == ("CASE-1", "CASE-2")


def test_the_tables_of_the_example() -> None:
    tables = measure(records(), PERIOD).tables

    assert set(tables) == set(TABLES)
    assert tables["gaps_open_by_kind_and_age"].rows == (("no source", 0, 1, 1, 0, 2),)
    assert tables["remediation_by_kind"].rows == (
        ("missing field", 1, 48, 48),
        ("no source", 1, 264, 264),
    )
    assert tables["remediation_by_owner"].rows[0][:3] == ("windows", 2, 156)
    assert tables["techniques_newly_guarded"].rows == (
        ("T1105", "D-3", "2026-03-09"),
        ("T1003.001", "D-2", "2026-03-16"),
    )
    assert tables["detections_by_source"].rows == (("security/4698", 2, "D-1, D-2"),)
    assert tables["yield_by_feed"].rows == (
        ("isac", 2, 2, 1, 1, 3, 1),
        ("own", 1, 1, 0, 1, 2, 0),
        ("vendor", 1, 1, 1, 1, 0, 0),
    )
    assert tables["yield_by_actor"].rows == (("APT1", 2, 2, 1, 1, 1, 1),)


def test_the_period_before_has_what_happened_then_and_nothing_of_now() -> None:
    before = PERIOD.before()
    assert before is not None
    found = measure(records(), before)

    assert (found["gaps_surfaced"], found["detections_promoted"], found["hunts"]) == (1, 1, 1)
    assert (found["gaps_open"], found["ruled_out_power"]) == (2, 0.9)
    assert found["detections_guarding"] is None
    assert found["not_hunted"] == 0


def test_nothing_recorded_is_none_and_not_zero() -> None:
    found = measure(Records(log=(), now=END))

    for name in ("remediation_hours", "alert_precision", "alerts_a_day", "case_hours"):
        assert found[name] is None
    assert (found["gaps_surfaced"], found["hunts"], found["ruled_out_power"]) == (0, 0, 0)
    assert trend(Records(log=(), now=END), EVER) == ()


def test_a_gap_is_measured_to_the_first_pass_of_the_run_that_verified_it() -> None:
    lives = Records(log=log(), now=END).of(Kind.GAP)

    assert remediation_hours(lives["GAP-1"]) == 264
    assert remediation_hours(lives["GAP-3"]) == 12
    assert remediation_hours(lives["GAP-5"]) is None
    again = list(lives["GAP-3"])
    for hours, state in ((2, "verifying"), (3, "remediating"), (30, "verifying"), (40, "closed")):
        last = again[-1]
        at = lives["GAP-3"][-1].at + timedelta(hours=hours)
        again.append(replace(last, before=last.after, after=state, at=at))
    assert remediation_hours(again) == 30


def test_a_period_that_ends_before_it_starts_is_refused_with_a_hint() -> None:
    with pytest.raises(DomainError) as caught:
        Period(start=END, end=START)
    assert caught.value.hint


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_quantile_lies_between_the_values_and_never_falls(values: list[float], q: float) -> None:
    found = quantile(values, q)

    assert found is not None
    assert min(values) <= found <= max(values)
    assert found <= (quantile(values, min(1.0, q + 0.1)) or 0) + 1e-6


@given(st.integers(1, 27))
def test_two_periods_that_meet_count_every_event_once(day: int) -> None:
    held = records()
    middle = START + timedelta(days=day)
    whole = measure(held, PERIOD)
    parts = [measure(held, Period(start=a, end=b)) for a, b in ((START, middle), (middle, END))]

    for name in ("gaps_surfaced", "detections_promoted", "cases_opened", "hunts", "hypotheses"):
        assert whole[name] == sum(part[name] or 0 for part in parts)
    assert whole["guarded_hours"] == sum(part["guarded_hours"] or 0 for part in parts)


def test_the_trend_adds_up_to_the_numbers() -> None:
    steps = trend(records(), PERIOD)
    found = measure(records(), PERIOD)

    assert (steps[0].start, steps[-1].end) == (START, END)
    assert sum(step.closed for step in steps) == 3  # GAP-3 too, which came back
    assert sum(step.surfaced for step in steps) == 4
    assert sum(step.promoted for step in steps) == found["detections_promoted"]
    assert sum(step.opened for step in steps) == found["cases_opened"]
    assert sum(sum(step.verdicts.values()) for step in steps) == found["hunts"]
    assert steps[-1].open == found["gaps_open"]
    assert steps[-1].watching == 2
