"""From the outbox to a desk of another product and back: once, whatever dies in between."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from huntonce.connectors.cases.memory import MemoryCases
from huntonce.connectors.tickets.memory import MemoryTickets
from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.desk import UNSEEN
from huntonce.models.gap import Gap, GapState
from huntonce.models.outbox import Channel, MessageState
from huntonce.models.stages import dispatch as sending
from huntonce.models.stages.close import close, sync_cases, sync_desks
from huntonce.models.stages.dispatch import STALE_AFTER, dispatch
from huntonce.models.stages.operate import carry_out, default_window, find_target
from huntonce.models.stages.watch import verify_gaps
from huntonce.models.tlp import Tlp
from tests.support.builders import after
from tests.support.desks.github import FakeGitHub
from tests.support.desks.iris import FakeIris
from tests.support.desks.jira import FakeJira
from tests.support.desks.members import (
    CASE_DESKS,
    TICKET_DESKS,
    RemoteCases,
    RemoteTickets,
    case_member,
    ticket_member,
)
from tests.support.desks.server import answer
from tests.support.desks.thehive import FakeTheHive
from tests.support.kits import HOURS, Bench, bench, intrusion, quiet_day, with_kit

LINE = "security/process-command-line"


@pytest.fixture(scope="module")
def one_server() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1", port=0) as server:
        yield server


@pytest.fixture
def server(one_server: HTTPServer) -> Iterator[HTTPServer]:
    one_server.clear()
    yield one_server
    one_server.check_assertions()


@pytest.fixture(params=TICKET_DESKS)
def tickets(request: pytest.FixtureRequest, server: HTTPServer) -> RemoteTickets:
    return ticket_member(request.param, server)


@pytest.fixture(params=CASE_DESKS)
def cases(request: pytest.FixtureRequest, server: HTTPServer) -> RemoteCases:
    return case_member(request.param, server)


@pytest.fixture(scope="module")
def hunted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store after a hunt whose messages for desks called "remote" could not be sent yet."""
    path = tmp_path_factory.mktemp("hunted")
    tickets, cases = MemoryTickets("remote"), MemoryCases("remote")
    tickets.fail_before = cases.fail_before = 1
    made = with_kit(bench(path, [*quiet_day(), *intrusion()]), tickets=tickets, cases=cases)
    made.clock.pass_by(minutes=1)
    carry_out(made.kit, find_target(made.kit, "T1053.005"), default_window(made.kit))
    with made.unit() as unit:
        waiting = unit.outbox.list(MessageState.PENDING)
        assert {m.channel for m in waiting} == {Channel.TICKET, Channel.CASE}
    made.store.close()
    return path


@pytest.fixture
def at(hunted: Path, tmp_path: Path) -> Path:
    """A copy of that store of one's own."""
    shutil.copy(hunted / "huntonce.db", tmp_path / "huntonce.db")
    return tmp_path


def estate(path: Path, member: RemoteTickets | RemoteCases) -> Bench:
    """The estate that was hunted, with a remote desk."""
    part = "tickets" if isinstance(member, RemoteTickets) else "cases"
    made = with_kit(bench(path, quiet_day()), **{part: member.desk})
    made.clock.pass_by(minutes=2)
    return made


def channel(member: RemoteTickets | RemoteCases) -> Channel:
    return Channel.TICKET if isinstance(member, RemoteTickets) else Channel.CASE


def sent(path: Path, member: RemoteTickets | RemoteCases) -> Bench:
    """The estate after everything for that desk was sent."""
    made = estate(path, member)
    assert dispatch(made.kit, channel(member)).failed == ()
    return made


def the_gap(made: Bench) -> Gap:
    with made.unit() as unit:
        return next(gap for gap in unit.gaps.list() if gap.source == LINE)


def the_case(made: Bench) -> Case:
    with made.unit() as unit:
        (case,) = unit.cases.list()
    return case


def count(member: RemoteTickets | RemoteCases) -> int:
    fake = member.fake
    if isinstance(fake, FakeGitHub | FakeJira):
        return len(fake.issues)
    assert isinstance(fake, FakeTheHive | FakeIris)
    return len(fake.cases)


@pytest.mark.parametrize("kind", [*TICKET_DESKS, *CASE_DESKS])
def test_sent_and_not_recorded_is_sent_once(
    kind: str, at: Path, server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = ticket_member(kind, server) if kind in TICKET_DESKS else case_member(kind, server)
    made = estate(at, member)

    def die(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(sending, "_done", die)
        with pytest.raises(KeyboardInterrupt):
            dispatch(made.kit, channel(member))
    assert count(member) == 1

    made.clock.pass_by(seconds=STALE_AFTER + 1)
    dispatch(made.kit, channel(member))
    dispatch(made.kit, channel(member))

    with made.unit() as unit:
        states = {m.state for m in unit.outbox.list() if m.channel is channel(member)}
        ids = (
            [gap.ticket for gap in unit.gaps.list()]
            if kind in TICKET_DESKS
            else [case.remote_id for case in unit.cases.list()]
        )
    assert states == {MessageState.SENT}
    assert count(member) == len(set(ids)) == len(ids)
    assert all(ids)


@pytest.mark.parametrize("kind", ["github", "jira-cloud"])
def test_a_closed_gap_closes_its_ticket_with_the_proof_and_a_regressed_one_reopens_it(
    kind: str, at: Path, server: HTTPServer
) -> None:
    tickets = ticket_member(kind, server)
    made = sent(at, tickets)
    gap = the_gap(made)
    assert gap.ticket

    for number, dark in enumerate(((), (), ("PC2",)), 1):
        made.siem.add(quiet_day(start=after(hours=HOURS * number), no_line=dark))
        made.clock.pass_by(hours=1)
        verify_gaps(made.kit)
        dispatch(made.kit)
        if number == 2:
            assert the_gap(made).state is GapState.CLOSED
            assert _said(tickets, gap.ticket, "done")[-1].count("closed")
    assert the_gap(made).state is GapState.REGRESSED
    said = _said(tickets, gap.ticket, "open")
    assert len(said) == 2
    assert "is back" in said[-1]


def _said(member: RemoteTickets, remote_id: str, state: str) -> list[str]:
    """The comments of a ticket, which is in a state."""
    if isinstance(member.fake, FakeGitHub):
        number = int(remote_id.rpartition("#")[2])
        wanted = {"done": "closed", "open": "open"}[state]
        assert member.fake.issues[number - 1]["state"] == wanted
        return [one["body"] for one in member.fake.said[number]]
    assert isinstance(member.fake, FakeJira)
    fields = member.fake._find(remote_id)["fields"]
    assert (fields["status"]["statusCategory"]["key"] == "done") is (state == "done")
    return [one["body"] for one in fields["comment"]["comments"]]


def test_what_people_do_to_a_ticket_comes_back_and_closes_no_gap(
    tickets: RemoteTickets, at: Path
) -> None:
    made = sent(at, tickets)
    first = sync_desks(made.kit)
    gap = the_gap(made)
    assert gap.id in first.changed
    assert gap.at_desk.url
    assert sync_desks(made.kit).changed == ()

    if isinstance(tickets.fake, FakeGitHub):
        number = int(gap.ticket.rpartition("#")[2])
        tickets.fake.touch(number, state="closed", state_reason="completed")
        tickets.fake.say(number, "Done by GPO")
    else:
        assert isinstance(tickets.fake, FakeJira)
        tickets.fake.move(gap.ticket, "Done")
        tickets.fake.say(gap.ticket, "Done by GPO")
    followed = sync_desks(made.kit)

    assert followed.changed == (gap.id,)
    told = the_gap(made)
    assert told.state is GapState.SURFACED  # only evidence closes it
    assert [one.text for one in told.at_desk.comments] == ["Done by GPO"]
    assert sync_desks(made.kit).changed == ()


def test_what_ir_concludes_there_closes_our_case_once(cases: RemoteCases, at: Path) -> None:
    made = sent(at, cases)
    assert sync_cases(made.kit) == ()
    case = the_case(made)
    assert case.state is CaseState.OPEN
    assert case.at_desk != UNSEEN

    _ir_closes(cases, case.remote_id)
    (closed,) = sync_cases(made.kit)

    assert (closed.state, closed.determination) == (CaseState.CLOSED, Determination.CONFIRMED)
    assert closed.closed_at is not None
    assert sync_cases(made.kit) == ()
    assert sync_desks(made.kit).changed == ()


def _ir_closes(cases: RemoteCases, remote_id: str, *, known: bool = True) -> None:
    if isinstance(cases.fake, FakeTheHive):
        cases.fake.close(remote_id, "TruePositive" if known else "Other", "WithImpact", "Them.")
    else:
        assert isinstance(cases.fake, FakeIris)
        cases.fake.close(remote_id, 2 if known else 3)


def test_a_closing_that_stands_for_nothing_is_put_before_a_person(
    cases: RemoteCases, at: Path
) -> None:
    made = sent(at, cases)
    case = the_case(made)
    _ir_closes(cases, case.remote_id, known=False)

    followed = sync_desks(made.kit)

    assert followed.closed == ()
    assert the_case(made).state is CaseState.OPEN
    assert "determinations" in followed.notices[0]


def test_a_case_that_is_opened_again_there_is_told(cases: RemoteCases, at: Path) -> None:
    made = sent(at, cases)
    case = the_case(made)
    close(made.kit, case.id, Determination.CONFIRMED, "them")
    assert len(sync_cases(made.kit)) == 1
    if isinstance(cases.fake, FakeTheHive):
        cases.fake._find(case.remote_id).update(stage="InProgress", status="InProgress")
    else:
        assert isinstance(cases.fake, FakeIris)
        cases.fake.cases[0].update(close_date=None, state_name="Open")

    followed = sync_desks(made.kit)

    assert "opened again" in followed.notices[0]
    assert the_case(made).state is CaseState.CLOSED


def test_a_case_that_is_gone_there_is_told_and_stays_open(cases: RemoteCases, at: Path) -> None:
    made = sent(at, cases)
    assert isinstance(cases.fake, FakeTheHive | FakeIris)
    cases.fake.cases.clear()

    followed = sync_desks(made.kit)

    assert "not found there" in followed.notices[0]
    assert the_case(made).state is CaseState.OPEN


def test_a_desk_that_cannot_be_asked_is_said_and_stops_no_other(
    cases: RemoteCases, at: Path, server: HTTPServer
) -> None:
    made = sent(at, cases)
    cases.fake.faults.append(("*", answer({}, 503)))

    followed = sync_desks(made.kit)

    assert followed.closed == ()
    assert "could not be asked" in followed.unreached[0]
    assert the_case(made).state is CaseState.OPEN
    assert server.log


def test_a_case_above_the_ceiling_does_not_leave(at: Path, server: HTTPServer) -> None:
    member = case_member("thehive", server)
    made = estate(at, member)
    red = replace(member.desk._config, max_tlp=Tlp.CLEAR)
    member.desk._config = red

    dispatch(made.kit, Channel.CASE)

    assert count(member) == 0
    with made.unit() as unit:
        (failed,) = unit.outbox.list(MessageState.FAILED)
    assert "may not go to remote" in failed.error
