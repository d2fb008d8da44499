"""Differential execution: the same rules and events on the lake and elsewhere, event by event.

docs/siem-differences.md tells what would differ without the second look at what a server finds.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.connectors.siem.opensearch.siem import OpenSearchSiem
from huntonce.connectors.siem.sweep.bysearch import rule_texts
from huntonce.connectors.siem.sweep.sweeping import sweep
from huntonce.connectors.sigma.packcache import load_pack
from huntonce.models.ports import Siem
from tests.support.shared import shared_data
from tests.support.warehouses import Warehouse, events_of_lake
from tests.support.winlogbeat import Indexer, document

pytestmark = [pytest.mark.integration, pytest.mark.shared_data]

SILENT = 110
"""Rules without a hit, so that what must not be found is compared as well."""

SOME = 6
"""Of so many rules PostgreSQL is asked one."""

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Expected:
    """The events, each with its corrected time, and what each rule finds on the lake."""

    events: Sequence[tuple[dict[str, Any], datetime]]
    rules: Mapping[str, str]
    hits: Mapping[str, list[Key]]


def keys(rows: Sequence[Mapping[str, Any]]) -> list[Key]:
    """Which events these are, whatever uid a corrected time gave them."""
    found = [
        (row["host"], row["channel"].lower(), row["event_id"], row["record_id"], row["time"])
        for row in rows
    ]
    return sorted(found, key=repr)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Expected:
    folders = [
        shared_data("sigma", "rules", "windows"),
        shared_data("sigma", "rules-threat-hunting"),
        shared_data("sigma", "rules-emerging-threats"),
    ]
    lake = tmp_path_factory.mktemp("differences") / "lake"
    load_paths(lake, sorted(shared_data("sigma", "regression_data").rglob("*.evtx")))
    load_paths(lake, [shared_data("telemetry", "evtx")])
    pack = load_pack(folders)
    hits = {found.id: keys(found.table.to_pylist()) for found in sweep(lake, pack).hits}
    silent = sorted(rule.id for rule in pack.rules if rule.places and rule.id not in hits)
    chosen = {*hits, *silent[:: max(1, len(silent) // SILENT)]}
    texts = rule_texts(folders)
    rules = {rule.id: texts[rule.source, rule.id] for rule in pack.rules if rule.id in chosen}
    assert len(rules) >= 300
    assert len(hits) >= 150
    return Expected(list(events_of_lake(lake)), rules, hits)


def differences(siem: Siem, expected: Expected, every: int = 1) -> dict[str, tuple[int, int]]:
    """Each rule that finds other events than on the lake, with how many on either."""
    window = siem.extent()
    assert window is not None
    different = {}
    for rule, text in list(expected.rules.items())[::every]:
        found = keys(siem.search_rule(text, window).table.to_pylist())
        known = expected.hits.get(rule, [])
        if found != known:
            different[rule] = (len(known), len(found))
    return different


def test_every_rule_finds_the_same_events_on_opensearch(
    expected: Expected, opensearch_url: str, indexer: Indexer, fresh_index: str
) -> None:
    indexer.create(fresh_index)
    indexer.load(fresh_index, (document(event, at) for event, at in expected.events))
    settings = OpenSearchSettings(url=opensearch_url, indices=[f"{fresh_index}*"])

    with closing(OpenSearchSiem(settings)) as siem:
        assert differences(siem, expected) == {}


@pytest.mark.postgres
def test_rules_find_the_same_events_on_postgresql(expected: Expected, warehouse: Warehouse) -> None:
    siem = warehouse.siem(warehouse.load(iter(expected.events)))

    # No index serves the text, so each rule reads its log source: all of them take minutes.
    assert differences(siem, expected, every=SOME) == {}
