"""Differential execution: the same rules and events on the lake and on OpenSearch, event by event.

docs/siem-differences.md tells what would differ without the second look at what a cluster finds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.connectors.siem.opensearch.siem import OpenSearchSiem
from huntonce.connectors.siem.sweep.bysearch import rule_texts
from huntonce.connectors.siem.sweep.sweeping import sweep
from huntonce.connectors.sigma.packcache import load_pack
from tests.support.shared import shared_data
from tests.support.winlogbeat import Indexer, documents_of_lake

pytestmark = [pytest.mark.integration, pytest.mark.shared_data]

SILENT = 110
"""Rules without a hit, so that what must not be found is compared as well."""

Key = tuple[Any, ...]


def keys(rows: Sequence[Mapping[str, Any]]) -> list[Key]:
    """Which events these are, whatever uid a corrected time gave them."""
    found = [
        (row["host"], row["channel"].lower(), row["event_id"], row["record_id"], row["time"])
        for row in rows
    ]
    return sorted(found, key=repr)


def test_every_rule_finds_the_same_events_on_both(
    tmp_path: Path, opensearch_url: str, indexer: Indexer, fresh_index: str
) -> None:
    folders = [
        shared_data("sigma", "rules", "windows"),
        shared_data("sigma", "rules-threat-hunting"),
        shared_data("sigma", "rules-emerging-threats"),
    ]
    lake = tmp_path / "lake"
    load_paths(lake, sorted(shared_data("sigma", "regression_data").rglob("*.evtx")))
    load_paths(lake, [shared_data("telemetry", "evtx")])
    pack = load_pack(folders)
    places = {rule.id: (rule.source, rule.id) for rule in pack.rules}
    hits = {found.id: keys(found.table.to_pylist()) for found in sweep(lake, pack).hits}
    silent = sorted(rule.id for rule in pack.rules if rule.places and rule.id not in hits)
    rules = [*sorted(hits), *silent[:: max(1, len(silent) // SILENT)]]
    texts = rule_texts(folders)
    indexer.create(fresh_index)
    indexer.load(fresh_index, documents_of_lake(lake))
    siem = OpenSearchSiem(OpenSearchSettings(url=opensearch_url, indices=[f"{fresh_index}*"]))
    window = siem.extent()
    assert window is not None

    different = {}
    for rule in rules:
        found = keys(siem.search_rule(texts[places[rule]], window).table.to_pylist())
        if found != hits.get(rule, []):
            different[rule] = (len(hits.get(rule, ())), len(found))
    siem.close()

    assert len(rules) >= 300
    assert len(hits) >= 150
    assert different == {}
