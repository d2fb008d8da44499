"""Rules at SIEMs: sent to each by its own leave, seen there, and the switch left to operators."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from huntonce.connectors.detections.memory import MemoryDetections
from huntonce.models.detection import Detection, HeldRule
from huntonce.models.errors import TerminalError
from huntonce.models.proposal import ProposalState
from huntonce.models.stages.approve import decide
from huntonce.models.stages.certify import deploy, find
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.drifting import DriftLine, Sort, drift
from huntonce.models.stages.guard import retire
from huntonce.models.stages.operate import carry_out, default_window, find_target
from tests.support.kits import AUTO, Bench, bench, intrusion, quiet_day, with_kit


def hunted(folder: Path, siem: Any, deploys: str = "auto") -> Bench:
    """A hunt that promoted one detection, with a SIEM that it is deployed to."""
    plain = bench(folder, [*quiet_day(), *intrusion()], approvals={**AUTO, "deploy": deploys})
    plain.rules._name = "lake"
    made = with_kit(plain, targets={"far": siem})
    carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    return made


@pytest.fixture
def far() -> MemoryDetections:
    return MemoryDetections("far")


@pytest.fixture
def made(tmp_path: Path, far: MemoryDetections) -> Bench:
    return hunted(tmp_path, far)


def the(made: Bench) -> Detection:
    with made.unit() as unit:
        return find(unit, "D-1")


def places(made: Bench) -> dict[str, str]:
    return {d.siem: d.observed for d in the(made).deployments}


def told(lines: tuple[DriftLine, ...]) -> list[tuple[str, str, str, str]]:
    return [(line.where, line.part, line.why, line.sort.value) for line in lines]


def test_a_detection_goes_to_each_siem_and_is_off_there(made: Bench, far: MemoryDetections) -> None:
    assert set(far.live) == set(made.rules.live) == {the(made).rule_id}
    assert places(made) == {"lake": "enabled", "far": "disabled"}


def test_what_goes_to_a_siem_is_put_before_people_and_what_stays_is_not(
    tmp_path: Path, far: MemoryDetections
) -> None:
    made = hunted(tmp_path, far, deploys="own")
    assert (len(made.rules.live), len(far.live)) == (1, 0)

    with made.unit() as unit:
        (waiting,) = unit.proposals.list(ProposalState.PENDING)
    assert waiting.target == "far"
    decide(made.kit, waiting.id, approve=True, by="ann")
    dispatch(made.kit)

    assert set(far.live) == {the(made).rule_id}


def test_a_siem_that_is_down_holds_the_store_of_rules_up_no_longer_than_itself(
    tmp_path: Path, far: MemoryDetections
) -> None:
    far.fail_before = 1
    made = hunted(tmp_path, far)
    assert places(made) == {"lake": "enabled", "far": ""}
    assert ("far", "deployment", "disabled, not there", "drift") in told(drift(made.kit))

    dispatch(made.kit)

    assert places(made) == {"lake": "enabled", "far": "disabled"}


def test_off_is_shown_and_is_no_drift_and_switched_off_is_told_from_it(
    made: Bench, far: MemoryDetections
) -> None:
    rule_id = the(made).rule_id
    assert told(drift(made.kit)) == [("far", "switch", "off", "switch")]
    far.on.add(rule_id)
    assert drift(made.kit) == ()
    assert places(made)["far"] == "enabled"

    far.on.discard(rule_id)

    for _ in range(2):
        assert told(drift(made.kit)) == [("far", "switch", "switched off", "switch")]
    made.clock.pass_by(minutes=1)
    deploy(made.kit, "D-1", overwrite=True)
    dispatch(made.kit)
    assert (places(made)["far"], far.on) == ("switched off", set())


def test_a_rule_that_differs_is_missing_or_unknown_at_a_siem_is_drift(
    made: Bench, far: MemoryDetections
) -> None:
    rule_id = the(made).rule_id
    far.on.add(rule_id)
    mine = far.live[rule_id]
    other = "2f6a8c1e-0000-4000-8000-00000000abcd"
    edited = str(mine["rule"]).replace("4698", "4702")

    far.live = {rule_id: {**mine, "rule": edited}, other: mine}
    assert told(drift(made.kit)) == [
        ("far", "rule", "changed", "drift"),
        ("far", "rule", "unknown", "drift"),
    ]
    far.live = {}
    far.on.clear()
    assert told(drift(made.kit)) == [("far", "rule", "missing", "drift")]
    made.clock.pass_by(minutes=1)
    deploy(made.kit, "D-1", overwrite=True)
    dispatch(made.kit)
    assert told(drift(made.kit)) == [("far", "switch", "switched off", "switch")]


def test_a_siem_that_does_not_answer_is_not_taken_for_one_without_drift(
    made: Bench, far: MemoryDetections
) -> None:
    far.refuse = "not allowed"

    (line,) = drift(made.kit)

    assert (line.where, line.sort) == ("far", Sort.UNSEEN)
    assert line.why == "could not look: not allowed"


class WriteOnly:
    """A store that cannot be read back."""

    name = "far"

    def find(self, key: str) -> str | None:
        return key

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        assert detection["rule"]
        return key

    def retire(self, remote_id: str) -> None:
        raise TerminalError(f"no {remote_id}")


class Marks(WriteOnly):
    """One that keeps no texts, but a mark that somebody edited the query."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def deploy(self, key: str, detection: Mapping[str, object]) -> str:
        self.ids = [key]
        return super().deploy(key, detection)

    def held(self) -> list[HeldRule]:
        return [HeldRule(rule_id=one, enabled=True, untouched=False) for one in self.ids]


def test_a_siem_that_cannot_be_read_back_says_so(tmp_path: Path) -> None:
    lines = drift(hunted(tmp_path, WriteOnly()).kit)

    assert told(lines) == [("far", "store", "its rules cannot be read back", "unseen")]


def test_marks_without_texts_show_a_query_that_was_edited_and_a_rule_that_is_gone(
    tmp_path: Path,
) -> None:
    marks = Marks()
    made = hunted(tmp_path, marks)

    assert told(drift(made.kit)) == [("far", "queries", "changed", "drift")]
    marks.ids = []
    assert told(drift(made.kit)) == [("far", "rule", "missing", "drift")]


def test_a_retired_detection_leaves_every_siem_and_one_that_lost_it_is_no_fault(
    made: Bench, far: MemoryDetections
) -> None:
    far.live = {}
    made.clock.pass_by(minutes=1)

    retire(made.kit, "D-1", reason="test", force=True)

    assert dispatch(made.kit).failed == ()
    assert made.rules.live == {}
    assert places(made) == {"lake": "retired", "far": "retired"}
