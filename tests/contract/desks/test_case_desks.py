from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from huntonce.connectors.cases.builtin import BuiltinCases
from huntonce.connectors.cases.memory import MemoryCases
from huntonce.connectors.cases.record import CaseRecord
from huntonce.models.case import CaseState, Determination
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.ports import CaseDesk
from huntonce.models.state.store import open_store
from tests.support.desks.members import CASE_DESKS, RemoteCases, case_member
from tests.support.stores import DATABASES, database

Desk = BuiltinCases | MemoryCases | RemoteCases
CASE = {"title": "A task nobody made", "hosts": ["HOST1"], "tlp": "amber"}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["memory", *DATABASES, *CASE_DESKS])
def desk(request: pytest.FixtureRequest, tmp_path: Path, server: HTTPServer) -> Iterator[Desk]:
    if request.param == "memory":
        yield MemoryCases(clock=lambda: NOW)
        return
    if request.param in CASE_DESKS:
        member = case_member(request.param, server)
        yield member
        assert not member.fake.wrong
        return
    with (
        database(request.param, tmp_path) as url,
        open_store(url, clock=lambda: NOW) as store,
    ):
        yield BuiltinCases(store)


def told(record: CaseRecord, case: dict[str, object]) -> bool:
    """Whether a case says what the desk was handed; remote ones say it in words."""
    text = str(record.case.get("text", ""))
    same = record.case["title"] == case["title"] and "HOST1" in text and "amber" in text
    return record.case == case or (bool(text) and same)


def test_a_desk_is_what_the_port_asks_for(desk: Desk) -> None:
    def name(port: CaseDesk) -> str:
        return port.name

    assert name(desk)


def test_a_case_is_found_by_its_key_and_holds_what_was_sent(desk: Desk) -> None:
    assert desk.find("k") is None

    remote_id = desk.create("k", CASE)

    assert desk.find("k") == remote_id
    (record,) = desk.list()
    assert (record.key, record.state) == ("k", CaseState.OPEN)
    assert told(record, CASE)
    assert desk.closed() == {}


def test_the_same_key_twice_is_one_case(desk: Desk) -> None:
    assert desk.create("k", CASE) == desk.create("k", {"title": "other"})
    assert desk.create("other", CASE) != desk.find("k")
    assert all(told(record, CASE) for record in desk.list())
    assert len(desk.list()) == 2


def test_a_case_whose_answer_was_lost_is_found_and_not_opened_again(desk: Desk) -> None:
    if isinstance(desk, MemoryCases):
        desk.fail_after = 1
        with pytest.raises(TransientError):
            desk.create("k", CASE)
    elif isinstance(desk, RemoteCases):
        desk.fake.lose.append(("POST", ".*/(case|cases/add)"))
        with pytest.raises(TransientError):
            desk.create("k", CASE)
        assert not desk.fake.lose
        assert desk.find("k") is None  # it is there, but not whole
        assert desk.create("k", CASE)
    else:
        desk.create("k", CASE)  # and the sender dies here

    found = desk.find("k")

    assert found is not None
    assert desk.create("k", CASE) == found
    assert len(desk.list()) == 1


def test_a_closed_case_tells_what_it_was(desk: Desk) -> None:
    one, two = desk.create("one", CASE), desk.create("two", CASE)

    desk.close(one, Determination.CONFIRMED, "it was them")

    ((remote_id, (determination, note, at)),) = desk.closed().items()
    assert (remote_id, determination, note) == (one, Determination.CONFIRMED, "it was them")
    assert abs(at - NOW) < timedelta(hours=8)
    assert [record.state for record in desk.list()] == [CaseState.CLOSED, CaseState.OPEN]
    assert desk.find("two") == two


def test_closing_again_with_the_same_determination_changes_nothing(desk: Desk) -> None:
    remote_id = desk.create("k", CASE)
    desk.close(remote_id, Determination.BLOCKED, "first")

    desk.close(remote_id, Determination.BLOCKED, "second")

    assert desk.closed()[remote_id][1] == "first"


def test_a_determination_is_not_turned_over_in_silence(desk: Desk) -> None:
    remote_id = desk.create("k", CASE)
    desk.close(remote_id, Determination.CONFIRMED, "")

    with pytest.raises(TerminalError, match="confirmed"):
        desk.close(remote_id, Determination.FALSE_POSITIVE, "")


@pytest.mark.parametrize("remote_id", ["", "IR-99", "IR-x", "MEM-9"])
def test_a_case_that_is_not_there_cannot_be_closed(desk: Desk, remote_id: str) -> None:
    with pytest.raises(TerminalError, match="no case"):
        desk.close(remote_id, Determination.BLOCKED, "")


def test_what_json_cannot_say_is_refused(desk: Desk) -> None:
    with pytest.raises((TerminalError, TypeError)):
        desk.create("k", {"x": object()})

    assert desk.find("k") is None


def test_the_memory_desk_fails_as_told() -> None:
    slept: list[float] = []
    desk = MemoryCases(sleep=slept.append)

    desk.fail_before = 1
    with pytest.raises(TransientError):
        desk.create("k", CASE)
    assert desk.find("k") is None

    desk.delay = 2.5
    desk.closed()
    assert slept == [2.5]

    desk.refuse = "no rights"
    with pytest.raises(TerminalError, match="no rights"):
        desk.closed()
