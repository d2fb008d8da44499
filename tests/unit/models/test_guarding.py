"""The life of a detection as a state machine, and the record of its service."""

from datetime import date, timedelta
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.models.alert import alerts_of
from huntonce.models.conditions import polarity
from huntonce.models.detecting import poisson_interval
from huntonce.models.detection import (
    LADDER,
    ON_DUTY,
    TRANSITIONS,
    Certificate,
    Detection,
    DetectionState,
    rises,
)
from huntonce.models.errors import DomainError
from huntonce.models.guarding import check_step, record, sole_cover
from huntonce.models.query import EVENT_COLUMNS
from tests.support.builders import T0

STATES = st.sampled_from(list(DetectionState))


def certificate(allows: DetectionState) -> Certificate:
    return Certificate(
        rule_sha256="",
        fixtures=(),
        fired=1,
        expected=1,
        benign_hits=0,
        benign_events=0,
        days=1,
        alerts_a_day=0,
        interval=(0, 1),
        hosts=1,
        top_share=1,
        branches=(),
        siems=(),
        holds=allows is not DetectionState.DRAFT,
        allows=allows,
    )


def detection(
    state: DetectionState = DetectionState.EXPERIMENTAL,
    rule_id: str = "r",
    proof: Certificate | None = None,
    technique: str = "T1053.005",
) -> Detection:
    return Detection(
        id="D-1",
        rule_id=rule_id,
        title="t",
        technique_ids=(technique,),
        hypothesis_key="h",
        hunt_name="h",
        analytic="a",
        level="high",
        rule="title: t",
        atoms=(),
        state=state,
        certificate=proof,
        since=T0,
    )


# ---------------------------------------------------------------- the state machine


@given(state=STATES, to=STATES, allows=st.sampled_from(LADDER), with_proof=st.booleans())
def test_nobody_rises_above_the_certificate(
    state: DetectionState, to: DetectionState, allows: DetectionState, *, with_proof: bool
) -> None:
    one = detection(state, proof=certificate(allows) if with_proof else None)
    try:
        check_step(one, to, broken=(), stale=())
    except DomainError:
        return
    assert to in TRANSITIONS[state]
    if rises(state, to):
        assert with_proof
        assert LADDER.index(to) <= LADDER.index(allows)


@given(st.lists(STATES, min_size=1, max_size=12))
def test_whoever_is_stable_was_test_and_experimental_before(steps: list[DetectionState]) -> None:
    one = detection(DetectionState.DRAFT, proof=certificate(DetectionState.STABLE))
    walked = [one.state]
    for to in steps:
        if to in TRANSITIONS[walked[-1]]:
            walked.append(to)
    for before, after in pairwise(walked):
        if after is DetectionState.STABLE:
            assert before is DetectionState.TEST
        if after is DetectionState.TEST:
            assert before in {DetectionState.EXPERIMENTAL, DetectionState.STABLE}


def test_every_state_can_be_left_and_every_detection_retired() -> None:
    assert set(TRANSITIONS) == set(DetectionState)
    assert all(TRANSITIONS.values())
    for state in DetectionState:
        assert state is DetectionState.RETIRED or DetectionState.RETIRED in TRANSITIONS[state]


@pytest.mark.parametrize("fault", ["broken", "stale"])
def test_a_proof_that_is_broken_or_old_lifts_nobody_and_stops_no_fall(fault: str) -> None:
    one = detection(proof=certificate(DetectionState.STABLE))
    faults = {"broken": (), "stale": (), fault: ("so it is",)}

    with pytest.raises(DomainError, match="so it is"):
        check_step(one, DetectionState.TEST, **faults)
    check_step(one, DetectionState.RETIRED, **faults)


# ---------------------------------------------------------------- cover


@given(st.lists(st.tuples(STATES, st.booleans()), max_size=5))
def test_cover_is_sole_unless_another_on_duty_with_proof_shares_it(
    others: list[tuple[DetectionState, bool]],
) -> None:
    mine = detection(rule_id="mine")
    held = certificate(DetectionState.EXPERIMENTAL)
    company = [
        detection(state, f"r{number}", held if proven else None)
        for number, (state, proven) in enumerate(others)
    ]

    alone = sole_cover(mine, [mine, *company])

    helped = any(state in ON_DUTY and proven for state, proven in others)
    assert alone == (() if helped else ("T1053.005",))


def test_company_at_another_technique_is_no_company() -> None:
    other = detection(rule_id="o", proof=certificate(DetectionState.TEST), technique="T1047")

    assert sole_cover(detection(), [other]) == ("T1053.005",)


# ---------------------------------------------------------------- service


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from("AB")), max_size=40))
def test_days_add_up_to_the_events_and_know_their_ends(events: list[tuple[int, str]]) -> None:
    rows = [
        {"uid": f"{hour}{host}{number}", "time": T0 + timedelta(hours=hour), "host": host,
         "channel": "c", "event_id": 1, "record_id": None}
        for number, (hour, host) in enumerate(events)
    ]  # fmt: skip
    days = alerts_of("r", "lake", pa.Table.from_pylist(rows, pa.schema(list(EVENT_COLUMNS))))

    served = record(detection(), days, (), ())

    assert sum(day.count for day in days) == served.alerts == served.open == len(events)
    assert [day.day for day in days] == sorted({day.day for day in days})
    assert all(day.first.date() == day.day == day.last.date() for day in days)
    assert served.hosts == len({host for _, host in events})
    assert isinstance(days[0].day, date) if days else served.last is None


@settings(deadline=None)
@given(st.integers(1, 150), st.floats(0.1, 400))
def test_the_interval_is_where_the_poisson_tails_are_a_fortieth(events: int, days: float) -> None:
    low, high = (bound * days for bound in poisson_interval(events, days))

    assert _at_most(events, high) == pytest.approx(0.025, rel=1e-3)
    assert 1 - _at_most(events - 1, low) == pytest.approx(0.025, rel=1e-3)


def _at_most(count: int, mean: float) -> float:
    """P(X <= count) of a Poisson variable, by the recurrence of its terms."""
    term = total = 1.0
    for k in range(1, count + 1):
        term *= mean / k
        total += term
    from math import exp  # noqa: PLC0415 - the one use

    return total * exp(-mean)


# ---------------------------------------------------------------- conditions


NAMES = ["selection_a", "selection_b", "filter_x", "filter_y"]


@pytest.mark.parametrize(
    ("condition", "asked", "excluded"),
    [
        ("all of selection_*", {"selection_a", "selection_b"}, set()),
        ("selection_a and not 1 of filter_*", {"selection_a"}, {"filter_x", "filter_y"}),
        ("selection_a and not (filter_x or not filter_y)", {"selection_a", "filter_y"},
         {"filter_x"}),
        ("1 of them", set(NAMES), set()),
        ("not filter_x and NOT not selection_a", {"selection_a"}, {"filter_x"}),
        ("(selection_a or filter_x) and not filter_x", {"selection_a", "filter_x"}, set()),
        ("selection_a", {"selection_a"}, set()),
        (")) not (", set(), set()),
    ],
)  # fmt: skip
def test_what_a_condition_asks_for_and_what_it_excludes(
    condition: str, asked: set[str], excluded: set[str]
) -> None:
    found = polarity(condition, NAMES)

    assert {name for name, wanted in found.items() if wanted} == asked
    assert {name for name, wanted in found.items() if not wanted} == excluded
