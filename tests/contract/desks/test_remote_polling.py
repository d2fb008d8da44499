"""How things stand there: what each product tells, and what its words stand for."""

import pytest
from pytest_httpserver import HTTPServer

from huntonce.models.case import Determination
from huntonce.models.desk import GONE
from tests.support.desks.github import FakeGitHub
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
from tests.support.desks.thehive import FakeTheHive


@pytest.fixture(params=TICKET_DESKS)
def tickets(request: pytest.FixtureRequest, server: HTTPServer) -> RemoteTickets:
    return ticket_member(request.param, server)


@pytest.fixture(params=CASE_DESKS)
def cases(request: pytest.FixtureRequest, server: HTTPServer) -> RemoteCases:
    return case_member(request.param, server)


def test_changes_are_polled_from_the_servers_own_time(tickets: RemoteTickets) -> None:
    one, two = tickets.create("one", GAP), tickets.create("two", GAP)
    first = tickets.desk.updates([one, two, "other#9"], "")
    assert {u.remote_id for u in first} == {one, two}
    assert all(u.is_open and u.at_desk.url for u in first)
    since = max(u.at_desk.changed for u in first)

    if isinstance(tickets.fake, FakeGitHub):
        tickets.fake.touch(1, state="closed", state_reason="not_planned")
        tickets.fake.touch(1, assignees=[{"login": "ann"}])
        tickets.fake.say(1, "We take \u202eit")
    else:
        assert isinstance(tickets.fake, FakeJira)
        tickets.fake.move(one, "Done")
        tickets.fake.touch(one, assignee={"displayName": "ann"})
        tickets.fake.say(one, "We take \u202eit", "ann")
    found = {u.remote_id: u for u in tickets.desk.updates([one, two], since)}

    update = found[one]
    assert not update.is_open
    assert update.at_desk.assignee == "ann"
    assert update.at_desk.status in {"closed not planned", "Done"}
    (said,) = update.at_desk.comments
    assert (said.author, said.text) == ("ann", "We take \\u202eit")
    later = tickets.desk.updates([one, two], update.at_desk.changed)
    assert [u.remote_id for u in later] == [one]  # the overlap shows it once more, the same
    assert later[0] == update


def test_jira_is_asked_for_minutes_ago_whatever_the_accounts_time_zone(server: HTTPServer) -> None:
    member = ticket_member("jira-cloud", server)
    fake = member.fake
    assert isinstance(fake, FakeJira)
    remote_id = member.create("k", GAP)
    (update,) = member.desk.updates([remote_id], "")
    fake.say(remote_id, "later")

    member.desk.updates([remote_id], update.at_desk.changed)

    assert fake.queries[-1].endswith("updated >= -15m ORDER BY updated ASC")


def test_every_page_is_read(tickets: RemoteTickets) -> None:
    ids = [tickets.create(f"key {n}", GAP) for n in range(7)]  # the stand-in pages by three

    assert {u.remote_id for u in tickets.desk.updates(ids, "")} == set(ids)


def test_comments_beyond_the_first_page_are_read(server: HTTPServer) -> None:
    member = ticket_member("github", server)
    desk, fake = member.desk, member.fake
    assert isinstance(fake, FakeGitHub)
    remote_id = desk.create("k", GAP)
    for n in range(250):
        fake.say(1, f"note {n}")

    (update,) = desk.updates([remote_id], "")

    assert update.at_desk.comments[-1].text == "note 249"
    assert len(update.at_desk.comments) == 50


@pytest.mark.parametrize(
    ("status", "impact", "stands_for"),
    [
        ("TruePositive", "WithImpact", Determination.CONFIRMED),
        ("TruePositive", "NoImpact", Determination.BLOCKED),
        ("FalsePositive", "NotApplicable", Determination.FALSE_POSITIVE),
        ("Indeterminate", "NotApplicable", Determination.SUSPECTED),
        ("Duplicated", "NotApplicable", None),
        ("Other", "", None),
        ("Red team", "", Determination.FALSE_POSITIVE),
    ],
)
def test_what_thehive_closes_with_stands_for_a_determination(
    server: HTTPServer, status: str, impact: str, stands_for: Determination | None
) -> None:
    own = {
        "TruePositive/NoImpact": Determination.BLOCKED,
        "Red team": Determination.FALSE_POSITIVE,
    }
    member = case_member("thehive", server, determinations=own)
    assert isinstance(member.fake, FakeTheHive)
    remote_id = member.create("k", CASE)
    member.fake.say(remote_id, "We look")
    member.fake.close(remote_id, status, impact, "They came by mail.")

    update, gone = member.desk.updates([remote_id, "~404", "../x"], "")

    assert (gone.remote_id, gone.at_desk.status, gone.determination) == ("~404", GONE, None)
    assert (update.is_open, update.determination) == (False, stands_for)
    assert update.note == "They came by mail."
    assert update.closed_at is not None
    assert [c.text for c in update.at_desk.comments] == ["We look"]
    assert (remote_id in member.closed()) is (stands_for is not None)


@pytest.mark.parametrize(
    ("status", "stands_for"),
    [
        (0, None),
        (1, Determination.FALSE_POSITIVE),
        (2, Determination.CONFIRMED),
        (3, None),
        (4, Determination.CONFIRMED),
        (5, Determination.FALSE_POSITIVE),
    ],
)
def test_iris_outcomes_stand_for_determinations_without_any_update_time(
    server: HTTPServer, status: int, stands_for: Determination | None
) -> None:
    member = case_member("iris", server)
    assert isinstance(member.fake, FakeIris)
    remote_id = member.create("k", {**CASE, "summary": "x\n**What IR learned**\nnonsense"})
    before, gone = member.desk.updates([remote_id, "99", "x/../1"], "")
    assert (gone.remote_id, gone.at_desk.status, gone.determination) == ("99", GONE, None)
    assert (before.is_open, before.determination, before.at_desk.changed) == (True, None, "")

    member.fake.close(remote_id, status)

    (update,) = member.desk.updates([remote_id], "")
    assert (update.is_open, update.determination) == (False, stands_for)
    assert update.note == ""  # what an attacker wrote is no note of IR
    assert update.closed_at == NOW


def test_our_own_word_survives_where_the_product_has_none_for_it(cases: RemoteCases) -> None:
    remote_id = cases.create("k", CASE)

    cases.close(remote_id, Determination.FAILED_ATTEMPT, "stopped at the door")

    (update,) = cases.desk.updates([remote_id], "")
    assert update.determination is Determination.FAILED_ATTEMPT
    assert "stopped at the door" in update.note
