"""Detections as saved searches of Splunk, against a stand-in (tests/support/splunk_saved):
https://docs.splunk.com/Documentation/Splunk/9.4.0/RESTREF/RESTsearch (saved/searches)
"""

from collections.abc import Iterator
from contextlib import closing

import pytest
from pytest_httpserver import HTTPServer

from huntonce.connectors.siem.registry import find_kind
from huntonce.connectors.siem.splunk.rules import SplunkRules
from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.models.detection import HeldRule
from huntonce.models.errors import TerminalError, TransientError, UnsupportedError
from huntonce.models.ports import DetectionStore, SwitchedStore
from tests.support.splunk_saved import Filter
from tests.support.splunk_server import TOKEN, FakeSplunk, messages

ID = "0f0f0f0f-1111-4222-8333-444444444444"
NAME = f"huntonce-{ID}"
SAVED = r"/servicesNS/nobody/search/saved/searches(/.*)?"
RULE = """
title: Task made
id: 0f0f0f0f-1111-4222-8333-444444444444
status: experimental
level: critical
logsource: {category: process_creation, product: windows}
fields: ['x | delete']
detection:
    s: {Image|endswith: '\\schtasks.exe'}
    f: {CommandLine: 'a"] | delete [x'}
    condition: s and not f
"""
FILTER = """
title: Ours
id: 0f0f0f0f-1111-4222-8333-444444444445
logsource: {category: process_creation, product: windows}
filter:
    rules: [0f0f0f0f-1111-4222-8333-444444444444]
    ours: {User: 'CORP\\deploy'}
    condition: not ours
"""


@pytest.fixture
def splunk(splunk_server: HTTPServer) -> FakeSplunk:
    splunk_server.clear()
    return FakeSplunk(splunk_server, f"Bearer {TOKEN}")


@pytest.fixture
def rules(splunk: FakeSplunk) -> Iterator[SplunkRules]:
    settings = SplunkSettings(url=splunk.url, token=TOKEN, rules_index="nobody/search")
    with closing(SplunkRules(settings)) as found:
        yield found


def test_the_kind_brings_a_store_that_says_its_switches(rules: SplunkRules) -> None:
    assert find_kind("splunk").rules is SplunkRules
    assert isinstance(rules, SwitchedStore)
    store: DetectionStore = rules
    assert store.find("../../../admin") is None


def test_a_rule_starts_off_and_is_written_once(splunk: FakeSplunk, rules: SplunkRules) -> None:
    assert rules.find(ID) is None
    assert rules.deploy(ID, {"rule": RULE}) == ID
    assert rules.deploy(ID.upper(), {"rule": RULE}) == ID

    (written,) = splunk.saved.writes
    assert (written["name"], written["disabled"], written["is_scheduled"]) == (NAME, "1", "1")
    assert (written["cron_schedule"], written["alert.severity"]) == ("0 * * * *", "5")
    assert "delete" not in [name for name, _ in Filter(written["search"]).tests]
    assert rules.find(ID) == ID
    assert rules.held() == (HeldRule(rule_id=ID, enabled=False),)


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_deployment_that_was_cut_off_is_repeated(
    splunk: FakeSplunk, rules: SplunkRules, lost: str
) -> None:
    if lost == "after":  # it was carried out, and nobody heard of it
        splunk.lose.append(("POST", SAVED))
    else:
        splunk.faults.append(("POST", messages("gone", 502)))
    with pytest.raises(TransientError):
        rules.deploy(ID, {"rule": RULE})

    rules.deploy(ID, {"rule": RULE})

    assert list(splunk.saved.held) == [NAME]
    assert len(splunk.saved.writes) == 1


def test_the_switch_is_the_operators(splunk: FakeSplunk, rules: SplunkRules) -> None:
    rules.deploy(ID, {"rule": RULE})
    splunk.saved.held[NAME]["disabled"] = False
    assert rules.held() == (HeldRule(rule_id=ID, enabled=True),)
    rules.deploy(ID, {"rule": RULE.replace("schtasks", "at")})
    assert splunk.saved.held[NAME]["disabled"] is False

    splunk.saved.held[NAME]["disabled"] = True
    rules.deploy(ID, {"rule": RULE})
    assert splunk.saved.held[NAME]["disabled"] is True
    assert [write.get("disabled") for write in splunk.saved.writes] == ["1", None, None]


@pytest.mark.parametrize(
    ("part", "value"), [("search", "index=*"), ("cron_schedule", "1 * * * *"), ("alert.track", 0)]
)
def test_a_change_there_is_drift_and_is_not_written_over(
    splunk: FakeSplunk, rules: SplunkRules, part: str, value: object
) -> None:
    rules.deploy(ID, {"rule": RULE})
    splunk.saved.held[NAME][part] = value

    assert rules.held() == (HeldRule(rule_id=ID, enabled=False, untouched=False),)
    with pytest.raises(TerminalError, match="changed"):
        rules.deploy(ID, {"rule": RULE})
    rules.deploy(ID, {"rule": RULE, "overwrite": True})
    assert rules.held()[0].untouched


def test_switches_and_numbers_may_come_as_texts(splunk: FakeSplunk, rules: SplunkRules) -> None:
    rules.deploy(ID, {"rule": RULE})
    own = splunk.saved.held[NAME]
    own.update({"disabled": "0", "is_scheduled": "true", "alert.track": 1, "alert_threshold": 0})

    assert rules.held() == (HeldRule(rule_id=ID, enabled=True),)


def test_who_makes_it_in_between_is_not_overwritten(splunk: FakeSplunk, rules: SplunkRules) -> None:
    def made() -> None:
        splunk.saved.held[NAME] = {"search": "index=theirs", "disabled": False}

    splunk.saved.before_write = made
    with pytest.raises(TerminalError, match="changed"):
        rules.deploy(ID, {"rule": RULE})
    assert splunk.saved.held[NAME]["search"] == "index=theirs"
    with pytest.raises(TerminalError, match="of ours"):
        rules.retire(ID)


def test_a_retired_rule_is_off_and_comes_back_off(splunk: FakeSplunk, rules: SplunkRules) -> None:
    rules.deploy(ID, {"rule": RULE})
    splunk.saved.held[NAME]["disabled"] = False

    rules.retire(ID)
    rules.retire(ID)

    assert splunk.saved.held[NAME]["disabled"] is True
    assert (rules.find(ID), rules.held(), len(splunk.saved.writes)) == (None, (), 2)
    splunk.saved.held[NAME]["disabled"] = False  # whoever switches a retired one on
    rules.deploy(ID, {"rule": RULE})
    assert (rules.find(ID), splunk.saved.held[NAME]["disabled"]) == (ID, True)


def test_every_page_is_read_and_what_is_not_ours_is_left_out(
    splunk: FakeSplunk, rules: SplunkRules
) -> None:
    rules.deploy(ID, {"rule": RULE})
    own = splunk.saved.held.pop(NAME)
    ids = [f"{at:08x}{ID[8:]}" for at in range(130)]
    splunk.saved.held = {f"huntonce-{one}": own for one in ids[:129]}
    splunk.saved.held["huntonce-notes"] = own
    splunk.saved.shared = {f"huntonce-{ids[129]}": own}

    assert [rule.rule_id for rule in rules.held()] == ids[:129]
    assert rules.find(ids[129]) is None


def test_an_app_that_is_not_there_is_no_absent_rule(splunk: FakeSplunk) -> None:
    settings = SplunkSettings(url=splunk.url, token=TOKEN, rules_index="nobody/gone")
    with closing(SplunkRules(settings)) as rules:
        with pytest.raises(TerminalError, match="gone") as caught:
            rules.find(ID)
        assert "rules_index" in caught.value.hint


def test_its_filters_are_part_of_the_search(splunk: FakeSplunk, rules: SplunkRules) -> None:
    rules.deploy(ID, {"rule": RULE, "filters": [FILTER]})
    found = Filter(splunk.saved.held[NAME]["search"])
    event = {
        "index": "wineventlog",
        "sourcetype": "xmlwineventlog",
        "Channel": "Security",
        "EventCode": "4688",
        "NewProcessName": "C:\\X\\SCHTASKS.exe",
    }

    assert found({**event, "SubjectUserName": "CORP\\ann"})
    assert not found({**event, "SubjectUserName": "corp\\DEPLOY"})
    assert not found({**event, "CommandLine": 'a"] | delete [x'})


def test_what_cannot_be_written_is_refused_and_nothing_is_sent(
    splunk: FakeSplunk, rules: SplunkRules
) -> None:
    with pytest.raises(UnsupportedError, match="IntegrityLevel"):
        rules.deploy(ID, {"rule": RULE.replace("Image|endswith", "IntegrityLevel")})
    with pytest.raises(TerminalError, match="no rule of that id"):
        rules.deploy(ID, {"rule": RULE, "rule_id": "another"})
    assert splunk.saved.writes == []


def test_rules_go_to_events_in_xml_only() -> None:
    with pytest.raises(ValueError, match="format xml"):
        SplunkSettings(
            url="https://splunk", token=TOKEN, format="json", rules_index="nobody/search"
        )
    with pytest.raises(ValueError, match="rules_index"):
        SplunkSettings(url="https://splunk", token=TOKEN, rules_index="../admin")
