from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from huntonce.connectors.tickets.builtin import BuiltinTickets
from huntonce.connectors.tickets.memory import MemoryTickets
from huntonce.connectors.tickets.ticket import Ticket, TicketState
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.ports import TicketDesk
from huntonce.models.state.store import open_store
from tests.support.desks.members import TICKET_DESKS, RemoteTickets, ticket_member
from tests.support.stores import DATABASES, database

Desk = BuiltinTickets | MemoryTickets | RemoteTickets
GAP = {"title": "No task events", "hosts": ["HOST1", "HOST2"], "population": 2}


@pytest.fixture(params=["memory", *DATABASES, *TICKET_DESKS])
def desk(request: pytest.FixtureRequest, tmp_path: Path, server: HTTPServer) -> Iterator[Desk]:
    if request.param == "memory":
        yield MemoryTickets()
        return
    if request.param in TICKET_DESKS:
        member = ticket_member(request.param, server)
        yield member
        assert not member.fake.wrong
        return
    with database(request.param, tmp_path) as url, open_store(url) as store:
        yield BuiltinTickets(store)


def told(ticket: Ticket, gap: dict[str, object]) -> bool:
    """Whether a ticket says what the desk was handed; remote ones say it in words."""
    text = str(ticket.gap.get("text", ""))
    words = [gap["title"]] if "title" not in ticket.gap else []
    words += list(gap.get("hosts", []))  # type: ignore[call-overload]
    same = ticket.gap["title"] == gap["title"] and all(str(word) in text for word in words)
    return ticket.gap == gap or (bool(text) and same)


def test_a_desk_is_what_the_port_asks_for(desk: Desk) -> None:
    def name(port: TicketDesk) -> str:
        return port.name

    assert name(desk)


def test_a_key_that_nobody_used_is_not_found(desk: Desk) -> None:
    assert desk.find("k") is None


def test_a_ticket_is_found_by_its_key_and_holds_what_was_sent(desk: Desk) -> None:
    remote_id = desk.create("k", GAP)

    assert desk.find("k") == remote_id
    (ticket,) = desk.list()
    assert (ticket.remote_id, ticket.key, ticket.state) == (remote_id, "k", TicketState.OPEN)
    assert told(ticket, GAP)


def test_the_same_key_twice_is_one_ticket_and_the_first_stands(desk: Desk) -> None:
    first = desk.create("k", GAP)

    assert desk.create("k", {"title": "other"}) == first
    (ticket,) = desk.list()
    assert told(ticket, GAP)


def test_two_keys_are_two_tickets_however_long_and_odd(desk: Desk) -> None:
    keys = ["a", "b", "x" * 5_000, "x" * 4_999 + "y", "ünï'; DROP TABLE desk_ticket; --"]

    ids = [desk.create(key, GAP) for key in keys]

    assert len(set(ids)) == len(keys)
    assert [desk.find(key) for key in keys] == ids
    assert [ticket.key for ticket in desk.list()] == keys


def test_a_ticket_whose_answer_was_lost_is_found_and_not_opened_again(desk: Desk) -> None:
    if isinstance(desk, MemoryTickets):
        desk.fail_after = 1
        with pytest.raises(TransientError):
            desk.create("k", GAP)
    elif isinstance(desk, RemoteTickets):
        desk.fake.lose.append(("POST", ".*/issues?"))
        with suppress(TransientError):  # one looks for it itself
            desk.create("k", GAP)
        assert not desk.fake.lose
    else:
        desk.create("k", GAP)  # and the sender dies here

    found = desk.find("k")

    assert found is not None
    assert desk.create("k", GAP) == found
    assert len(desk.list()) == 1


def test_closing_and_reopening_leave_their_comments_once(desk: Desk) -> None:
    remote_id = desk.create("k", GAP)
    desk.close(remote_id, "seen again")
    desk.close(remote_id, "seen again")
    assert desk.list()[0].state is TicketState.CLOSED

    desk.reopen(remote_id, "gone again")
    desk.reopen(remote_id, "gone again")

    (ticket,) = desk.list()
    assert ticket.state is TicketState.OPEN
    assert ticket.comments == ("seen again", "gone again")
    assert desk.find("k") == remote_id


def test_a_closed_ticket_is_still_the_ticket_of_its_key(desk: Desk) -> None:
    remote_id = desk.create("k", GAP)
    desk.close(remote_id, "done")

    assert desk.create("k", GAP) == remote_id


@pytest.mark.parametrize("remote_id", ["", "TICKET-99", "TICKET-x", "TICKET-" + "9" * 40, "-1"])
def test_a_ticket_that_is_not_there_cannot_be_moved(desk: Desk, remote_id: str) -> None:
    for move in (desk.close, desk.reopen):
        with pytest.raises(TerminalError) as caught:
            move(remote_id, "x")
        assert caught.value.connector == desk.name


def test_what_json_cannot_say_is_refused(desk: Desk) -> None:
    with pytest.raises((TerminalError, TypeError)):
        desk.create("k", {"x": object()})

    assert desk.find("k") is None


def test_a_store_that_fails_is_a_fault_of_the_desk(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'empty.db'}", upgrade=False) as store:
        desk = BuiltinTickets(store)
        for call in (lambda: desk.find("k"), lambda: desk.create("k", GAP), desk.list):
            with pytest.raises(TransientError) as caught:
                call()
            assert caught.value.connector == "builtin"
            assert caught.value.hint


def test_the_memory_desk_fails_as_told() -> None:
    slept: list[float] = []
    desk = MemoryTickets(sleep=slept.append)

    desk.fail_before = 1
    with pytest.raises(TransientError):
        desk.create("k", GAP)
    assert desk.find("k") is None

    desk.delay = 2.5
    desk.find("k")
    assert slept == [2.5]

    desk.refuse = "no rights"
    with pytest.raises(TerminalError, match="no rights"):
        desk.find("k")
