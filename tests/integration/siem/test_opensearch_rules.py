"""Detections deployed to a real OpenSearch: off first, once, never over what people changed."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from huntonce.connectors.siem.opensearch.cluster import Cluster
from huntonce.connectors.siem.opensearch.rules import OpenSearchRules
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.models.errors import TerminalError
from tests.support.winlogbeat import Indexer, document

pytestmark = pytest.mark.integration

ID = "2f6a8c1e-0000-4000-8000-00000000abcd"
OTHER = "2f6a8c1e-0000-4000-8000-00000000abce"
SYSMON = "Microsoft-Windows-Sysmon/Operational"
EVENT = {
    "Event": {
        "System": {
            "Provider": {"#attributes": {"Name": "P"}},
            "EventID": 1,
            "TimeCreated": {"#attributes": {"SystemTime": "2026-05-01T00:00:00Z"}},
            "EventRecordID": 1,
            "Channel": SYSMON,
            "Computer": "ws1.corp.example",
        },
        "EventData": {"Image": "C:\\a\\schtasks.exe", "Company": "y"},
    }
}


def rule(value: str = "'\\schtasks.exe'", modifier: str = "endswith") -> str:
    return (
        f"title: A task\nid: {ID}\nlogsource: {{category: process_creation, product: windows}}\n"
        f"detection:\n    s: {{Image|{modifier}: {value}}}\n    condition: s\n"
    )


def detection(text: str = rule(), **more: object) -> dict[str, object]:
    basis: dict[str, object] = {"rule_id": ID, "title": "A task", "certificate": {"holds": True}}
    return {**basis, "rule": text, **more}


class Place:
    """A rules index, and hands of an operator in it."""

    def __init__(self, url: str, events: str, index: str) -> None:
        self.settings = OpenSearchSettings(url=url, indices=[f"{events}*"], rules_index=index)
        self.rules = OpenSearchRules(self.settings)
        self.cluster = Cluster("operator", self.settings)
        self.index = index

    def get(self, rule_id: str = ID) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.ask("GET", f"/{self.index}/_doc/{rule_id}")["_source"]
        return found

    def change(self, **fields: object) -> None:
        body = {"doc": fields}
        self.cluster.ask("POST", f"/{self.index}/_update/{ID}", body, {"refresh": "true"})


@pytest.fixture
def place(opensearch_url: str, indexer: Indexer, fresh_index: str) -> Iterator[Place]:
    events, index = f"{fresh_index}events", f"{fresh_index}rules"
    indexer.create(events)
    indexer.load(events, [document(EVENT)])
    made = Place(opensearch_url, events, index)
    with closing(made.rules), closing(made.cluster):
        yield made
    for name in (events, index):
        indexer.delete(name)


def test_a_rule_is_off_at_first_and_its_query_finds_its_events(place: Place) -> None:
    assert place.rules.find(ID) is None
    assert place.rules.rules() == ()

    assert place.rules.deploy(ID, detection()) == ID

    held = place.get()
    assert (held["enabled"], held["retired"]) == (False, False)
    hits = []
    for search in held["searches"]:  # of Sysmon and of the Security channel
        body = {"query": json.loads(search["query"])}
        hits += place.cluster.search(search["index"], body)["hits"]["hits"]
    assert [hit["_source"]["winlog"]["channel"] for hit in hits] == [SYSMON]
    assert place.rules.find(ID) == ID
    assert place.rules.rules() == (ID,)


def test_the_same_twice_is_written_once(place: Place) -> None:
    place.rules.deploy(ID, detection())
    place.rules.deploy(ID.upper(), detection())

    answer = place.cluster.ask("GET", f"/{place.index}/_doc/{ID}")
    assert answer["_version"] == 1


@pytest.mark.parametrize("enabled", [True, False])
def test_the_switch_is_the_operators(place: Place, enabled: bool) -> None:
    place.rules.deploy(ID, detection())
    place.change(enabled=enabled)

    place.rules.deploy(ID, detection(rule("'\\at.exe'")))

    assert place.get()["enabled"] is enabled
    assert "at.exe" in place.get()["parts"]["rule"]
    assert all(rule.untouched for rule in place.rules.held())


def test_a_retired_rule_is_off_and_comes_back_off(place: Place) -> None:
    place.rules.deploy(ID, detection())
    place.change(enabled=True)

    place.rules.retire(ID)
    place.rules.retire(ID)

    assert (place.get()["enabled"], place.rules.find(ID), place.rules.kept(ID)) == (
        False,
        None,
        None,
    )
    assert place.rules.rules() == ()
    place.rules.deploy(ID, detection())
    assert (place.get()["enabled"], place.rules.find(ID)) == (False, ID)


def test_what_people_changed_is_seen_and_not_written_over(place: Place) -> None:
    place.rules.deploy(ID, detection())
    place.change(parts={"rule": "title: mine\n"})

    assert [(r.rule_id, r.untouched) for r in place.rules.held()] == [(ID, False)]
    assert (place.rules.kept(ID) or {})["rule"] == "title: mine\n"
    with pytest.raises(TerminalError, match="changed"):
        place.rules.deploy(ID, detection(rule("'\\at.exe'")))
    assert place.get()["parts"]["rule"] == "title: mine\n"

    place.rules.deploy(ID, detection(rule("'\\at.exe'"), overwrite=True))
    assert all(rule.untouched for rule in place.rules.held())


@pytest.mark.parametrize(
    "given",
    [
        detection(),  # a value beyond ignore_above is not indexed
        detection(rule("'a.*b'", "re")),
        detection(filters="title: f\n"),
    ],
)
def test_what_the_cluster_cannot_decide_alone_says_so(
    place: Place, given: dict[str, object]
) -> None:
    place.rules.deploy(ID, given)

    assert place.get()["complete"] is False


def test_what_the_cluster_decides_alone_says_so_too(place: Place) -> None:
    text = rule("P").replace("Image|endswith", "Provider_Name")

    place.rules.deploy(ID, detection(text))
    place.rules.deploy(ID, detection(text))

    assert place.get()["complete"] is True


def test_a_rule_that_cannot_be_translated_is_not_deployed(place: Place) -> None:
    with pytest.raises(TerminalError):
        place.rules.deploy(ID, detection(rule("'(?<=a)b'", "nonsense")))
    with pytest.raises(TerminalError):
        place.rules.deploy(ID, detection(rule_id=OTHER))

    assert place.rules.find(ID) is None


@pytest.mark.parametrize("key", ["", "../_all", "a/b", "*"])
def test_what_is_no_rule_id_reaches_no_address(place: Place, key: str) -> None:
    assert place.rules.find(key) is None
    with pytest.raises(TerminalError, match="UUID"):
        place.rules.deploy(key, detection(rule_id=key))


def test_a_rule_that_is_not_there_cannot_be_retired(place: Place) -> None:
    with pytest.raises(TerminalError, match="no rule"):
        place.rules.retire(OTHER)


def test_a_write_in_between_is_not_lost(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.rules.deploy(ID, detection())
    once = [True]
    write: Callable[..., bool] = OpenSearchRules._write

    def with_an_operator(rules: OpenSearchRules, *words: Any) -> bool:
        if once:
            once.pop()
            place.change(enabled=True)
        return write(rules, *words)

    monkeypatch.setattr(OpenSearchRules, "_write", with_an_operator)
    place.rules.deploy(ID, detection(rule("'\\at.exe'")))

    assert place.get()["enabled"] is True
    assert "at.exe" in place.get()["parts"]["rule"]
