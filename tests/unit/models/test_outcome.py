"""The verdict of a hunt, and that it ends in something."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.errors import DomainError
from huntonce.models.finding import Disposition
from huntonce.models.hunt import HuntRun, HuntState
from huntonce.models.hypothesis import Verdict
from huntonce.models.outcome import decide, name_outcomes, open_case
from huntonce.models.tlp import Tlp
from huntonce.models.visibility import Power
from tests.support.builders import T0, after, check, finding, hypothesis, power, ref

SUSPICIOUS = finding(state=Disposition.SUSPICIOUS)
EVIL = finding()
RAN = check()
REFUSED = check(executed=False, complete=False, why="denied")
ABSENT = check(executed=False)
CUT = check(complete=False, why="more events matched than were fetched")


@pytest.mark.parametrize(
    ("seen", "findings", "checks", "verdict"),
    [
        (power(1), [], [RAN], Verdict.RULED_OUT),
        (power(0.8), [], [RAN, ABSENT], Verdict.RULED_OUT),
        (power(0.79), [], [RAN], Verdict.INCONCLUSIVE),
        (power(1), [], [RAN, CUT], Verdict.INCONCLUSIVE),
        (power(1), [], [RAN, REFUSED], Verdict.INCONCLUSIVE),
        (power(1), [], [ABSENT], Verdict.BLOCKED),
        (power(1), [], [REFUSED], Verdict.BLOCKED),
        (power(1), [], [], Verdict.BLOCKED),
        (power(0, creation=0, execution=1), [], [RAN], Verdict.BLOCKED),
        (power(0, creation=0.5, execution=0.5), [], [RAN], Verdict.BLOCKED),
        (power(1), [SUSPICIOUS], [RAN], Verdict.INCONCLUSIVE),
        (power(0, creation=0), [SUSPICIOUS], [RAN], Verdict.INCONCLUSIVE),
        (power(1), [SUSPICIOUS, EVIL], [RAN], Verdict.CONFIRMED_MALICIOUS),
        (power(0, creation=0), [EVIL], [RAN, CUT], Verdict.CONFIRMED_MALICIOUS),
    ],
)
def test_the_verdict_follows_from_what_was_found_and_what_could_be_seen(
    seen: Any, findings: list[Any], checks: list[Any], verdict: Verdict
) -> None:
    assert decide(seen, findings, checks, floor=0.8)[0] is verdict


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.lists(st.sampled_from([RAN, REFUSED, ABSENT, CUT]), max_size=4),
    st.floats(0.01, 1),
)
def test_nothing_is_ruled_out_that_could_not_be_seen(
    value: float, group: float, checks: list[Any], floor: float
) -> None:
    verdict, why = decide(power(value, creation=group), [], checks, floor=floor)

    sound = (
        value >= floor
        and group > 0
        and any(one.executed for one in checks)
        and all(one.complete for one in checks)
    )
    assert (verdict is Verdict.RULED_OUT) == sound
    assert why


def test_a_blocked_verdict_says_what_does_not_arrive() -> None:
    _, why = decide(power(0, creation=0, execution=1), [], [RAN], floor=0.8)

    assert why.startswith("could not look: no trace of creation arrives")


def test_every_verdict_carries_its_power() -> None:
    for findings in ([], [SUSPICIOUS], [EVIL]):
        assert "80% seen" in decide(power(0.8), findings, [RAN], floor=0.8)[1]


# ---------------------------------------------------------------- outcomes and cases


def test_finding_nothing_is_an_outcome_too() -> None:
    assert name_outcomes(Verdict.RULED_OUT, [], [], [], []) == ("verdict ruled_out",)
    assert name_outcomes(Verdict.INCONCLUSIVE, [], [], [], ["too loud"]) == (
        "not automated: too loud",
        "verdict inconclusive",
    )


def test_only_malicious_findings_make_a_case() -> None:
    assert open_case(hypothesis(), [SUSPICIOUS], [], default_tlp=Tlp.AMBER, desk="d") is None


def test_a_case_holds_all_of_its_findings() -> None:
    first = finding(["a"], id="F-1", hosts=("PC2",), first=after(hours=1), last=after(hours=1))
    second = finding(["b"], id="F-2", hosts=("PC1",), accounts=("CORP\\bob",), entity="\\B")

    case = open_case(
        hypothesis(actors=("HERON",)),
        [first, SUSPICIOUS, second],
        [],
        default_tlp=Tlp.AMBER,
        desk="d",
    )

    assert case is not None
    assert case.finding_ids == ("F-1", "F-2")
    assert case.hosts == ("PC1", "PC2")
    assert case.accounts == ("CORP\\ann", "CORP\\bob")
    assert (case.first, case.last) == (T0, after(hours=1))
    assert [event.uid for event in case.events] == ["a", "b"]
    assert case.actors == ("HERON",)
    assert "and 1 more" in case.title


def test_a_case_is_the_same_whatever_the_order_of_its_findings() -> None:
    left, right = finding(["a"]), finding(["b"], entity="\\B")

    keys = {
        case.key
        for pair in ([left, right], [right, left])
        if (case := open_case(hypothesis(), pair, [], default_tlp=Tlp.AMBER, desk="d"))
    }

    assert len(keys) == 1


def test_an_event_of_two_findings_is_in_the_case_once() -> None:
    both = [finding(["a"]), finding(events=(ref("a"), ref("b")), entity="\\B")]

    case = open_case(hypothesis(), both, [], default_tlp=Tlp.AMBER, desk="d")

    assert case is not None
    assert len(case.events) == 2


# ---------------------------------------------------------------- runs


def run(**changes: Any) -> HuntRun:
    values: dict[str, Any] = {
        "hypothesis_key": "h",
        "hypothesis_id": "H-1",
        "hunt_name": "a-hunt",
        "technique_id": "T1053.005",
        "siem": "lake",
        "start": T0,
        "end": after(hours=1),
        "started_at": after(hours=2),
        **changes,
    }
    return HuntRun(**values)


CONCLUDED = {"state": HuntState.CONCLUDED, "outcomes": ("verdict",)}


@pytest.mark.parametrize("checks", [(), (ABSENT,), (REFUSED, ABSENT)])
def test_a_run_cannot_rule_out_without_an_executed_check(checks: tuple[Any, ...]) -> None:
    with pytest.raises(DomainError, match="executed check"):
        run(**CONCLUDED, verdict=Verdict.RULED_OUT, checks=checks)


@pytest.mark.parametrize("changes", [{"verdict": None}, {"outcomes": ()}])
def test_a_concluded_run_has_a_verdict_and_an_outcome(changes: dict[str, Any]) -> None:
    with pytest.raises(DomainError, match="concluded"):
        run(**{**CONCLUDED, "verdict": Verdict.BLOCKED, **changes})


def test_sound_runs_are_taken() -> None:
    assert run().verdict is None
    assert run(
        **CONCLUDED, verdict=Verdict.RULED_OUT, checks=(ABSENT, RAN), power=power(0.8), floor=0.8
    ).checks


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (None, "power statement"),
        (power(0.79), "under the floor"),
        (power(0.0), "power of 0"),
        (power(0.9, creation=0.9, actor=0.0), "nowhere"),
    ],
)
def test_a_run_cannot_rule_out_what_it_could_not_see(seen: Power | None, why: str) -> None:
    with pytest.raises(DomainError, match=why):
        run(**CONCLUDED, verdict=Verdict.RULED_OUT, checks=(RAN,), power=seen, floor=0.8)


def test_the_same_look_started_again_is_another_run() -> None:
    assert run().key == run(hunt_name="other").key
    assert run().key != run(started_at=after(hours=3)).key
