"""What a person decides is what they saw, once, and in time."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from huntonce.connectors.detections.folder import RuleFolder
from huntonce.models.approval import Approver, Rule, code_for
from huntonce.models.errors import DomainError
from huntonce.models.guarding import write_filter
from huntonce.models.policy import Policy
from huntonce.models.proposal import Proposal, ProposalState
from huntonce.models.stages.approve import decide
from huntonce.models.stages.certify import adopt, deploy, find, retune
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.drifting import drift
from huntonce.models.stages.operate import carry_out, find_target
from huntonce.models.windows import Window
from tests.support.builders import T0, after
from tests.support.kits import ASK, HOURS, Bench, bench, intrusion, quiet_day, rules_of, with_kit

DAY = Window(T0, after(hours=HOURS))
EVENTS = [*quiet_day(), *intrusion()]


def hunt(made: Bench, window: Window = DAY) -> None:
    made.clock.pass_by(minutes=1)
    carry_out(made.kit, find_target(made.kit, "T1053.005"), window)


@pytest.fixture(scope="module")
def hunted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the intrusion was hunted; nothing has left yet."""
    folder = tmp_path_factory.mktemp("hunted")
    asking = bench(folder, EVENTS, approvals=ASK)
    hunt(asking)
    asking.store.close()
    return folder / "huntonce.db"


@pytest.fixture
def made(hunted: Path, tmp_path: Path) -> Bench:
    shutil.copy(hunted, tmp_path / "huntonce.db")
    again = bench(tmp_path, EVENTS, approvals=ASK)
    again.clock.pass_by(minutes=1)
    return again


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
    made.clock.pass_by(hours=72, seconds=1)

    with pytest.raises(DomainError, match="expired"):
        decide(made.kit, proposal.id, approve=True, by="ann")
    assert proposals(made, "open_case")[0].state is ProposalState.EXPIRED
    hunt(made)

    (again,) = proposals(made, "open_case", "pending")
    assert again.id == proposal.id
    decide(made.kit, again.id, approve=True, by="ann")
    assert at_desks(made)[1] == 1


def test_what_nobody_looked_at_in_time_is_proposed_anew_too(made: Bench) -> None:
    made.clock.pass_by(hours=72, seconds=1)

    hunt(made)

    assert all(p.expires_at > made.clock() for p in proposals(made))


def test_a_rejection_is_not_asked_again(made: Bench) -> None:
    (proposal,) = proposals(made, "open_case")
    decide(made.kit, proposal.id, approve=False, by="ann")
    made.clock.pass_by(hours=72, seconds=1)

    hunt(made)

    assert proposals(made, "open_case")[0].state is ProposalState.REJECTED


def test_an_unknown_proposal_is_told(made: Bench) -> None:
    with pytest.raises(DomainError, match="no proposal P-99"):
        decide(made.kit, "P-99", approve=True, by="ann")


def test_hunting_again_proposes_nothing_twice(made: Bench) -> None:
    before = [p.id for p in proposals(made)]

    hunt(made)

    assert [p.id for p in proposals(made)] == before


def asking(made: Bench, **policy: object) -> Bench:
    return with_kit(made, policy=replace(made.kit.policy, **policy))  # type: ignore[arg-type]


def test_two_people_have_to_approve_where_the_policy_says_so(made: Bench) -> None:
    two = asking(made, approvals=rules_of(ASK, people=2))
    (proposal,) = proposals(made, "open_case")

    first = decide(two.kit, proposal.id, approve=True, by="Ann")
    assert (first.state, at_desks(made)) == (ProposalState.ENDORSED, (0, 0, 0))
    with pytest.raises(DomainError, match="approved P-"):
        decide(two.kit, proposal.id, approve=True, by=" ann ")
    second = decide(two.kit, proposal.id, approve=True, by="Bob")

    assert (second.state, second.decided_by) == (ProposalState.APPROVED, "Ann, Bob")
    assert at_desks(made) == (0, 1, 0)


def test_one_rejection_ends_what_two_should_approve(made: Bench) -> None:
    two = asking(made, approvals=rules_of(ASK, people=2))
    (proposal,) = proposals(made, "open_case")
    decide(two.kit, proposal.id, approve=True, by="Ann")

    decide(two.kit, proposal.id, approve=False, by="Bob")

    (ended,) = proposals(made, "open_case")
    assert (ended.state, ended.decided_by) == (ProposalState.REJECTED, "Bob")
    assert at_desks(made) == (0, 0, 0)


def test_what_one_of_two_approved_lapses_with_its_approval(made: Bench) -> None:
    two = asking(made, approvals=rules_of(ASK, people=2))
    (proposal,) = proposals(made, "open_case")
    decide(two.kit, proposal.id, approve=True, by="Ann")
    made.clock.pass_by(hours=72, seconds=1)

    hunt(two)

    (again,) = proposals(made, "open_case")
    assert (again.state, again.approvals) == (ProposalState.PENDING, ())


def test_only_an_approver_with_the_code_of_this_decision_decides(made: Bench) -> None:
    known = {"amy": Approver(token="amys long secret"), "joe": Approver(token="x", may=("deploy",))}
    guarded = asking(made, approvers=known)
    (case,), (rule,) = proposals(made, "open_case"), proposals(made, "deploy")
    code = code_for("amys long secret", case, "approve")

    for by, given in (("eve", code), ("amy", ""), ("amy", "amys long secret"), ("joe", code)):
        with pytest.raises(DomainError):
            decide(guarded.kit, case.id, approve=True, by=by, code=given)
    with pytest.raises(DomainError, match="prove"):
        decide(guarded.kit, case.id, approve=False, by="amy", code=code)
    with pytest.raises(DomainError, match="prove"):
        decide(guarded.kit, rule.id, approve=True, by="amy", code=code)
    assert at_desks(made) == (0, 0, 0)

    assert decide(guarded.kit, case.id, approve=True, by="AMY", code=code).decided_by == "amy"
    assert at_desks(made) == (0, 1, 0)


@pytest.mark.parametrize(
    ("rule", "size", "outside", "asks"),
    [
        (Rule(mode="own"), 1e9, False, False),
        (Rule(mode="own"), 0, True, True),
        (Rule(mode="auto"), 1e9, True, False),
        (Rule(mode="ask"), 0, False, True),
        (Rule(mode="over", threshold=2), 2, True, False),
        (Rule(mode="over", threshold=2), 2.01, False, True),
    ],
)
def test_a_policy_asks_when_it_says(rule: Rule, size: float, outside: bool, asks: bool) -> None:
    assert rule.asks(size, outside=outside) is asks


def test_a_kind_of_change_that_nobody_decided_on_asks() -> None:
    assert Policy().rule("anything").asks(0, outside=False)


# ---------------------------------------------------------------- orders of a person


def waiting(made: Bench) -> Proposal:
    (proposal,) = proposals(made, "deploy", "pending")
    return proposal


@pytest.fixture
def kept(made: Bench, tmp_path: Path) -> tuple[Bench, Path]:
    """The rule approved into a folder, where somebody has changed it since."""
    made = with_kit(made, rules=RuleFolder(tmp_path / "rules", name=made.kit.rules.name))
    decide(made.kit, waiting(made).id, approve=True, by="ann")
    dispatch(made.kit)
    (file,) = [f for f in (tmp_path / "rules").rglob("*.yml") if "level: high" in f.read_text()]
    file.write_text(file.read_text().replace("level: high", "level: critical"))
    made.clock.pass_by(minutes=1)
    return made, file


def told(made: Bench) -> list[str]:
    return [line.part for line in drift(made.kit)]


def test_restoring_a_rule_that_was_changed_waits_for_leave_and_then_writes_over_it(
    kept: tuple[Bench, Path],
) -> None:
    made, file = kept
    deploy(made.kit, "D-1", overwrite=True)
    dispatch(made.kit)
    assert "level: critical" in file.read_text()
    assert "over what people changed" in waiting(made).summary

    decide(made.kit, waiting(made).id, approve=True, by="ann")
    dispatch(made.kit)

    assert "level: high" in file.read_text()
    assert told(made) == []


def test_an_order_is_asked_again_after_it_was_decided_and_carried_out(
    kept: tuple[Bench, Path],
) -> None:
    made, file = kept
    for level in ("low", "medium"):
        made.clock.pass_by(minutes=1)
        file.write_text(re.sub("level: [a-z]+", f"level: {level}", file.read_text()))
        deploy(made.kit, "D-1", overwrite=True)
        decide(made.kit, waiting(made).id, approve=True, by="ann")
        dispatch(made.kit)
        assert "level: high" in file.read_text()


def test_leave_to_deploy_is_no_leave_to_write_over_a_change(kept: tuple[Bench, Path]) -> None:
    made, file = kept
    deploy(made.kit, "D-1")
    decide(made.kit, waiting(made).id, approve=True, by="ann")
    dispatch(made.kit)

    assert "level: critical" in file.read_text()
    assert told(made) == ["rule"]


def test_a_change_that_was_adopted_is_deployed_by_leave(kept: tuple[Bench, Path]) -> None:
    made, file = kept
    taken = adopt(made.kit, "D-1")
    assert taken.after.level == "critical"

    decide(made.kit, waiting(made).id, approve=True, by="ann")
    dispatch(made.kit)

    assert "level: critical" in file.read_text()
    assert told(made) == []


def test_a_filter_reaches_the_store_by_leave(kept: tuple[Bench, Path]) -> None:
    made, file = kept
    deploy(made.kit, "D-1", overwrite=True)
    decide(made.kit, waiting(made).id, approve=True, by="ann")
    dispatch(made.kit)
    made.clock.pass_by(minutes=1)
    with made.unit() as unit:
        detection = find(unit, "D-1")
    text = write_filter(
        detection,
        {"SubjectUserName": ["svc-deploy"]},
        owner="ann",
        reason="deploys tasks",
        today=made.clock().date(),
    )
    retune(made.kit, "D-1", [text])
    decide(made.kit, waiting(made).id, approve=True, by="ann")
    dispatch(made.kit)

    assert told(made) == []
    assert any("svc-deploy" in f.read_text() for f in file.parent.rglob("*") if f.is_file())
