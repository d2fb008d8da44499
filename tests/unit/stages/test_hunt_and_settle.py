"""A hunt and its outcomes: three of them, in one transaction, once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from huntonce.models.errors import StateError, TerminalError, TransientError
from huntonce.models.finding import Disposition
from huntonce.models.gap import GapKind, GapState
from huntonce.models.hunt import HuntState
from huntonce.models.hypothesis import HypothesisState, Verdict
from huntonce.models.keeping import UnitOfWork
from huntonce.models.ledger import Answer
from huntonce.models.outbox import MessageState
from huntonce.models.query import SearchResult, SigmaSearch
from huntonce.models.stages.hypothesise import ledger
from huntonce.models.stages.operate import (
    abandon,
    abandon_dead,
    carry_out,
    default_window,
    find_target,
    look_for,
    start,
)
from huntonce.models.stages.promote import promote
from huntonce.models.stages.settle import Settled, settle
from huntonce.models.windows import Window
from tests.support.builders import T0, after
from tests.support.kits import (
    EVIL_LINE,
    HOSTS,
    HOURS,
    Bench,
    bench,
    intrusion,
    process,
    quiet_day,
    with_kit,
)

DAY = Window(T0, T0 + timedelta(hours=HOURS))


def hunt(made: Bench, window: Window | None = None) -> Settled:
    """The whole hunt of the technique, a minute after the one before."""
    made.clock.pass_by(minutes=1)
    target = find_target(made.kit, "T1053.005")
    return carry_out(made.kit, target, window or DAY)[1]


def answer(made: Bench, window: Window | None = None) -> Answer:
    target = find_target(made.kit, "T1053.005")
    return ledger(made.kit, target, window or default_window(made.kit)).answer


# ---------------------------------------------------------------- three outcomes


def test_an_intrusion_ends_in_a_gap_a_detection_and_a_case(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])

    settled = hunt(made)

    assert settled.run.verdict is Verdict.CONFIRMED_MALICIOUS
    assert settled.run.state is HuntState.CONCLUDED
    assert settled.hypothesis.state is HypothesisState.CONCLUDED
    assert {(g.source, g.gap_kind) for g in settled.gaps} == {
        ("taskscheduler/operational", GapKind.NO_SOURCE),
        ("security/process-command-line", GapKind.MISSING_FIELD),
    }
    (detection,) = settled.detections
    assert detection.certificate is not None
    assert detection.certificate.holds
    assert made.kit.check_rule(detection.rule) == ()
    (case,) = settled.cases
    assert (case.hosts, case.finding_ids) == (("PC1",), (settled.findings[0].id,))
    assert set(settled.run.outcomes) == {"gap GAP-1", "gap GAP-2", "detection D-1", "case CASE-1"}


def test_what_leaves_has_arrived_at_its_desk(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])

    settled = hunt(made)

    assert {g.ticket for g in settled.gaps} == {t.remote_id for t in made.tickets.list()}
    assert settled.cases[0].remote_id == made.cases.list()[0].remote_id
    assert list(made.rules.live) == [settled.detections[0].rule_id]
    assert settled.detections[0].deployments[0].observed == "enabled"
    with made.unit() as unit:
        assert {m.state for m in unit.outbox.list()} == {MessageState.SENT}
        assert unit.log.verify() is None


def test_a_quiet_estate_is_ruled_out(tmp_path: Path) -> None:
    settled = hunt(bench(tmp_path, quiet_day()))

    assert settled.run.verdict is Verdict.RULED_OUT
    assert settled.run.power is not None
    assert settled.run.power.value == 1
    assert (settled.findings, settled.cases, settled.detections) == ((), (), ())


def test_what_cannot_be_seen_is_blocked_and_never_ruled_out(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day(no_audit=HOSTS))

    settled = hunt(made)

    assert settled.run.verdict is Verdict.BLOCKED
    assert settled.hypothesis.state is HypothesisState.BLOCKED
    assert settled.hypothesis.hunted == ()
    assert "security/other-object-access" in {g.source for g in settled.gaps}
    assert answer(made) is Answer.NEW


def test_power_under_the_floor_rules_nothing_out(tmp_path: Path) -> None:
    settled = hunt(bench(tmp_path, quiet_day(no_audit=HOSTS[:1])))

    assert settled.run.verdict is Verdict.INCONCLUSIVE
    assert "under the floor" in settled.run.why


# ---------------------------------------------------------------- a SIEM in trouble


def test_a_siem_that_refuses_is_blocked_with_gaps_of_permission(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    made.siem.refuse = True

    settled = hunt(made)

    assert settled.run.verdict is Verdict.BLOCKED
    assert {g.gap_kind for g in settled.gaps} == {GapKind.PERMISSION}
    assert not any(check.executed for check in settled.run.checks)


def test_a_siem_that_does_not_answer_makes_no_gap(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day())
    made.siem.time_out = 1

    with pytest.raises(TransientError):
        hunt(made)

    assert made.counts()["gaps"] == 0
    assert hunt(made).run.verdict is Verdict.RULED_OUT


def failing(made: Bench, name: str, error: Exception) -> Bench:
    """The same bench, where the search of one name fails."""
    search = made.siem.search

    def search_or_fail(query: SigmaSearch, window: Window) -> SearchResult:
        if query.name == name:
            raise error
        return search(query, window)

    made.siem.search = search_or_fail  # type: ignore[method-assign] - a fault of one search
    return made


@pytest.mark.parametrize("kind", [TerminalError, TransientError])
def test_a_search_that_failed_leaves_its_window_unhunted(
    tmp_path: Path, kind: Callable[..., Exception]
) -> None:
    made = failing(bench(tmp_path, quiet_day()), "tooling", kind("no", connector="memory"))

    settled = hunt(made)

    assert settled.run.verdict is Verdict.INCONCLUSIVE
    assert [c.name for c in settled.run.checks if not c.complete] == ["tooling"]
    assert settled.hypothesis.hunted == ()
    assert answer(made) is Answer.NEW


def test_a_result_that_was_cut_rules_nothing_out_and_certifies_nothing(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    made.siem.cut = 1

    settled = hunt(made)

    assert settled.run.verdict is not Verdict.RULED_OUT
    assert settled.hypothesis.hunted == ()
    assert made.siem.cut is not None


# ---------------------------------------------------------------- again


def test_hunting_twice_adds_nothing_for_the_same_events(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    first = hunt(made)
    before = made.counts()
    rule = first.detections[0].rule

    made.clock.pass_by(days=1)
    again = hunt(made)

    assert made.counts() == {**before, "hunts": before["hunts"] + 1}
    assert {f.id for f in again.findings} == {f.id for f in first.findings}
    assert again.cases[0].id == first.cases[0].id
    assert again.detections[0].rule == rule


@pytest.mark.parametrize(
    ("stored", "ends"),
    [
        (Disposition.SUSPICIOUS, Disposition.MALICIOUS),
        (Disposition.BENIGN, Disposition.BENIGN),
    ],
)
def test_what_a_first_look_saw_by_half_becomes_what_a_whole_one_sees_unless_people_judged_it(
    tmp_path: Path, stored: Disposition, ends: Disposition
) -> None:
    made = bench(tmp_path, quiet_day() + intrusion())
    (found,) = hunt(made).findings
    assert found.state is Disposition.MALICIOUS
    with made.kit.open_unit() as unit:
        unit.findings.save(
            replace(found, state=stored, score=0.4, reason="by half"), actor="test", why="by half"
        )
        unit.commit()

    (again,) = hunt(made).findings

    assert (again.id, again.state) == (found.id, ends)
    if ends is Disposition.MALICIOUS:
        assert (again.score, again.reason) == (found.score, found.reason)
    else:
        assert again.reason == "by half"


def test_a_rule_that_changes_keeps_its_first_date(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    first = yaml.safe_load(hunt(made).detections[0].rule)
    made.clock.pass_by(days=3)

    changed = with_kit(made, policy=replace(made.kit.policy, rule_author="Someone else"))
    second = yaml.safe_load(hunt(changed).detections[0].rule)

    assert second["date"] == first["date"]
    assert second["modified"] > first["date"]
    assert len(made.rules.live) == 1
    assert "Someone else" in str(made.rules.live[second["id"]]["rule"])


def test_a_later_intrusion_gets_a_case_of_its_own(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    first = hunt(made)
    made.siem.add(intrusion("SRV1", 20, "\\Microsoft\\Windows\\Other Sync"))

    second = hunt(made)

    assert len(second.findings) == 2
    assert [case.id for case in second.cases] == [first.cases[0].id, "CASE-2"]
    assert second.cases[1].hosts == ("SRV1",)
    assert len(made.cases.list()) == 2


def test_a_detection_that_stands_guard_covers_the_next_turn(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    assert answer(made) is Answer.NEW

    hunt(made)

    made.siem.add(quiet_day(start=after(hours=HOURS)))
    assert answer(made) is Answer.COVERED


def test_without_a_detection_only_the_unseen_hours_are_left(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day())
    hunt(made)
    later = Window(T0, after(hours=2 * HOURS))

    found = ledger(made.kit, find_target(made.kit, "T1053.005"), later)

    assert found.answer is Answer.CONCLUDED
    assert found.windows == (Window(DAY.end, later.end),)


# ---------------------------------------------------------------- all or nothing


class Breaking:
    """A unit in which one repository cannot add."""

    def __init__(self, unit: UnitOfWork, part: str, method: str) -> None:
        self._unit = unit
        repository = getattr(unit, part)

        def broken(*_args: object, **_more: object) -> Any:
            raise StateError("the disk is full")

        setattr(repository, method, broken)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)

    def __enter__(self) -> Self:
        self._unit.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._unit.__exit__(*error)


@pytest.mark.parametrize(
    ("part", "method"),
    [
        ("findings", "add"),
        ("gaps", "add"),
        ("detections", "add"),
        ("cases", "add"),
        ("outbox", "put"),
        ("hunts", "save"),
        ("hypotheses", "save"),
    ],
)
def test_a_failure_while_settling_keeps_nothing_of_it(
    tmp_path: Path, part: str, method: str
) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    target = find_target(made.kit, "T1053.005")
    run, sight, gaps = start(made.kit, target, DAY, ledger(made.kit, target, DAY))
    result = look_for(made.kit, target, sight, gaps)
    promotion = promote(made.kit, result)
    before, log = made.counts(), _log(made)

    broken = with_kit(made, open_unit=lambda: Breaking(made.unit(), part, method))
    with pytest.raises(StateError):
        settle(broken.kit, run, result, promotion)

    assert made.counts() == before
    assert _log(made) == log
    settled = settle(made.kit, run, result, promotion)
    assert len(settled.cases) == len(settled.detections) == 1


def _log(made: Bench) -> int:
    with made.unit() as unit:
        return len(unit.log.rows())


def test_two_hunts_at_a_time_for_one_hypothesis_both_conclude(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day())
    target = find_target(made.kit, "T1053.005")
    runs = []
    for _ in range(2):
        made.clock.pass_by(minutes=1)
        runs.append(start(made.kit, target, DAY, ledger(made.kit, target, DAY)))

    for run, sight, gaps in runs:
        result = look_for(made.kit, target, sight, gaps)
        settle(made.kit, run, result, promote(made.kit, result))

    with made.unit() as unit:
        assert {r.state for r in unit.hunts.list()} == {HuntState.CONCLUDED}


def test_a_run_that_died_holds_its_hours_until_it_is_given_up(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day())
    target = find_target(made.kit, "T1053.005")
    run, _, _ = start(made.kit, target, DAY, ledger(made.kit, target, DAY))
    assert answer(made) is Answer.RUNNING
    assert abandon_dead(made.kit) == ()

    made.clock.pass_by(hours=7)

    assert abandon_dead(made.kit) == (run.id,)
    assert answer(made) is Answer.NEW
    assert hunt(made).run.verdict is Verdict.RULED_OUT


# ---------------------------------------------------------------- gaps that come and go


def test_a_gap_is_one_while_its_hosts_change(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day(no_audit=("PC1",)))
    (first,) = (g for g in hunt(made).gaps if g.source == "security/other-object-access")
    made.siem.add(quiet_day(("PC1",), start=after(hours=HOURS)))
    made.siem.add(quiet_day(("PC2", "SRV1"), start=after(hours=HOURS), no_audit=("PC2",)))

    next_day = Window(DAY.end, after(hours=2 * HOURS))
    (second,) = (g for g in hunt(made, next_day).gaps if g.source == first.source)

    assert (first.hosts, second.hosts) == (("PC1",), ("PC2",))
    assert second.id == first.id
    assert len(made.tickets.list()) == made.counts()["gaps"]


def test_a_closed_gap_that_a_hunt_sees_again_regresses_and_reopens_its_ticket(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path, quiet_day())
    gap = next(g for g in hunt(made).gaps if g.source == "security/process-command-line")
    with made.unit() as unit:
        for state in (GapState.VERIFYING, GapState.CLOSED):
            gap = unit.gaps.save(replace(gap, state=state), actor="test", why="a test")
        unit.commit()
    made.tickets.close(gap.ticket, "done")

    made.siem.add(quiet_day(start=after(hours=HOURS)))
    again = next(
        g for g in hunt(made, Window(DAY.end, after(hours=2 * HOURS))).gaps if g.id == gap.id
    )

    assert again.state is GapState.REGRESSED
    ticket = next(t for t in made.tickets.list() if t.remote_id == gap.ticket)
    assert ticket.state.value == "open"
    assert "is back" in ticket.comments[-1]


def test_a_closed_gap_stays_closed_where_a_window_holds_the_time_before(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day())
    gap = next(g for g in hunt(made).gaps if g.source == "security/process-command-line")
    with made.unit() as unit:
        for state in (GapState.VERIFYING, GapState.CLOSED):
            gap = unit.gaps.save(replace(gap, state=state), actor="test", why="a test")
        unit.commit()

    again = next(g for g in hunt(made).gaps if g.id == gap.id)

    assert again.state is GapState.CLOSED


def test_a_look_at_older_telemetry_does_not_move_a_gap_back(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day(no_line=()))
    made.siem.add(quiet_day(start=after(hours=HOURS), no_line=HOSTS))
    newer = Window(DAY.end, after(hours=2 * HOURS))
    gap = next(g for g in hunt(made, newer).gaps if g.source == "security/process-command-line")

    made.siem.add(quiet_day(hours=2, no_line=("PC1",), start=after(minutes=30)))
    hunt(made)

    with made.unit() as unit:
        assert unit.gaps.get(gap.id) == replace(gap, ticket=gap.ticket)


def test_more_context_in_a_longer_window_makes_no_second_finding_or_case(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    first = hunt(made)
    made.siem.add([process("PC1", after(hours=11), EVIL_LINE)])

    again = hunt(made)

    assert [f.id for f in again.findings] == [f.id for f in first.findings]
    assert [c.id for c in again.cases] == ["CASE-1"]


def test_the_same_task_on_one_more_host_is_a_new_finding_with_a_case(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    hunt(made)
    made.siem.add(intrusion("PC2", 12))

    again = hunt(made)

    assert [f.hosts for f in again.findings] == [("PC1", "PC2")]
    assert [c.id for c in again.cases] == ["CASE-2"]


def test_a_run_that_has_ended_is_not_given_up(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day())
    settled = hunt(made)

    assert not abandon(made.kit, settled.run.id, "cancelled")

    with made.unit() as unit:
        (run,) = unit.hunts.list()
        assert run.state is HuntState.CONCLUDED


def test_what_was_given_up_does_not_settle_any_more(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), *intrusion()])
    target = find_target(made.kit, "T1053.005")
    run, sight, gaps = start(made.kit, target, DAY, ledger(made.kit, target, DAY))
    result = look_for(made.kit, target, sight, gaps)
    assert abandon(made.kit, run.id, "cancelled")

    with pytest.raises(StateError, match="given up"):
        settle(made.kit, run, result, promote(made.kit, result))

    counts = made.counts()
    assert counts["findings"] == counts["gaps"] == counts["cases"] == 0
