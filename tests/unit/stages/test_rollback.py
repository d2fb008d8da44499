"""Rollback: former content comes back everywhere, once, with its proof, whatever dies."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from huntonce.connectors.detections.memory import MemoryDetections
from huntonce.models.detection import Detection, DetectionState
from huntonce.models.errors import DomainError
from huntonce.models.guarding import write_filter
from huntonce.models.outbox import MessageState
from huntonce.models.proposal import ProposalState
from huntonce.models.sealing import broken
from huntonce.models.stages import dispatch as dispatching
from huntonce.models.stages.approve import decide
from huntonce.models.stages.certify import adopt, find, retune
from huntonce.models.stages.dispatch import STALE_AFTER, dispatch
from huntonce.models.stages.drifting import Sort, drift
from huntonce.models.stages.guard import retire
from huntonce.models.stages.operate import carry_out, default_window, find_target
from huntonce.models.stages.rollback import history_of, roll_back
from tests.support.kits import Bench, bench, intrusion, quiet_day, rules_of, with_kit

EVENTS = [*quiet_day(), *intrusion()]


def opened(folder: Path, far: MemoryDetections) -> Bench:
    plain = bench(folder, EVENTS)
    plain.rules._name = "lake"
    return with_kit(plain, targets={"far": far})


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A store with a detection of two versions: as promoted, and with a filter."""
    folder = tmp_path_factory.mktemp("tuned")
    far = MemoryDetections("far")
    made = opened(folder, far)
    carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    step(made)
    tune(made, "svc-deploy")
    made.store.close()
    return folder / "huntonce.db", dict(made.rules.live), dict(far.live)


@pytest.fixture
def far() -> MemoryDetections:
    return MemoryDetections("far")


@pytest.fixture
def made(
    tuned: tuple[Path, dict[str, Any], dict[str, Any]], tmp_path: Path, far: MemoryDetections
) -> Bench:
    shutil.copy(tuned[0], tmp_path / "huntonce.db")
    again = opened(tmp_path, far)
    again.rules.live, far.live = copy.deepcopy(tuned[1]), copy.deepcopy(tuned[2])
    again.clock.pass_by(minutes=20)
    return again


def step(made: Bench) -> None:
    dispatch(made.kit)
    made.clock.pass_by(minutes=1)


def tune(made: Bench, account: str) -> None:
    text = write_filter(
        the(made),
        {"SubjectUserName": [account]},
        owner="platform",
        reason="test",
        today=made.clock().date(),
    )
    retune(made.kit, "D-1", [text])
    step(made)


def the(made: Bench) -> Detection:
    with made.unit() as unit:
        return find(unit, "D-1")


def filters_at(store: MemoryDetections) -> int:
    (held,) = store.live.values()
    return len(held["filters"])  # type: ignore[arg-type]


def versions(made: Bench) -> tuple[int, int | None, int | None]:
    with made.unit() as unit:
        told = history_of(unit, made.kit, the(made))
    return len(told.versions), told.current, told.former


def drifted(made: Bench) -> list[Sort]:
    return [line.sort for line in drift(made.kit) if line.sort is not Sort.SWITCH]


def test_the_former_content_comes_back_everywhere_with_a_proof_that_holds(
    made: Bench, far: MemoryDetections
) -> None:
    assert (versions(made), filters_at(made.rules), filters_at(far)) == ((2, 2, 1), 1, 1)

    back = roll_back(made.kit, "D-1", reason="too quiet")
    step(made)

    assert (back.number, filters_at(made.rules), filters_at(far)) == (1, 0, 0)
    detection = the(made)
    with made.unit() as unit:
        assert broken(detection, unit.proofs.fixtures(detection.rule_id)) == ()
        (row,) = [r for r in unit.log.rows() if "rolled back" in r.why]
    assert row.why == "rolled back from version 2 to version 1: too quiet"
    assert (versions(made), drifted(made)) == ((2, 1, None), [])


def test_what_was_never_otherwise_cannot_go_back(made: Bench) -> None:
    roll_back(made.kit, "D-1")
    step(made)

    with pytest.raises(DomainError, match="D-1 has no former version"):
        roll_back(made.kit, "D-1")
    with pytest.raises(DomainError, match="at version 1 already"):
        roll_back(made.kit, "D-1", to=1)
    with pytest.raises(DomainError, match="no version 7"):
        roll_back(made.kit, "D-1", to=7)
    roll_back(made.kit, "D-1", to=2)
    step(made)
    assert (versions(made), filters_at(made.rules)) == ((2, 2, 1), 1)


def test_former_is_what_was_deployed_before_not_what_was_taken_back(made: Bench) -> None:
    roll_back(made.kit, "D-1")
    step(made)
    tune(made, "svc-other")
    assert versions(made) == (3, 3, 1)

    roll_back(made.kit, "D-1")
    step(made)

    assert versions(made) == (3, 1, None)


def test_one_that_is_off_duty_is_refused(made: Bench) -> None:
    retire(made.kit, "D-1", reason="test", force=True)

    with pytest.raises(DomainError, match="is retired, which is not deployed"):
        roll_back(made.kit, "D-1")


@pytest.mark.parametrize("on", [True, False])
def test_the_switch_stays_as_operators_have_it(
    made: Bench, far: MemoryDetections, on: bool
) -> None:
    far.on = {the(made).rule_id}
    drift(made.kit)
    far.on = far.on if on else set()

    roll_back(made.kit, "D-1")
    step(made)

    assert bool(far.on) is on
    drift(made.kit)
    seen = {d.siem: d.observed for d in the(made).deployments}
    assert seen["far"] == ("enabled" if on else "switched off")


def test_a_policy_that_asks_puts_it_before_people_and_it_is_not_proposed_twice(
    made: Bench, far: MemoryDetections
) -> None:
    asks = replace(made.kit.policy, approvals=rules_of({"deploy": "own"}))
    asking = with_kit(made, policy=asks)

    roll_back(asking.kit, "D-1")
    step(asking)
    again = roll_back(asking.kit, "D-1")

    assert (again.finished, again.number) == (True, 1)
    assert (filters_at(made.rules), filters_at(far)) == (0, 1)
    with made.unit() as unit:
        (waiting,) = unit.proposals.list(ProposalState.PENDING)
    assert waiting.summary.startswith("roll back to version 1 of D-1")
    decide(asking.kit, waiting.id, approve=True, by="ann")
    step(asking)
    assert filters_at(far) == 0


def test_what_people_changed_there_is_not_written_over(made: Bench) -> None:
    one = the(made)
    made.rules.refuse = "was changed by hand and is not written over"

    roll_back(made.kit, "D-1")

    failed = dispatch(made.kit).failed
    assert [why for _, why in failed] == ["was changed by hand and is not written over"]
    assert one.filters
    assert the(made).filters == ()


def test_a_hunt_brings_back_no_rule_that_people_put_aside(
    made: Bench,
) -> None:
    roll_back(made.kit, "D-1")
    step(made)
    adopted = the(made).rule.replace("level: high", "level: critical")
    (rule_id,) = made.rules.live
    made.rules.live[rule_id] = {**made.rules.live[rule_id], "rule": adopted}
    adopt(made.kit, "D-1")
    step(made)
    carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    step(made)
    assert "level: critical" in the(made).rule
    roll_back(made.kit, "D-1")
    step(made)

    carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    step(made)
    assert "level: high" in the(made).rule

    roll_back(made.kit, "D-1", to=3)
    step(made)
    carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    step(made)
    assert "level: critical" in the(made).rule
    assert "level: critical" in str(made.rules.live[rule_id]["rule"])


# ---------------------------------------------------------------- killed


def back_and_sent(made: Bench) -> None:
    roll_back(made.kit, "D-1")
    dispatch(made.kit)


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("at", range(6))
def test_killed_anywhere_the_same_command_ends_in_the_same_and_no_more(
    made: Bench, far: MemoryDetections, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """A call that writes dies before or after it was done; the command is given once more."""
    left = [at]

    def dying(call: Any, *, after: bool) -> Any:
        def run(*words: Any, **named: Any) -> Any:
            if after:
                done = call(*words, **named)
            left[0] -= 1
            if left[0] == -1:
                raise Killed
            return done if after else call(*words, **named)

        return run

    with monkeypatch.context() as broken_:
        for store in (made.rules, far):
            broken_.setattr(store, "deploy", dying(store.deploy, after=True))
        for name in ("_claim", "_done"):
            broken_.setattr(dispatching, name, dying(getattr(dispatching, name), after=False))
        with pytest.raises(Killed):
            back_and_sent(made)

    again = roll_back(made.kit, "D-1")
    made.clock.pass_by(seconds=STALE_AFTER + 1)
    dispatch(made.kit)

    assert again.finished
    assert (filters_at(made.rules), filters_at(far)) == (0, 0)
    assert (len(made.rules.live), len(far.live)) == (1, 1)
    assert (versions(made), drifted(made)) == ((2, 1, None), [])
    with made.unit() as unit:
        sent = [m for m in unit.outbox.list() if m.key.endswith("-rollback")]
        rolled = [r for r in unit.log.rows() if "rolled back" in r.why]
    assert [m.state for m in sent] == [MessageState.SENT] * 2
    assert len(rolled) == 1


def test_killed_before_it_was_written_down_nothing_happened(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = the(made)

    def die(*_words: object, **_named: object) -> None:
        raise Killed

    with monkeypatch.context() as broken_:
        broken_.setattr("huntonce.models.stages.leaving.enqueue", die)
        with pytest.raises(Killed):
            roll_back(made.kit, "D-1")

    assert the(made) == before
    assert versions(made) == (2, 2, 1)


def test_a_sender_that_died_with_the_later_content_does_not_bring_it_back(
    made: Bench, far: MemoryDetections, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write_filter(
        the(made), {"SubjectUserName": ["x"]}, owner="p", reason="t", today=made.clock().date()
    )
    retune(made.kit, "D-1", [text, *the(made).filters])

    def die(*_words: object) -> None:
        raise Killed

    with monkeypatch.context() as broken_:
        broken_.setattr(dispatching, "_done", die)
        with pytest.raises(Killed):
            dispatch(made.kit)
    made.clock.pass_by(seconds=1)
    roll_back(made.kit, "D-1", to=1)
    dispatch(made.kit)
    assert (filters_at(made.rules), filters_at(far)) == (0, 0)

    made.clock.pass_by(seconds=STALE_AFTER + 1)
    dispatch(made.kit)

    assert (filters_at(made.rules), filters_at(far)) == (0, 0)
    assert the(made).state is DetectionState.EXPERIMENTAL
    assert drifted(made) == []
