"""What the Sentinel connector sends, and what it makes of limits, faults and rules' changes."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from huntonce.connectors.siem.memory import MemorySiem
from huntonce.connectors.siem.sentinel.rules import SentinelRules
from huntonce.connectors.siem.sentinel.siem import SentinelSiem
from huntonce.models.detection import HeldRule
from huntonce.models.errors import TerminalError, TransientError, UnsupportedError
from tests.contract.siem.test_siem_contract import EVENTS, SCHTASKS, SYSMON, WINDOW, event, search
from tests.support.sentinel.evaluating import answer
from tests.support.sentinel.fixtures import settings_of
from tests.support.sentinel.holding import tables_of
from tests.support.sentinel.parsing import parse
from tests.support.sentinel.service import PLACE, Refused, Service, server_of

ID = "0f0f0f0f-1111-4222-8333-444444444444"
RULE = """
title: Task made
id: 0f0f0f0f-1111-4222-8333-444444444444
status: experimental
level: critical
tags: [attack.persistence, attack.t1053.005]
logsource: {category: process_creation, product: windows}
detection:
    s:
        Image|endswith: '\\schtasks.exe'
        IntegrityLevel: High
    f: {CommandLine: 'a"] | union *; // x'}
    condition: s and not f
"""

FILTER = """
title: Ours
id: 0f0f0f0f-1111-4222-8333-444444444445
logsource: {category: process_creation, product: windows}
filter:
    rules: [0f0f0f0f-1111-4222-8333-444444444444]
    ours: {IntegrityLevel: High}
    condition: not ours
"""


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    server = server_of(service)
    yield service
    server.shutdown()
    server.server_close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def siem_of(service: Service, events: list[dict[str, Any]], **more: Any) -> SentinelSiem:
    return SentinelSiem(settings_of(service, service.hold(tables_of(events, "Event")), **more))


def many(number: int) -> list[dict[str, Any]]:
    return [
        event(1 + at / 7, "ws1", SYSMON, 1, Image="C:\\schtasks.exe", N=at) for at in range(number)
    ]


def test_what_is_more_than_a_page_is_read_in_parts_and_whole(service: Service) -> None:
    siem = siem_of(service, many(150), page_size=20, tables=["Event"])

    found = siem.search(search(SCHTASKS, fields=("N",), limit=1_000), WINDOW)

    assert sorted(map(int, found.table.column("N").to_pylist())) == list(range(150))
    assert not found.truncated


def test_an_answer_that_is_cut_is_halved_until_it_fits(service: Service) -> None:
    service.max_rows = 520
    siem = siem_of(service, many(1_200), page_size=2_000, tables=["Event"])

    found = siem.search(search(SCHTASKS, fields=("N",), limit=5_000), WINDOW)

    assert sorted(map(int, found.table.column("N").to_pylist())) == list(range(1_200))


def test_events_of_one_moment_that_do_not_fit_are_a_fault(service: Service) -> None:
    events = [event(1, "ws1", SYSMON, 1, Image="C:\\schtasks.exe", N=at) for at in range(30)]
    siem = siem_of(service, events, page_size=5, tables=["Event"])

    assert len(siem.search(search(SCHTASKS), WINDOW).table) == 30


def test_part_of_an_answer_is_not_taken_for_it(service: Service) -> None:
    siem = siem_of(service, EVENTS)
    service.partial = [{"code": "PartialError", "message": "some of it"}]

    with pytest.raises(TransientError, match="in part"):
        siem.hosts()


def test_a_busy_service_is_waited_for_as_it_asks(service: Service, slept: list[float]) -> None:
    busy = Refused(429, {"error": {"code": "ThrottledError", "message": "x"}}, {"Retry-After": "7"})
    siem = siem_of(service, EVENTS)
    service.faults = [busy, Refused(503, {})]

    assert siem.hosts() == {"WS1", "WS2", "WS3", "WS4"}
    assert slept[0] == 7.0

    service.faults = [Refused(429, {}, {"Retry-After": "600"})]
    with pytest.raises(TransientError) as caught:
        siem.hosts()
    assert caught.value.retry_after == 600


def test_a_token_is_kept_and_got_anew_once_it_is_refused(service: Service) -> None:
    siem = siem_of(service, EVENTS)
    siem.hosts()
    siem.extent()
    assert service.signed_in == 1

    service.tokens.clear()
    assert siem.hosts()
    assert service.signed_in == 2


def test_a_wrong_secret_is_said_without_it(service: Service) -> None:
    siem = siem_of(service, EVENTS, client_secret="wrong-secret")

    with pytest.raises(TerminalError, match="AADSTS7000215") as caught:
        siem.hosts()
    assert "wrong-secret" not in str(caught.value)


def test_a_time_out_is_the_services_and_no_empty_answer(service: Service) -> None:
    siem = siem_of(service, EVENTS, timeout=30)
    service.slow_over = timedelta(hours=1)

    with pytest.raises(TransientError, match="longer than 30 s"):
        siem.search(search(SCHTASKS), WINDOW)
    assert set(service.waits) == {30}


def test_a_table_that_is_not_there_is_no_empty_one(service: Service) -> None:
    tables = tables_of(EVENTS, "Event")
    del tables["WindowsEvent"]
    siem = SentinelSiem(settings_of(service, service.hold(tables)))

    with pytest.raises(TerminalError, match="no table WindowsEvent"):
        siem.hosts()


def test_more_than_was_agreed_is_refused(service: Service) -> None:
    siem = siem_of(service, many(30), max_examined=20, tables=["Event"])

    with pytest.raises(UnsupportedError, match="more than 20"):
        siem.search(search(SCHTASKS), WINDOW)


def test_it_finds_what_the_one_in_memory_finds(service: Service) -> None:
    fields = ("Image", "User", "IntegrityLevel")
    asked = search(SCHTASKS, fields=fields)
    names = ["host", "channel", "event_id", "time", *fields]

    ours = siem_of(service, EVENTS).search(asked, WINDOW).table.select(names)

    assert ours.equals(MemorySiem(EVENTS).search(asked, WINDOW).table.select(names))


# ---------------------------------------------------------------- rules


@pytest.fixture
def rules(service: Service) -> SentinelRules:
    workspace = service.hold(tables_of(EVENTS, "WindowsEvent"))
    return SentinelRules(settings_of(service, workspace, rules_index=PLACE))


def test_a_rule_starts_off_and_is_written_once(service: Service, rules: SentinelRules) -> None:
    assert rules.find(ID) is None
    assert rules.deploy(ID, {"rule": RULE}) == ID
    first = service.rules[ID]
    rules.deploy(ID, {"rule": RULE})

    assert service.rules[ID]["etag"] == first["etag"]
    own = first["properties"]
    assert (own["enabled"], own["severity"], own["techniques"]) == (False, "High", ["T1053"])
    assert (rules.find(ID), rules.held()) == (ID, (HeldRule(rule_id=ID, enabled=False),))


def test_a_workspace_that_is_not_there_is_no_absent_rule(
    service: Service, rules: SentinelRules
) -> None:
    told = {"code": "ResourceGroupNotFound", "message": "Resource group 'soc' could not be found."}
    service.faults = [Refused(404, {"error": told})]

    with pytest.raises(TerminalError, match="ResourceGroupNotFound"):
        rules.find(ID)


def test_its_query_finds_what_the_search_finds(service: Service, rules: SentinelRules) -> None:
    rules.deploy(ID, {"rule": RULE})
    query = parse(
        service.rules[ID]["properties"]["query"].replace("ingestion_time() > ago(60m)", "true")
    )

    _, rows = answer(query, tables_of(EVENTS, "WindowsEvent"))

    assert [row["Computer"] for row in rows] == ["ws2.corp.example"]


def test_its_filters_are_part_of_the_query(service: Service, rules: SentinelRules) -> None:
    rules.deploy(ID, {"rule": RULE, "filters": [FILTER]})
    query = parse(
        service.rules[ID]["properties"]["query"].replace("ingestion_time() > ago(60m)", "true")
    )

    _, rows = answer(query, tables_of(EVENTS, "WindowsEvent"))

    assert list(rows) == []


def test_filters_that_are_no_texts_are_refused(rules: SentinelRules) -> None:
    with pytest.raises(TerminalError, match="no texts"):
        rules.deploy(ID, {"rule": RULE, "filters": [{"title": "x"}]})


def test_the_switch_is_the_operators(service: Service, rules: SentinelRules) -> None:
    rules.deploy(ID, {"rule": RULE})
    service.rules[ID]["properties"]["enabled"] = True
    rules.deploy(ID, {"rule": RULE.replace("schtasks", "at")})
    assert service.rules[ID]["properties"]["enabled"] is True

    service.rules[ID]["properties"]["enabled"] = False
    rules.deploy(ID, {"rule": RULE})
    assert service.rules[ID]["properties"]["enabled"] is False


def test_a_change_there_is_drift_and_is_not_written_over(
    service: Service, rules: SentinelRules
) -> None:
    rules.deploy(ID, {"rule": RULE})
    service.rules[ID]["properties"]["query"] = "Event | take 1"

    assert rules.held() == (HeldRule(rule_id=ID, enabled=False, untouched=False),)
    with pytest.raises(TerminalError, match="changed"):
        rules.deploy(ID, {"rule": RULE})
    rules.deploy(ID, {"rule": RULE, "overwrite": True})
    assert rules.held() == (HeldRule(rule_id=ID, enabled=False),)


def test_who_writes_in_between_is_not_overwritten(service: Service, rules: SentinelRules) -> None:
    rules.deploy(ID, {"rule": RULE})

    def switched_on() -> None:
        service.rules[ID] = {**service.rules[ID], "etag": '"other"'}
        service.rules[ID]["properties"]["enabled"] = True

    service.before_write = switched_on
    rules.deploy(ID, {"rule": RULE.replace("schtasks", "at")})

    assert service.rules[ID]["properties"]["enabled"] is True


def test_a_retired_rule_is_off_and_comes_back_off(service: Service, rules: SentinelRules) -> None:
    rules.deploy(ID, {"rule": RULE})
    service.rules[ID]["properties"]["enabled"] = True

    rules.retire(ID)

    assert service.rules[ID]["properties"]["enabled"] is False
    assert (rules.find(ID), rules.held()) == (None, ())
    rules.deploy(ID, {"rule": RULE})
    assert (rules.find(ID), service.rules[ID]["properties"]["enabled"]) == (ID, False)


def test_every_page_of_rules_is_read_and_others_are_left_alone(
    service: Service, rules: SentinelRules
) -> None:
    ids = [f"{at}{ID[1:]}" for at in range(5)]
    for one in ids:
        rules.deploy(one, {"rule": RULE})
    service.rules[ids[2]]["properties"]["description"] = "theirs"

    assert [rule.rule_id for rule in rules.held()] == [one for one in ids if one != ids[2]]
    with pytest.raises(TerminalError, match="of ours"):
        rules.retire(ids[2])


@pytest.mark.parametrize("item", ["Image|re: 'a.*'", "Image|fieldref: CommandLine"])
def test_what_cannot_mean_the_same_is_not_deployed(
    service: Service, rules: SentinelRules, item: str
) -> None:
    rule = RULE.replace("IntegrityLevel: High", item)

    with pytest.raises(UnsupportedError):
        rules.deploy(ID, {"rule": rule})
    assert service.rules == {}
