"""What the Schedule service ran, and over which session, as reasons of the shipped hunt."""

from datetime import date
from typing import Any

import pytest

from huntonce.models.analytics import context, taskruns, tasks
from huntonce.models.analytics.asking import Setting
from huntonce.models.hunting import evaluate, terms_of
from huntonce.models.profile import Profile
from tests.support.builders import after, row, table
from tests.support.kits import library

HUNT = next(hunt for hunt in library().hunts if hunt.records == "scheduled_task")
EMPTY = table(row(200))[:0]
NAME = "\\Updater"


def reasons(
    user: str = "CORP\\ann",
    ran: list[dict[str, Any]] | None = None,
    logon: dict[str, str] | None = None,
    profile: Profile | None = None,
) -> tuple[float, dict[str, str]]:
    """Score and reasons of a task of which only the scheduler's own log tells."""
    records = tasks.build({"scheduler": table(row(106, TaskName=NAME, UserContext=user))})
    if logon is not None:
        records[0].facts["logon_id"] = "0xabc"
        told: dict[str, Any] = {"TargetLogonId": "0xabc", "LogonType": "3", **logon}
        context.join_logons(records, table(row(4624, **told)), {})
    if ran:
        taskruns.join_execution(records, table(*ran), EMPTY)
    setting = Setting(profile=profile or Profile(), population=0, before=())
    evaluate(records, HUNT, setting, date(2026, 1, 1))
    return terms_of(records[0].fired, HUNT.analytics)[0], dict(records[0].fired)


def run(seconds: float = 30, account: str = "NT AUTHORITY\\SYSTEM") -> dict[str, Any]:
    return row(100, after(seconds=seconds), TaskName=NAME, UserContext=account)


def test_a_run_as_system_speaks_where_no_definition_was_logged() -> None:
    before, _ = reasons()
    score, fired = reasons(ran=[run()])

    assert score > before
    assert "NT AUTHORITY\\SYSTEM" in fired["ran_as_system_by_person"]
    assert "30 s" in fired["ran_at_once"]


def test_a_run_as_the_person_who_registered_it_is_hardly_a_reason() -> None:
    score, fired = reasons(ran=[run(7200, "CORP\\ann")])

    assert "ran_as_system_by_person" not in fired
    assert fired["ran"].endswith("first after 2 hours")
    assert score < HUNT.suspicious_at


def test_runs_of_the_systems_own_tasks_are_no_reason() -> None:
    _, fired = reasons("NT AUTHORITY\\SYSTEM", [run()])

    assert not {name for name in fired if name.startswith("ran")}


def test_declared_administrators_are_weighed_as_such() -> None:
    profile = Profile(privileged_accounts=("CORP\\adm",))

    _, stranger = reasons(ran=[run()], profile=profile)
    _, admin = reasons("CORP\\adm", [run()], profile=profile)

    assert "ran_as_system_by_unprivileged" in stranger
    assert "ran_as_system_by_unprivileged" not in admin


@pytest.mark.parametrize(
    ("address", "reason"), [("10.0.0.9", "remote_session"), ("-", "network_session")]
)
def test_a_session_over_the_network_is_a_reason_without_a_named_host(
    address: str, reason: str
) -> None:
    alone, _ = reasons()
    score, fired = reasons(logon={"IpAddress": address, "WorkstationName": "-"})

    assert reason in fired
    assert score > alone
