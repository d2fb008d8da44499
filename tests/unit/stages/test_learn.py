"""What IR concluded leaves as intel: planned once, sent once, nothing above its ceiling."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from huntonce.connectors.intel.memory import MemoryDestination
from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.errors import DomainError, TerminalError, TransientError
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.stages.approve import decide
from huntonce.models.stages.close import close, sync_cases
from huntonce.models.stages.dispatch import STALE_AFTER
from huntonce.models.stages.learn import plan_case, waiting
from huntonce.models.stages.operate import carry_out, default_window, find_target
from huntonce.models.stages.outlets import Outlet
from huntonce.models.stages.planned import keep_approved
from huntonce.models.stages.sending import send_publications
from huntonce.models.tlp import Tlp
from tests.support.kits import AUTO, Bench, bench, intrusion, quiet_day, rules_of, with_kit

SENT, PLANNED = PublicationState.SENT, PublicationState.PLANNED


@pytest.fixture
def made(tmp_path: Path) -> Bench:
    """An estate with one case that is open at the desk."""
    estate = bench(tmp_path, [*quiet_day(), *intrusion()])
    carry_out(estate.kit, find_target(estate.kit, "T1053.005"), default_window(estate.kit))
    return estate


def closed(made: Bench, as_: Determination = Determination.CONFIRMED) -> Case:
    """The case as IR closed it."""
    close(made.kit, "CASE-1", as_, "The payload ran.")
    (case,) = sync_cases(made.kit)
    return case


def outlet(max_tlp: Tlp = Tlp.AMBER) -> tuple[Outlet, MemoryDestination]:
    destination = MemoryDestination(name="partners")
    return Outlet(destination=destination, max_tlp=max_tlp), destination


def approve(made: Bench) -> None:
    with made.unit() as unit:
        (proposal,) = [p for p in unit.proposals.list("pending") if p.change == "publish"]
    decide(made.kit, proposal.id, approve=True, by="ann")


def states(made: Bench) -> set[PublicationState]:
    with made.unit() as unit:
        return {p.state for p in unit.publications.list()}


# ---------------------------------------------------------------- closing


def test_a_closure_is_taken_over_once(made: Bench) -> None:
    case = closed(made)

    assert (case.state, case.determination) == (CaseState.CLOSED, Determination.CONFIRMED)
    assert case.note == "The payload ran."
    assert sync_cases(made.kit) == ()


def test_a_case_that_the_desk_does_not_have_cannot_be_closed(made: Bench) -> None:
    with pytest.raises(DomainError, match="no case"):
        close(made.kit, "CASE-9", Determination.CONFIRMED, "")
    closed(made)
    with pytest.raises(DomainError, match="closed already"):
        close(made.kit, "CASE-1", Determination.CONFIRMED, "")


# ---------------------------------------------------------------- planning


def test_a_closed_case_is_planned_once(made: Bench) -> None:
    case, (one, _) = closed(made), outlet()

    first = plan_case(made.kit, case, [one])
    again = plan_case(made.kit, case, [one])

    assert first
    assert [p.id for p in again] == [p.id for p in first]
    with made.unit() as unit:
        assert len(unit.publications.list()) == len(first)
        assert len([p for p in unit.proposals.list() if p.change == "publish"]) == 1


def test_nothing_is_sent_before_it_is_approved(made: Bench) -> None:
    one, destination = outlet()
    plan_case(made.kit, closed(made), [one])

    assert send_publications(made.kit, [one]) == ()
    assert destination.held == {}
    assert waiting(made.kit)


def test_no_host_or_account_of_ours_leaves_by_name(made: Bench) -> None:
    one, destination = outlet(Tlp.RED)
    plan_case(made.kit, closed(made), [one])
    approve(made)

    send_publications(made.kit, [one])

    assert destination.held
    for body in destination.held.values():
        assert "PC1" not in body
        assert "corp.example" not in body.lower()
        assert "CORP\\\\ann" not in body


def test_what_is_above_the_ceiling_is_withheld_and_says_why(made: Bench) -> None:
    one, destination = outlet(Tlp.GREEN)
    planned = plan_case(made.kit, closed(made), [one])

    held_back = [p for p in planned if p.state is PublicationState.SKIPPED_TLP]

    assert held_back
    assert all(p.why for p in held_back)
    if any(p.state is PLANNED for p in planned):
        approve(made)
    send_publications(made.kit, [one])
    assert not {p.object_id for p in held_back} & {object_id for object_id, _ in destination.held}


# ---------------------------------------------------------------- sending


def test_an_approved_plan_is_sent_and_kept_as_sent(made: Bench) -> None:
    one, destination = outlet(Tlp.RED)
    planned = plan_case(made.kit, closed(made), [one])
    approve(made)

    ended = send_publications(made.kit, [one])

    assert {p.state for p in ended} == {SENT}
    leaving = {p.object_id for p in planned if p.state is PLANNED}
    assert {object_id for object_id, _ in destination.held} == leaving
    assert sorted(destination.held.values()) == sorted(p.body for p in ended)
    assert all(json.loads(body)["id"] in leaving for body in destination.held.values())
    assert send_publications(made.kit, [one]) == ()


def test_auto_policy_sends_without_a_proposal(made: Bench) -> None:
    policy = replace(made.kit.policy, approvals=rules_of({**AUTO, "publish": "auto"}))
    case, (one, destination) = closed(made), outlet(Tlp.RED)

    plan_case(with_kit(made, policy=policy).kit, case, [one])
    send_publications(made.kit, [one])

    assert destination.held
    with made.unit() as unit:
        assert not [p for p in unit.proposals.list() if p.change == "publish"]


def test_a_sender_that_died_after_the_server_had_it_finds_it_present(made: Bench) -> None:
    one, destination = outlet(Tlp.RED)
    plan_case(made.kit, closed(made), [one])
    approve(made)
    with made.unit() as unit:
        bodies = [p.body for p in unit.publications.list(PublicationState.APPROVED)]
        claimed = unit.outbox.claim(None, at=made.clock(), stale_after=STALE_AFTER)
    assert claimed is not None
    destination.publish(bodies)
    before = dict(destination.held)

    made.clock.pass_by(seconds=STALE_AFTER + 1)
    ended = send_publications(made.kit, [one])

    assert {p.state for p in ended} == {PublicationState.ALREADY_PRESENT}
    assert destination.held == before


def test_an_outage_in_the_middle_is_made_good_by_the_next_run(made: Bench) -> None:
    one, destination = outlet(Tlp.RED)
    plan_case(made.kit, closed(made), [one])
    approve(made)
    destination.fault, destination.fault_after = TransientError("down", connector="partners"), 1

    assert send_publications(made.kit, [one]) == ()
    ended = send_publications(made.kit, [one])

    assert {p.state for p in ended} == {SENT, PublicationState.ALREADY_PRESENT}
    assert len(destination.held) == len(ended)


def test_a_refusal_of_the_whole_is_recorded_with_its_reason(made: Bench) -> None:
    one, destination = outlet(Tlp.RED)
    plan_case(made.kit, closed(made), [one])
    approve(made)
    destination.fault = TerminalError("no write rights", connector="partners")

    send_publications(made.kit, [one])

    assert PublicationState.FAILED in states(made)
    assert any("no write rights" in p.why for p in waiting(made.kit))


def test_a_destination_that_is_no_longer_configured_fails_the_plan(made: Bench) -> None:
    one, _ = outlet(Tlp.RED)
    plan_case(made.kit, closed(made), [one])
    approve(made)

    send_publications(made.kit, [])

    assert any("no destination named 'partners'" in p.why for p in waiting(made.kit))


@pytest.mark.parametrize("whole", [True, False])
def test_what_failed_can_be_approved_and_sent_again(made: Bench, *, whole: bool) -> None:
    one, destination = outlet(Tlp.RED)
    plan_case(made.kit, closed(made), [one])
    approve(made)
    if whole:
        destination.fault = TerminalError("no write rights", connector="partners")
    else:
        with made.unit() as unit:
            destination.refuse = {p.object_id for p in unit.publications.list()}
    send_publications(made.kit, [one])
    failed = _failed(made)
    assert failed
    destination.refuse = set()
    made.clock.pass_by(minutes=1)

    keep_approved(made.kit, failed, by="ann")
    ended = send_publications(made.kit, [one])

    assert {p.state for p in ended} == {SENT}
    assert len(ended) == len(failed)
    assert _failed(made) == ()


def _failed(made: Bench) -> tuple[Publication, ...]:
    with made.unit() as unit:
        return unit.publications.list(PublicationState.FAILED)
