"""What the vendors document around their calls: limits, faults, rights, and hostile content.

GitHub: docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
Jira Cloud: developer.atlassian.com/cloud/jira/platform/rate-limiting (429 with Retry-After)
TheHive: docs.strangebee.com/thehive/api-docs
IRIS: docs.dfir-iris.org/latest/_static/iris_api_reference_v2.1.0.html
"""

import re
from dataclasses import replace

import pytest
from pytest_httpserver import HTTPServer

from huntonce.connectors.http.client import RequestError
from huntonce.connectors.remote.base import DeskConfig
from huntonce.connectors.tickets.github import GitHubTickets
from huntonce.connectors.tickets.jira import JiraTickets
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.tlp import Tlp
from tests.support.desks.github import PLACE, FakeGitHub
from tests.support.desks.iris import FakeIris
from tests.support.desks.jira import FakeJira
from tests.support.desks.members import (
    CASE_DESKS,
    NOW,
    TICKET_DESKS,
    RemoteCases,
    RemoteTickets,
    case_member,
    ticket_member,
)
from tests.support.desks.samples import CASE, GAP
from tests.support.desks.server import answer
from tests.support.desks.thehive import FakeTheHive


@pytest.fixture(params=TICKET_DESKS)
def tickets(request: pytest.FixtureRequest, server: HTTPServer) -> RemoteTickets:
    return ticket_member(request.param, server)


@pytest.fixture(params=CASE_DESKS)
def cases(request: pytest.FixtureRequest, server: HTTPServer) -> RemoteCases:
    return case_member(request.param, server)


@pytest.fixture(params=[*TICKET_DESKS, *CASE_DESKS])
def member(request: pytest.FixtureRequest, server: HTTPServer) -> RemoteTickets | RemoteCases:
    if request.param in TICKET_DESKS:
        return ticket_member(request.param, server)
    return case_member(request.param, server)


# ---------------------------------------------------------------- limits and faults


def test_a_short_wait_is_waited_once_before_a_question(member: RemoteTickets | RemoteCases) -> None:
    member.fake.faults.append(("*", answer({}, 429, Retry_After="3")))

    assert member.find("k") is None
    assert member.slept == [3.0]


def test_a_long_wait_leaves_the_server_alone(member: RemoteTickets | RemoteCases) -> None:
    member.fake.faults.append(("*", answer({}, 429, Retry_After="120")))

    with pytest.raises(TransientError) as caught:
        member.find("k")
    assert caught.value.retry_after == 120
    asked = len(member.fake.asked)
    with pytest.raises(TransientError) as caught:
        member.find("k")

    assert len(member.fake.asked) == asked
    assert 110 < (caught.value.retry_after or 0) <= 120
    assert member.slept == []


def test_a_write_that_was_refused_for_now_is_left_to_the_next_sender(
    member: RemoteTickets | RemoteCases,
) -> None:
    member.fake.faults.append(("POST", answer({}, 429, Retry_After="1")))
    if isinstance(member.fake, FakeTheHive):  # it asks by POST too
        member.fake.faults.insert(0, ("POST", answer([])))

    with pytest.raises(TransientError):
        member.create("k", {"title": "x"})

    assert member.slept == []
    assert member.list() == ()


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_in_trouble_is_a_fault_that_passes(
    member: RemoteTickets | RemoteCases, status: int
) -> None:
    member.fake.faults.append(("*", answer({}, status)))

    with pytest.raises(TransientError) as caught:
        member.find("k")

    assert caught.value.connector == "remote"


def test_no_answer_in_time_is_a_fault_that_passes(server: HTTPServer) -> None:
    for made in (ticket_member("jira-dc", server, timeout=0.1), case_member("iris", server)):
        made.desk._config = replace(made.desk._config, timeout=0.1)
        server.clear()
        made.fake.__post_init__()
        made.fake.slow = 0.4
        with pytest.raises(TransientError, match="no answer in time"):
            made.find("k")


def test_a_wrong_token_is_told_and_not_shown(member: RemoteTickets | RemoteCases) -> None:
    member.fake.authorization = "Bearer another"

    with pytest.raises(TerminalError) as caught:
        member.find("k")

    assert "401" in str(caught.value)
    assert "s3cret" not in f"{caught.value} {caught.value.hint} {member.desk._config!r}"
    assert caught.value.hint


def test_a_page_of_another_kind_is_no_answer(member: RemoteTickets | RemoteCases) -> None:
    page = answer({})
    page.set_data("<html>log in</html>")
    member.fake.faults += [("*", page)]

    with pytest.raises(TerminalError):
        member.find("k")


def test_an_answer_that_broke_off_is_a_fault_that_passes(
    member: RemoteTickets | RemoteCases,
) -> None:
    whole = answer({"issues": [{"key": "SOC-1"}], "total": 1})
    whole.set_data(whole.get_data()[:9])
    member.fake.faults += [("*", whole)]

    with pytest.raises(TransientError, match="broke off"):
        member.find("k")


def test_a_redirect_takes_no_token_elsewhere(member: RemoteTickets | RemoteCases) -> None:
    away = answer({}, 302, Location="http://127.0.0.1:9/elsewhere")
    member.fake.faults += [("*", away)]

    with pytest.raises(TerminalError, match="302"):
        member.find("k")

    assert len(member.fake.asked) == 1


# ---------------------------------------------------------------- what may leave, and how


def test_above_its_ceiling_nothing_leaves(member: RemoteTickets | RemoteCases) -> None:
    with pytest.raises(TerminalError, match="TLP:RED"):
        member.create("k", {"title": "x", "tlp": "red"})

    assert member.fake.asked == []


def test_the_ceiling_is_the_desks_own(server: HTTPServer) -> None:
    member = ticket_member("github", server, max_tlp=Tlp.GREEN, default_tlp=Tlp.GREEN)

    with pytest.raises(TerminalError, match="max_tlp is green"):
        member.create("k", {"title": "x", "tlp": "amber"})
    assert member.create("k", {"title": "x"})


def test_a_hostile_ticket_is_one_ticket_with_its_own_key(tickets: RemoteTickets) -> None:
    remote_id = tickets.create("k", GAP)

    (ticket,) = tickets.list()
    assert ticket.key == "k"
    assert tickets.find("k") == remote_id
    assert not re.search(r"@\w", str(ticket.gap["title"]))
    if isinstance(tickets.fake, FakeJira):
        text = str(ticket.gap["text"])
        assert text.lower().count("{noformat}") == 2  # the command


def test_a_ticket_that_is_too_large_is_cut_and_found(tickets: RemoteTickets) -> None:
    huge = {**GAP, "title": "t" * 9_000, "hosts": [f"HOST-{n}-{'🦊' * 200}" for n in range(900)],
            "commands": ["x" * 50_000] * 20}  # fmt: skip

    remote_id = tickets.create("k", huge)

    assert tickets.find("k") == remote_id
    assert "left out here" in str(tickets.list()[0].gap["text"])
    tickets.close(remote_id, "y" * 200_000)  # the stand-in refuses what is too long


def test_a_case_is_whole(cases: RemoteCases) -> None:
    remote_id = cases.create("k", CASE)

    if isinstance(cases.fake, FakeTheHive):
        (case,) = cases.fake.cases
        assert (case["tlp"], case["pap"], case["severity"]) == (3, 2, 3)
        assert {"T1053.005", "huntonce", "huntonce-complete"} <= set(case["tags"])
        assert case["startDate"] == 1772359200000
        held = {(o["dataType"], o["data"]) for o in cases.fake.observables[remote_id]}
        assert held == {
            ("domain", "evil.example"), ("hash", "a" * 64), ("other", "\\\\.\\pipe\\x"),
            ("hostname", "PC1"), ("hostname", "PC2"),
        }  # fmt: skip
        assert {o["tlp"] for o in cases.fake.observables[remote_id]} == {3}
        # T9999 is not in its catalogue: it stays a tag.
        assert [p["patternId"] for p in cases.fake.procedures[remote_id]] == ["T1053.005"]
    else:
        assert isinstance(cases.fake, FakeIris)
        (case,) = cases.fake.cases
        assert "T1053.005" in case["case_tags"].split(",")
        held = {(o["ioc_value"], o["ioc_type_id"]) for o in cases.fake.iocs[remote_id]}
        assert held == {("evil.example", 72), ("a" * 64, 76), ("\\\\.\\pipe\\x", 70),
                        ("PC1", 73), ("PC2", 73)}  # fmt: skip
        assert {o["ioc_tlp_id"] for o in cases.fake.iocs[remote_id]} == {5}


@pytest.mark.parametrize("at", ["observable", "ioc/add"])
def test_a_sender_that_dies_halfway_is_followed_by_one_that_finishes(
    cases: RemoteCases, at: str
) -> None:
    if (at == "observable") is not isinstance(cases.fake, FakeTheHive):
        return
    cases.fake.lose.append(("POST", f".*/{at}"))
    with pytest.raises(TransientError):
        cases.create("k", CASE)
    assert cases.find("k") is None

    remote_id = cases.create("k", CASE)

    assert cases.find("k") == remote_id
    assert len(cases.list()) == 1
    held: dict[str, list[object]] = getattr(
        cases.fake, "observables" if at == "observable" else "iocs"
    )
    assert len(held[remote_id]) == 5


def test_a_server_without_amber_strict_gets_the_tighter_level(server: HTTPServer) -> None:
    member = case_member("iris", server)
    assert isinstance(member.fake, FakeIris)
    member.fake.levels = ("red", "amber", "green", "clear")

    remote_id = member.create("k", CASE)

    assert {one["ioc_tlp_id"] for one in member.fake.iocs[remote_id]} == {1}


def test_the_organisation_is_named_to_thehive(server: HTTPServer) -> None:
    assert case_member("thehive", server, place="acme").create("k", CASE)


# ---------------------------------------------------------------- GitHub


def github(server: HTTPServer) -> tuple[GitHubTickets, FakeGitHub]:
    member = ticket_member("github", server)
    assert isinstance(member.desk, GitHubTickets)
    assert isinstance(member.fake, FakeGitHub)
    return member.desk, member.fake


@pytest.mark.parametrize(
    ("status", "body", "headers", "wait"),
    [
        (403, {"message": "You have exceeded a secondary rate limit."}, {}, 60.0),
        (403, {"message": "x"}, {"Retry_After": "90"}, 90.0),
        (
            403,
            {"message": "API rate limit exceeded"},
            {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(int(NOW.timestamp()) + 700)},
            700.0,
        ),
        (429, {"message": ""}, {}, 60.0),
    ],
)
def test_githubs_limits_are_told_from_refusals(
    server: HTTPServer, status: int, body: dict[str, str], headers: dict[str, str], wait: float
) -> None:
    desk, fake = github(server)
    fake.faults.append(("*", answer(body, status, **headers)))

    with pytest.raises(TransientError) as caught:
        desk.find("k")

    assert caught.value.retry_after == wait


def test_a_refusal_of_github_is_no_limit(server: HTTPServer) -> None:
    desk, fake = github(server)
    fake.faults.append(("*", answer({"message": "Resource not accessible by token"}, 403)))

    with pytest.raises(RequestError, match="not accessible"):
        desk.find("k")


def test_where_we_are_blind_is_told_to_no_public_repository(server: HTTPServer) -> None:
    desk, fake = github(server)
    fake.private = False

    with pytest.raises(TerminalError, match="open to the world"):
        desk.create("k", GAP)

    assert fake.issues == []


def test_an_account_that_may_not_label_opens_nothing(server: HTTPServer) -> None:
    desk, fake = github(server)
    fake.permissions = {"pull": True}

    with pytest.raises(TerminalError, match="labels"):
        desk.create("k", GAP)

    assert fake.issues == []


def test_a_key_is_found_on_any_page_and_never_in_a_pull_request(server: HTTPServer) -> None:
    desk, fake = github(server)
    first = desk.create("k", GAP)
    body = fake.issues[0]["body"]
    for number in range(2, 206):
        fake.issues.append({**fake.issues[0], "number": number, "body": "by hand"})
    fake.issues[100] |= {"body": body, "pull_request": {}}
    for number, issue in enumerate(fake.issues):
        issue["created_at"] = f"2026-03-01T00:{number // 60:02d}:{number % 60:02d}Z"

    assert desk.find("k") == first
    assert fake.count("GET", f"/repos/{PLACE}/issues") >= 3


# ---------------------------------------------------------------- Jira


def jira(server: HTTPServer, **more: object) -> tuple[RemoteTickets, FakeJira]:
    member = ticket_member("jira-cloud", server, **more)
    assert isinstance(member.fake, FakeJira)
    return member, member.fake


def test_a_lost_answer_is_looked_up_until_the_index_has_it(server: HTTPServer) -> None:
    member, fake = jira(server)
    fake.lose.append(("POST", ".*/issue"))
    fake.hidden = 2

    assert member.create("k", GAP) == "SOC-1"
    assert len(fake.issues) == 1
    assert member.slept == [2.0, 5.0, 10.0]


def test_one_that_never_arrived_is_left_to_the_next_sender(server: HTTPServer) -> None:
    member, fake = jira(server)
    member.find("k")
    fake.faults.append(("POST", answer({}, 502)))

    with pytest.raises(TransientError):
        member.create("k", GAP)
    assert fake.issues == []
    assert member.create("k", GAP) == "SOC-1"


def test_jiras_words_for_what_is_wrong_reach_the_operator(server: HTTPServer) -> None:
    member, fake = jira(server, issue_type="Nonsense")

    with pytest.raises(TerminalError, match="issue type selected is invalid"):
        member.create("k", GAP)
    assert fake.issues == []


def test_a_workflow_without_a_way_is_told(server: HTTPServer) -> None:
    member, fake = jira(server)
    remote_id = member.create("k", GAP)
    fake.ways = ("In Progress",)

    with pytest.raises(TerminalError, match="In Progress") as caught:
        member.close(remote_id, "seen")

    assert "desks.remote.done" in caught.value.hint
    assert member.list()[0].comments == ()


def test_a_status_that_is_named_is_taken(server: HTTPServer) -> None:
    member, fake = jira(server, reopened="In Progress")
    remote_id = member.create("k", GAP)
    member.close(remote_id, "seen")

    member.reopen(remote_id, "gone")

    assert fake.issues[0]["fields"]["status"]["name"] == "In Progress"


def test_a_move_whose_answer_was_lost_says_nothing_twice(tickets: RemoteTickets) -> None:
    remote_id = tickets.create("k", GAP)
    where = ".*/transitions" if isinstance(tickets.fake, FakeJira) else ".*/issues/1"
    method = "POST" if isinstance(tickets.fake, FakeJira) else "PATCH"
    tickets.fake.faults.append((method, answer({}, 502))) if method == "PATCH" else None
    if method == "POST":
        tickets.fake.lose.append(("POST", ".*/comment"))  # said, and the sender dies
    with pytest.raises(TransientError):
        tickets.close(remote_id, "GAP-1 closed: seen on 2 hosts")

    tickets.close(remote_id, "GAP-1 closed: seen on 2 hosts")

    (ticket,) = tickets.list()
    assert ticket.state == "closed"
    assert len(ticket.comments) == 1, where


def test_a_third_partys_config_shows_no_secret() -> None:
    assert "s3cret" not in repr(DeskConfig(name="x", kind="y", url="z", token="s3cret"))
    assert JiraTickets.name
