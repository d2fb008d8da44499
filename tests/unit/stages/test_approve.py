"""What a person decides is what they saw, once, and in time."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from huntonce.models.errors import DomainError
from huntonce.models.proposal import Proposal, ProposalState
from huntonce.models.stages.approve import decide
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.leaving import PROPOSAL_LIFE
from huntonce.models.stages.operate import carry_out, find_target
from huntonce.models.windows import Window
from tests.support.builders import T0, after
from tests.support.kits import ASK, HOURS, Bench, bench, intrusion, quiet_day

DAY = Window(T0, T0 + timedelta(hours=HOURS))


def hunt(made: Bench, window: Window = DAY) -> None:
    made.clock.pass_by(minutes=1)
    carry_out(made.kit, find_target(made.kit, "T1053.005"), window)


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    asking = bench(tmp_path, [*quiet_day(), *intrusion()], approvals=ASK)
    hunt(asking)
    return asking


def proposals(made: Bench, change: str = "", *states: str) -> list[Proposal]:
    with made.unit() as unit:
        return [p for p in unit.proposals.list(*states) if change in {"", p.change}]


def at_desks(made: Bench) -> tuple[int, int, int]:
    dispatch(made.kit)
    return len(made.tickets.list()), len(made.cases.list()), len(made.rules.live)


def test_nothing_leaves_before_it_is_decided(made: Bench) -> None:
    assert sorted(p.change for p in proposals(made)) == [
        "deploy",
        "open_case",
        "open_ticket",
        "open_ticket",
    ]
    assert at_desks(made) == (0, 0, 0)


def test_what_is_approved_leaves_and_what_is_rejected_does_not(made: Bench) -> None:
    decide(made.kit, proposals(made, "open_case")[0].id, approve=True, by="ann")
    decide(made.kit, proposals(made, "deploy")[0].id, approve=False, by="ann")

    assert at_desks(made) == (0, 1, 0)
    (case,) = proposals(made, "open_case")
    assert (case.state, case.decided_by) == (ProposalState.APPROVED, "ann")
    (deploy,) = proposals(made, "deploy")
    assert deploy.state is ProposalState.REJECTED


def test_all_that_was_proposed_can_be_carried_out(made: Bench) -> None:
    for proposal in proposals(made):
        decide(made.kit, proposal.id, approve=True, by="ann")

    assert at_desks(made) == (2, 1, 1)
    with made.unit() as unit:
        assert all(gap.ticket for gap in unit.gaps.list())
        assert unit.detections.list()[0].deployments[0].observed == "enabled"


@pytest.mark.parametrize("first", [True, False])
def test_a_proposal_is_decided_once(made: Bench, *, first: bool) -> None:
    (proposal,) = proposals(made, "open_case")
    decide(made.kit, proposal.id, approve=first, by="ann")

    with pytest.raises(DomainError, match="already"):
        decide(made.kit, proposal.id, approve=True, by="bob")

    assert at_desks(made)[1] == first


def test_a_subject_that_changed_is_refused(made: Bench) -> None:
    (proposal,) = proposals(made, "open_case")
    with made.unit() as unit:
        case = unit.cases.get(proposal.subject)
        assert case is not None
        unit.cases.save(replace(case, summary="something else"), actor="test", why="a test")
        unit.commit()

    with pytest.raises(DomainError, match="changed since"):
        decide(made.kit, proposal.id, approve=True, by="ann")

    assert at_desks(made) == (0, 0, 0)
    assert proposals(made, "open_case")[0].state is ProposalState.PENDING


def test_the_next_hunt_proposes_the_subject_as_it_is_now(made: Bench) -> None:
    made.siem.add(quiet_day(start=after(hours=HOURS), no_line=("PC1", "PC2")))
    hunt(made, Window(DAY.end, after(hours=2 * HOURS)))
    old, new = (p for p in proposals(made, "open_ticket") if "command line" in p.summary)

    with pytest.raises(DomainError, match="changed since"):
        decide(made.kit, old.id, approve=True, by="ann")
    decide(made.kit, new.id, approve=True, by="ann")

    assert at_desks(made)[0] == 1
    assert made.tickets.list()[0].gap["hosts"] == ["PC1", "PC2"]


def test_what_expired_is_refused_and_proposed_anew_by_the_next_hunt(made: Bench) -> None:
    (proposal,) = proposals(made, "open_case")
    made.clock.pass_by(seconds=PROPOSAL_LIFE.total_seconds() + 1)

    with pytest.raises(DomainError, match="expired"):
        decide(made.kit, proposal.id, approve=True, by="ann")
    assert proposals(made, "open_case")[0].state is ProposalState.EXPIRED
    hunt(made)

    (again,) = proposals(made, "open_case", "pending")
    assert again.id == proposal.id
    decide(made.kit, again.id, approve=True, by="ann")
    assert at_desks(made)[1] == 1


def test_what_nobody_looked_at_in_time_is_proposed_anew_too(made: Bench) -> None:
    made.clock.pass_by(seconds=PROPOSAL_LIFE.total_seconds() + 1)

    hunt(made)

    assert all(p.expires_at > made.clock() for p in proposals(made))


def test_a_rejection_is_not_asked_again(made: Bench) -> None:
    (proposal,) = proposals(made, "open_case")
    decide(made.kit, proposal.id, approve=False, by="ann")
    made.clock.pass_by(seconds=PROPOSAL_LIFE.total_seconds() + 1)

    hunt(made)

    assert proposals(made, "open_case")[0].state is ProposalState.REJECTED


def test_an_unknown_proposal_is_told(made: Bench) -> None:
    with pytest.raises(DomainError, match="no proposal P-99"):
        decide(made.kit, "P-99", approve=True, by="ann")


def test_hunting_again_proposes_nothing_twice(made: Bench) -> None:
    before = [p.id for p in proposals(made)]

    hunt(made)

    assert [p.id for p in proposals(made)] == before
