"""Gaps are closed by evidence, and detections that see no more say so."""

from pathlib import Path

import pytest

from huntonce.models.errors import TransientError
from huntonce.models.gap import Gap, GapState
from huntonce.models.hypothesis import HypothesisState, Verdict
from huntonce.models.ledger import Answer
from huntonce.models.metrics import measure
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.guarding import check_detections
from huntonce.models.stages.hypothesise import ledger
from huntonce.models.stages.operate import carry_out, default_window, find_target
from huntonce.models.stages.probe import look
from huntonce.models.stages.watch import Verified, verify_gaps
from huntonce.models.windows import Window
from tests.support.builders import T0, after
from tests.support.kits import HOSTS, HOURS, Bench, bench, intrusion, process, quiet_day

AUDIT = "security/other-object-access"
LINE = "security/process-command-line"


def hunt(made: Bench) -> Verdict | None:
    made.clock.pass_by(minutes=1)
    target = find_target(made.kit, "T1053.005")
    return carry_out(made.kit, target, default_window(made.kit))[1].run.verdict


def gap_of(made: Bench, source: str) -> Gap:
    with made.unit() as unit:
        return next(gap for gap in unit.gaps.list() if gap.source == source)


def verify(made: Bench) -> Verified:
    made.clock.pass_by(hours=1)
    verified = verify_gaps(made.kit)
    dispatch(made.kit)
    return verified


def day(made: Bench, number: int, **changes: object) -> None:
    """One more day of telemetry, with every source on but the TaskScheduler channel."""
    values = {"no_line": (), **changes}
    made.siem.add(quiet_day(start=after(hours=HOURS * number), **values))  # type: ignore[arg-type]


def ticket_state(made: Bench, gap: Gap) -> str:
    return next(t.state.value for t in made.tickets.list() if t.remote_id == gap.ticket)


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    """An estate that was hunted: no host audits tasks, PC2 logs no command lines."""
    estate = bench(tmp_path, quiet_day(no_audit=HOSTS))
    assert hunt(estate) is Verdict.BLOCKED
    return estate


def test_a_gap_closes_only_after_so_many_passes_with_newer_telemetry(made: Bench) -> None:
    assert gap_of(made, AUDIT).hosts == HOSTS
    day(made, 1)

    first = verify(made)
    again = verify(made)

    assert AUDIT in {g.source for g in first.passed}
    assert AUDIT in {g.source for g in again.waiting}
    assert (gap_of(made, AUDIT).state, gap_of(made, AUDIT).passes) == (GapState.VERIFYING, 1)
    day(made, 2)
    assert AUDIT in {g.source for g in verify(made).closed}
    assert gap_of(made, AUDIT).state is GapState.CLOSED


def test_closing_closes_the_ticket_and_requeues_what_was_blocked(made: Bench) -> None:
    gap = gap_of(made, AUDIT)
    day(made, 1)
    verify(made)
    assert ticket_state(made, gap) == "open"
    day(made, 2)

    verified = verify(made)

    assert ticket_state(made, gap) == "closed"
    with made.unit() as unit:
        (hypothesis,) = unit.hypotheses.list()
        found = measure(unit.log.rows(), unit.hunts.list())
    assert verified.requeued == (hypothesis.id,)
    assert hypothesis.state is HypothesisState.READY
    assert found.gaps_closed >= 1
    assert found.remediation_hours is not None


def test_without_newer_telemetry_nothing_passes(made: Bench) -> None:
    verified = verify(made)

    assert (verified.passed, verified.closed, verified.failed) == ((), (), ())
    assert gap_of(made, AUDIT) in verified.waiting


def test_a_failure_between_starts_the_count_anew(made: Bench) -> None:
    day(made, 1)
    verify(made)
    made.siem.add(
        process("PC2", after(hours=HOURS * 2 + n), "x.exe", with_line=False) for n in range(9)
    )

    failed = verify(made)

    assert LINE in {g.source for g in failed.failed}
    assert (gap_of(made, LINE).state, gap_of(made, LINE).passes) == (GapState.SURFACED, 0)
    day(made, 3)
    assert LINE in {g.source for g in verify(made).passed}


def test_a_gap_that_is_mended_on_some_hosts_stays_open_on_the_others(made: Bench) -> None:
    day(made, 1, no_audit=("SRV1",))

    verified = verify(made)

    assert AUDIT in {g.source for g in verified.failed}
    assert gap_of(made, AUDIT).hosts == ("SRV1",)


def test_a_source_that_fell_silent_proves_no_field(made: Bench) -> None:
    for number in (1, 2, 3):
        made.siem.add(quiet_day(("PC1", "SRV1"), start=after(hours=HOURS * number), no_line=()))
        verified = verify(made)
        assert LINE not in {g.source for g in (*verified.passed, *verified.closed)}

    assert gap_of(made, LINE).state is GapState.SURFACED


def test_a_siem_that_refuses_proves_nothing(made: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    day(made, 1)
    extent = made.siem.extent()
    made.siem.refuse = True
    monkeypatch.setattr(made.siem, "extent", lambda: extent)

    verified = verify(made)

    assert (verified.passed, verified.closed) == ((), ())
    assert AUDIT in {g.source for g in verified.waiting}
    assert gap_of(made, AUDIT).passes == 0


def test_a_siem_that_does_not_answer_changes_nothing(
    made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    day(made, 1)
    before, extent = gap_of(made, AUDIT), made.siem.extent()
    made.siem.time_out = 1
    monkeypatch.setattr(made.siem, "extent", lambda: extent)

    with pytest.raises(TransientError):
        verify(made)

    assert gap_of(made, AUDIT) == before


def test_a_closed_gap_that_shows_again_has_regressed_and_its_ticket_is_open(made: Bench) -> None:
    for number in (1, 2):
        day(made, number)
        verify(made)
    gap = gap_of(made, LINE)
    assert (gap.state, ticket_state(made, gap)) == (GapState.CLOSED, "closed")
    day(made, 3, no_line=("PC2",))

    verified = verify(made)

    assert [g.source for g in verified.regressed] == [LINE]
    assert gap_of(made, LINE).state is GapState.REGRESSED
    assert ticket_state(made, gap) == "open"
    for number in (4, 5):
        day(made, number)
        verify(made)
    assert (gap_of(made, LINE).state, ticket_state(made, gap)) == (GapState.CLOSED, "closed")


def test_a_host_that_is_switched_off_is_no_regression(made: Bench) -> None:
    for number in (1, 2):
        day(made, number)
        verify(made)

    made.siem.add(quiet_day(("SRV1",), start=after(hours=HOURS * 12), no_line=()))
    verified = verify(made)

    assert verified.regressed == ()
    assert gap_of(made, AUDIT).state is GapState.CLOSED


def test_a_mended_source_says_nothing_of_the_time_before(made: Bench) -> None:
    for number in range(12, 14):
        day(made, number)
        verify(made)

    assert hunt(made) is Verdict.INCONCLUSIVE


# ---------------------------------------------------------------- detections


def test_a_detection_whose_evidence_stays_away_is_unhealthy_and_reopens_the_hypothesis(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    hunt(made)
    target = find_target(made.kit, "T1053.005")
    model = made.kit.library.evidence["T1053.005"]
    second = Window(after(hours=HOURS), after(hours=2 * HOURS))
    made.siem.add(quiet_day(start=second.start, no_audit=HOSTS))
    assert ledger(made.kit, target, second).answer is Answer.COVERED

    changed = check_detections(made.kit, look(made.siem, model, second, made.kit.profile))

    assert [d.healthy for d in changed] == [False]
    answer = ledger(made.kit, target, second)
    assert answer.answer is Answer.COVERED_UNHEALTHY
    assert second in answer.windows
    assert check_detections(made.kit, look(made.siem, model, second, made.kit.profile)) == ()


def test_a_detection_is_healthy_again_when_its_evidence_is_back(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    hunt(made)
    model = made.kit.library.evidence["T1053.005"]
    made.siem.add(quiet_day(start=after(hours=HOURS), no_audit=HOSTS))
    dark = Window(after(hours=HOURS), after(hours=2 * HOURS))

    check_detections(made.kit, look(made.siem, model, dark, made.kit.profile))
    (back,) = check_detections(
        made.kit, look(made.siem, model, Window(T0, after(hours=HOURS)), made.kit.profile)
    )

    assert back.healthy
