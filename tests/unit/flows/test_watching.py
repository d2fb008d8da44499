"""Every turn asks whether what stands guard still sees: else covered would stay covered, blind."""

from pathlib import Path
from typing import Any

import pytest

from huntonce.flows import gaps
from huntonce.flows.story import Told, listening
from huntonce.models.detection import Detection
from huntonce.models.ledger import Answer
from huntonce.models.stages.hypothesise import ledger
from huntonce.models.stages.operate import carry_out, default_window, find_target
from tests.support.builders import after
from tests.support.kits import HOSTS, Bench, bench, intrusion, quiet_day


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench with a promoted detection, and the flow's tasks as plain functions."""

    def plain(task: Any) -> Any:
        return lambda value: task.fn(value.value)

    monkeypatch.setattr(gaps, "verify", plain(gaps.verify))
    monkeypatch.setattr(gaps, "watch", plain(gaps.watch))
    monkeypatch.setattr(gaps, "announce", lambda *_, **__: None)
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    return made


def answer(made: Bench) -> Answer:
    hypothesis = find_target(made.kit, "T1053.005")
    return ledger(made.kit, hypothesis, default_window(made.kit)).answer


def detections(made: Bench) -> list[Detection]:
    with made.unit() as unit:
        return list(unit.detections.list())


def test_verifying_gaps_finds_detections_that_went_blind_and_covers_no_more(made: Bench) -> None:
    told: list[Told] = []
    gaps.verify_and_tell(made.kit)
    assert [one.healthy for one in detections(made)] == [True]
    assert answer(made) is Answer.COVERED

    made.siem.add(quiet_day(start=after(days=20), no_audit=HOSTS))
    with listening(told.append):
        gaps.verify_and_tell(made.kit)

    assert [one.healthy for one in detections(made)] == [False]
    assert answer(made) is Answer.COVERED_UNHEALTHY
    assert any("D-1 does not see any more" in line for step in told for line in step.lines)

    made.siem.add(quiet_day(start=after(days=21)))
    gaps.verify_and_tell(made.kit)

    assert answer(made) is Answer.COVERED
