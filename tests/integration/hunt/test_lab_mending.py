"""The days after: a source that is switched on closes its gap, and only that one."""

from dataclasses import replace
from pathlib import Path

import pytest

from huntonce.connectors.detections.memory import MemoryDetections
from huntonce.connectors.siem.labfiles import write_lab
from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.models.gap import GapState
from huntonce.models.lab.company import COMMAND_LINE, LabSpec, build_company
from huntonce.models.ledger import Answer
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.hypothesise import ledger
from huntonce.models.stages.operate import carry_out, default_window, find_target
from huntonce.models.stages.watch import Verified, verify_gaps
from tests.support.kits import Bench, bench, with_kit

pytestmark = pytest.mark.integration

SOURCE = "security/process-command-line"


def grow(made: Bench, home: Path, spec: LabSpec, name: str) -> None:
    files = write_lab(build_company(spec), home / name)
    load_paths(home / "lake", files.paths)
    made.clock.moment = spec.end


def verify(made: Bench) -> Verified:
    verified = verify_gaps(made.kit)
    dispatch(made.kit)
    return verified


def test_two_days_of_mended_logs_close_one_gap_and_its_ticket(tmp_path: Path) -> None:
    spec = LabSpec(seed=2, hosts=60)
    made = bench(tmp_path)
    lake = Lake(tmp_path / "lake")
    # The rules run where the hunt looks: a guard elsewhere does not cover the lake.
    rules = MemoryDetections(name="lake")
    made = with_kit(made, siem=lake, rules=rules, profile=build_company(spec).profile())
    grow(made, tmp_path, spec, "lab")
    target = find_target(made.kit, "T1053.005")
    carry_out(made.kit, target, default_window(made.kit))
    assert verify(made).passed == ()

    first_day = spec.following(days=1, mended=(COMMAND_LINE,))
    grow(made, tmp_path, first_day, "lab-1")
    first = verify(made)
    grow(made, tmp_path, replace(first_day.following(days=1)), "lab-2")
    second = verify(made)

    assert [gap.source for gap in first.passed] == [SOURCE]
    assert [gap.source for gap in second.closed] == [SOURCE]
    assert second.regressed == ()
    with made.unit() as unit:
        states = {gap.source: gap.state for gap in unit.gaps.list()}
        (closed,) = unit.gaps.list(GapState.CLOSED)
    assert states.pop(SOURCE) is GapState.CLOSED
    assert set(states.values()) == {GapState.SURFACED}
    tickets = {t.remote_id: t.state.value for t in made.tickets.list()}
    assert tickets.pop(closed.ticket) == "closed"
    assert set(tickets.values()) == {"open"}
    assert ledger(made.kit, target, default_window(made.kit)).answer is Answer.COVERED
