"""Hunt once holds under parallel loops: one row a fingerprint, one run a window."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from huntonce.models.hunt import HuntState
from huntonce.models.hypothesis import HypothesisState
from huntonce.models.ledger import Answer, NotDueError
from huntonce.models.stages import operate
from huntonce.models.stages.hypothesise import ledger
from huntonce.models.stages.operate import abandon_dead, alive, carry_out, start
from huntonce.models.state.store import open_store
from huntonce.models.windows import HOUR, Window
from tests.integration.deriving import claimants
from tests.integration.deriving.claimants import WINDOW, hunter, intel

pytestmark = pytest.mark.integration
PROCESSES, THREADS = 3, 2


@pytest.fixture
def stocked(address: str) -> str:
    """The address of a store that holds intel and no hypothesis."""
    with open_store(address) as store, store.unit() as unit:
        unit.intel.add(intel(), feed="test", at=WINDOW.start)
        unit.commit()
    return address


def test_many_that_derive_at_once_make_each_hypothesis_once(stocked: str, tmp_path: Path) -> None:
    new = claimants.processes("derive", stocked, tmp_path, PROCESSES, THREADS)

    with open_store(stocked) as store, store.unit() as unit:
        stored = unit.hypotheses.list()
        assert unit.log.verify() is None
    assert len({h.key for h in stored}) == len(stored) == 3
    assert [h.id for h in stored] == ["H-1", "H-2", "H-3"]
    assert {i for ids in new for i in ids} == {"H-1", "H-2", "H-3"}


def test_many_loops_at_once_hunt_each_window_once(stocked: str, tmp_path: Path) -> None:
    hunted = claimants.processes("hunt", stocked, tmp_path, PROCESSES, THREADS)

    with open_store(stocked) as store, store.unit() as unit:
        runs = unit.hunts.list()
        (task,) = [h for h in unit.hypotheses.list() if h.technique_id == "T1053.005"]
        assert unit.log.verify() is None
    assert [one for ones in hunted for one in ones] == [str(WINDOW)]
    assert [run.state for run in runs] == [HuntState.CONCLUDED]
    assert task.state is HypothesisState.CONCLUDED
    assert len(task.hunted) == 1


def test_a_claim_is_held_until_the_run_is_settled(stocked: str, tmp_path: Path) -> None:
    first, second = hunter(stocked, str(tmp_path / "1")), hunter(stocked, str(tmp_path / "2"))
    claimants.derive(stocked, str(tmp_path / "3"))
    with first.kit.open_unit() as unit:
        task = next(h for h in unit.hypotheses.list() if h.technique_id == "T1053.005")
    answer = ledger(first.kit, task, WINDOW)
    early = Window(WINDOW.start, WINDOW.start + 12 * HOUR)
    late = Window(WINDOW.start + 12 * HOUR, WINDOW.end)

    run, sight, gaps = start(first.kit, task, early, answer, once=True)
    with pytest.raises(NotDueError, match="another run"):
        start(second.kit, task, late, answer, once=True)
    claimants.finish(first.kit, run, claimants.look_for(first.kit, task, sight, gaps))
    with pytest.raises(NotDueError, match="concluded"):
        start(second.kit, task, early, answer, once=True)
    again, _, _ = start(second.kit, task, late, answer, once=True)

    assert again.start == late.start
    with first.kit.open_unit() as unit:
        assert len(unit.hunts.list()) == 2  # the refused ones left nothing


def test_what_a_killed_run_held_is_free_once_it_is_given_up(stocked: str, tmp_path: Path) -> None:
    made = hunter(stocked, str(tmp_path / "1"))
    claimants.derive(stocked, str(tmp_path / "2"))
    with made.kit.open_unit() as unit:
        task = next(h for h in unit.hypotheses.list() if h.technique_id == "T1053.005")
    answer = ledger(made.kit, task, WINDOW)
    run, _, _ = start(made.kit, task, WINDOW, answer, once=True)
    made.clock.pass_by(hours=7)

    given_up = abandon_dead(made.kit)

    assert given_up == (run.id,)
    start(made.kit, task, WINDOW, answer, once=True)


def test_a_claim_lives_as_long_as_its_run_says_so(stocked: str, tmp_path: Path) -> None:
    made = hunter(stocked, str(tmp_path / "1"))
    claimants.derive(stocked, str(tmp_path / "2"))
    with made.kit.open_unit() as unit:
        task = next(h for h in unit.hypotheses.list() if h.technique_id == "T1053.005")
    run, _, _ = start(made.kit, task, WINDOW, ledger(made.kit, task, WINDOW), once=True)
    for _ in range(5):
        made.clock.pass_by(minutes=4)
        with made.kit.open_unit() as unit:
            unit.claims.renew(run.id)
            unit.commit()
        assert abandon_dead(made.kit) == ()

    made.clock.pass_by(minutes=6)

    assert abandon_dead(made.kit) == (run.id,)
    with made.kit.open_unit() as unit:
        stored = unit.hypotheses.get(task.id)
    assert stored is not None
    assert stored.state is HypothesisState.READY


def test_a_hunt_shows_that_it_lives(
    stocked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operate, "SIGNS", 15_000)
    made = hunter(stocked, str(tmp_path / "1"))
    claimants.derive(stocked, str(tmp_path / "2"))
    with made.kit.open_unit() as unit:
        task = next(h for h in unit.hypotheses.list() if h.technique_id == "T1053.005")
    run, _, _ = start(made.kit, task, WINDOW, ledger(made.kit, task, WINDOW), once=True)
    made.clock.pass_by(minutes=6)

    with alive(made.kit, run):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with made.kit.open_unit() as unit:
                if unit.claims.renewed()[run.id] == made.clock():
                    break
            time.sleep(0.02)

    assert abandon_dead(made.kit) == ()


def test_an_analysts_hunt_asks_nobody(stocked: str, tmp_path: Path) -> None:
    made = hunter(stocked, str(tmp_path / "1"))
    claimants.derive(stocked, str(tmp_path / "2"))
    with made.kit.open_unit() as unit:
        task = next(h for h in unit.hypotheses.list() if h.technique_id == "T1053.005")
    start(made.kit, task, WINDOW, ledger(made.kit, task, WINDOW), once=True)
    made.clock.pass_by(seconds=1)

    answer, settled = carry_out(made.kit, task, WINDOW)

    assert answer.answer is Answer.RUNNING
    assert settled.run.state is HuntState.CONCLUDED


def test_an_unhealthy_hypothesis_state_does_not_stop_a_claim(stocked: str, tmp_path: Path) -> None:
    made = hunter(stocked, str(tmp_path / "1"))
    claimants.derive(stocked, str(tmp_path / "2"))
    with made.kit.open_unit() as unit:
        task = next(h for h in unit.hypotheses.list() if h.technique_id == "T1053.005")
        unit.hypotheses.save(
            replace(task, state=HypothesisState.BLOCKED), actor="test", why="a gap"
        )
        unit.commit()

    run, _, _ = start(made.kit, task, WINDOW, ledger(made.kit, task, WINDOW), once=True)

    assert run.state is HuntState.RUNNING
