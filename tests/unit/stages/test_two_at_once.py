"""Two loops in one home: what one has done meanwhile, the other neither repeats nor breaks on."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from huntonce.models.errors import StateError
from huntonce.models.hypothesis import HypothesisState, Verdict
from huntonce.models.ledger import NotDueError
from huntonce.models.stages import gapkeeping
from huntonce.models.stages.hypothesise import ledger
from huntonce.models.stages.operate import (
    carry_out,
    default_window,
    find_target,
    finish,
    look_for,
    start,
)
from huntonce.models.windows import HOUR, Window
from tests.support.builders import hypothesis
from tests.support.kits import HOSTS, Bench, bench, quiet_day

SOON = 0.5


@pytest.fixture
def blind(tmp_path: Path) -> Bench:
    """Hosts on which no task is audited, and the hypothesis that would need it."""
    made = bench(tmp_path, quiet_day(no_audit=HOSTS))
    with made.unit() as unit:
        unit.hypotheses.add(hypothesis(), actor="test", why="claimed")
        unit.commit()
    return made


def test_a_window_that_another_loop_has_just_found_blocked_is_not_looked_at_again(
    blind: Bench,
) -> None:
    kit, window = blind.kit, default_window(blind.kit)
    early = Window(window.start, window.start + HOUR)
    with blind.unit() as unit:
        (read,) = unit.hypotheses.list()
    answer = ledger(kit, read, window)
    run, sight, gaps = start(kit, read, early, answer, once=True)
    finish(kit, run, look_for(kit, read, sight, gaps))
    with blind.unit() as unit:
        assert [h.state for h in unit.hypotheses.list()] == [HypothesisState.BLOCKED]

    with pytest.raises(NotDueError, match="could not look"):
        start(kit, read, early, answer, once=True)
    later, _, _ = start(kit, read, Window(early.end, window.end), answer, once=True)

    assert later.start == early.end
    with blind.unit() as unit:
        assert len(unit.hunts.list()) == 2


def test_a_gap_that_somebody_else_changes_meanwhile_does_not_end_the_hunt(
    blind: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = find_target(blind.kit, "T1053.005")
    carry_out(blind.kit, target, default_window(blind.kit))
    blind.siem.add(quiet_day(no_audit=HOSTS, start=default_window(blind.kit).end))
    explained, others = gapkeeping._explained, list[Thread]()

    def meanwhile() -> None:
        for _ in range(5):  # who is told to read again does so
            with blind.unit() as unit, suppress(StateError):
                gap = unit.gaps.list()[0]
                unit.gaps.save(replace(gap, owner="ann"), actor="ann", why="mine")
                unit.commit()
                return

    def slowly(*given: object) -> object:
        if not others:
            others.append(Thread(target=meanwhile))
            others[-1].start()
            others[-1].join(SOON)
        return explained(*given)  # type: ignore[arg-type] - as given

    monkeypatch.setattr(gapkeeping, "_explained", slowly)

    _, settled = carry_out(blind.kit, target, default_window(blind.kit))
    for other in others:
        other.join()

    assert settled.run.verdict is Verdict.BLOCKED
    with blind.unit() as unit:
        assert unit.gaps.list()[0].owner == "ann"
        assert unit.log.verify() is None
