from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.detection import Deployment, Detection, DetectionState, guard_of
from huntonce.models.errors import DomainError
from huntonce.models.hypothesis import Hypothesis, HypothesisState, fingerprint
from huntonce.models.ledger import (
    Answer,
    Guard,
    Versions,
    add_hunted,
    consult,
    hunted_windows,
    join_hunted,
    still_hunted,
)
from huntonce.models.windows import HOUR, Window, merge, subtract

START = datetime(2026, 8, 1, tzinfo=UTC)
WANTED = Window(START, START + 24 * HOUR)


def span(first: int, last: int) -> Window:
    return Window(START + first * HOUR, START + last * HOUR)


def stored(*hunted: Window, **more: Any) -> Hypothesis:
    return Hypothesis(
        technique_id="T1053.005",
        technique_name="Scheduled Task",
        scope="windows",
        statement="An adversary is here.",
        hunted=tuple((w.start.isoformat(), w.end.isoformat()) for w in hunted),
        **more,
    )


def guard(**more: Any) -> Guard:
    values = {"detection_id": "D-1", "state": "experimental", "healthy": True}
    return Guard(**({"certified": True, "scheduled": True} | values | more))


def test_an_unknown_or_never_hunted_hypothesis_is_new() -> None:
    for hypothesis in (None, stored()):
        found = consult(hypothesis, wanted=WANTED)

        assert (found.answer, found.windows) == (Answer.NEW, (WANTED,))


def test_of_a_concluded_hunt_only_the_unseen_window_is_left() -> None:
    found = consult(stored(span(0, 10), span(12, 20)), wanted=WANTED)

    assert found.answer is Answer.CONCLUDED
    assert found.windows == (span(10, 12), span(20, 24))
    assert "still unseen" in found.why


def test_a_window_seen_whole_leaves_nothing_to_hunt() -> None:
    found = consult(stored(span(-5, 30)), wanted=WANTED)

    assert (found.answer, found.windows) == (Answer.CONCLUDED, ())
    assert "nothing is left unseen" in found.why


def test_a_detection_that_stands_guard_covers_it() -> None:
    broken = guard(detection_id="D-2", healthy=False)

    found = consult(stored(span(0, 1)), wanted=WANTED, guards=[broken, guard()])

    assert (found.answer, found.windows) == (Answer.COVERED, ())
    assert "D-1 stands guard" in found.why
    assert "D-2 does not" in found.why


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"healthy": False}, "its evidence does not arrive"),
        ({"healthy": None}, "its health was never checked"),
        ({"certified": False}, "its certificate does not hold"),
        ({"scheduled": False}, "it is not observed to run"),
    ],
)
def test_a_detection_that_does_not_stand_reopens_the_unseen_hours(
    fault: dict[str, Any], words: str
) -> None:
    found = consult(stored(span(0, 10)), wanted=WANTED, guards=[guard(**fault)])

    assert (found.answer, found.windows) == (Answer.COVERED_UNHEALTHY, (span(10, 24),))
    assert words in found.why


@pytest.mark.parametrize("state", ["draft", "deprecated", "retired"])
def test_a_detection_that_is_not_promoted_guards_nothing(state: str) -> None:
    found = consult(stored(span(0, 10)), wanted=WANTED, guards=[guard(state=state)])

    assert found.answer is Answer.CONCLUDED


@pytest.mark.parametrize("changed", ["logic", "evidence", "attack"])
def test_a_changed_version_makes_a_hunted_hypothesis_stale(changed: str) -> None:
    hypothesis = stored(span(0, 24), logic_version="1", evidence_version="1", attack_version="1")
    now = {"logic": "1", "evidence": "1", "attack": "1"}

    same = consult(hypothesis, wanted=WANTED, versions=Versions(**now))
    found = consult(
        hypothesis, wanted=WANTED, versions=Versions(**now | {changed: "2"}), guards=[guard()]
    )

    assert same.answer is Answer.CONCLUDED
    assert (found.answer, found.windows) == (Answer.STALE, (WANTED,))
    assert "1 to 2" in found.why


def test_a_changed_version_of_what_was_never_hunted_is_not_stale() -> None:
    found = consult(stored(logic_version="1"), wanted=WANTED, versions=Versions(logic="2"))

    assert found.answer is Answer.NEW


def test_a_live_run_is_waited_for_and_a_killed_one_is_not() -> None:
    hunting = stored(state=HypothesisState.HUNTING)

    assert consult(hunting, wanted=WANTED).answer is Answer.RUNNING
    assert consult(hunting, wanted=WANTED, running=[span(3, 4)]).answer is Answer.RUNNING
    assert consult(hunting, wanted=WANTED, running=[span(30, 40)]).answer is Answer.NEW
    assert consult(hunting, wanted=WANTED, running=[]).answer is Answer.NEW


def test_hunted_windows_that_are_no_times_are_a_domain_error() -> None:
    broken = stored(id="H-1")
    object.__setattr__(broken, "hunted", (("yesterday", "today"),))

    with pytest.raises(DomainError, match="H-1"):
        consult(broken, wanted=WANTED)


WINDOWS = st.builds(lambda a, n: span(a, a + n), st.integers(0, 100), st.integers(1, 40))


@given(st.lists(WINDOWS, max_size=12))
def test_hunting_what_the_ledger_says_never_looks_at_an_hour_twice(asked: list[Window]) -> None:
    hypothesis = stored()
    looked: list[datetime] = []

    for wanted in asked:
        for window in consult(hypothesis, wanted=wanted).windows:
            hours = int((window.end - window.start) / HOUR)
            looked.extend(window.start + n * HOUR for n in range(hours))
            object.__setattr__(hypothesis, "hunted", add_hunted(hypothesis, window))

    wished = {w.start + n * HOUR for w in asked for n in range(int((w.end - w.start) / HOUR))}
    assert len(looked) == len(set(looked))
    assert set(looked) == wished


@given(st.lists(WINDOWS, max_size=6), WINDOWS)
def test_adding_a_window_keeps_what_was_seen(seen: list[Window], more: Window) -> None:
    hypothesis = stored(*seen)
    object.__setattr__(hypothesis, "hunted", add_hunted(hypothesis, more))

    after = hunted_windows(hypothesis)

    assert all(any(a.start <= w.start and w.end <= a.end for a in after) for w in [*seen, more])
    assert add_hunted(hypothesis, more) == hypothesis.hunted


@given(
    st.text(min_size=1, max_size=12),
    st.text(max_size=12),
    st.lists(st.text(max_size=8), max_size=4),
)
def test_the_fingerprint_ignores_case_and_order_but_not_the_parameters(
    technique_id: str, scope: str, parameters: list[str]
) -> None:
    key = fingerprint(technique_id, scope, tuple(parameters))

    assert key == fingerprint(technique_id, scope, tuple(reversed(parameters)))
    assert key != fingerprint(technique_id, scope, (*parameters, "more"))
    assert len(key) == 32


def test_the_fingerprint_of_a_stored_hypothesis_does_not_move() -> None:
    assert stored().key == fingerprint("t1053.005", "Windows")
    assert stored(logic_version="9").key == stored(span(0, 1)).key
    assert fingerprint("T1053.005", "windows") == "f86612e6322170710e657e5083149b31"


def test_hunted_windows_are_recorded_in_utc() -> None:
    hypothesis = stored()

    assert add_hunted(hypothesis, span(0, 1)) == (
        ("2026-08-01T00:00:00+00:00", "2026-08-01T01:00:00+00:00", "lake"),
    )


@given(st.lists(st.tuples(WINDOWS, st.sampled_from(["lake", "splunk"])), max_size=8), WINDOWS)
def test_what_was_seen_on_one_siem_says_nothing_of_another(
    seen: list[tuple[Window, str]], wanted: Window
) -> None:
    hypothesis = stored()
    for window, siem in seen:
        hypothesis = replace(hypothesis, hunted=add_hunted(hypothesis, window, siem))

    for siem in ("lake", "splunk", "sentinel"):
        there = [window for window, name in seen if name == siem]
        assert consult(hypothesis, wanted=wanted, siem=siem).windows == subtract(wanted, there)


def test_windows_recorded_before_siems_were_told_apart_are_of_the_lake() -> None:
    assert consult(stored(span(0, 24)), wanted=WANTED).answer is Answer.CONCLUDED
    assert consult(stored(span(0, 24)), wanted=WANTED, siem="splunk").answer is Answer.NEW


@given(st.lists(WINDOWS, max_size=4), st.lists(WINDOWS, max_size=4))
def test_two_hypotheses_that_become_one_keep_what_either_saw_where_it_saw_it(
    lake: list[Window], splunk: list[Window]
) -> None:
    one, other = stored(*lake), stored()
    for window in splunk:
        other = replace(other, hunted=add_hunted(other, window, "splunk"))

    joined = replace(one, hunted=join_hunted(one, other))

    assert hunted_windows(joined, "lake") == merge(lake)
    assert hunted_windows(joined, "splunk") == merge(splunk)


def test_what_was_hunted_with_other_versions_does_not_count_beside_a_newer_hunt() -> None:
    hypothesis = stored(span(0, 24), logic_version="1")

    assert still_hunted(hypothesis, Versions(logic="1")) == hypothesis.hunted
    assert still_hunted(hypothesis, Versions(logic="2")) == ()


def test_a_detection_that_runs_on_another_siem_stands_no_guard_on_this_one() -> None:
    detection = Detection(
        rule_id="r", title="t", rule="title: t", technique_ids=("T1053.005",), level="high",
        hypothesis_key="k", hunt_name="h", analytic="a", atoms=(), state=DetectionState.STABLE,
        healthy=True,
        deployments=(Deployment(siem="splunk", desired="enabled", observed="enabled"),),
    )  # fmt: skip

    assert guard_of(detection).scheduled
    assert guard_of(detection, "splunk").scheduled
    assert not guard_of(detection, "lake").scheduled
