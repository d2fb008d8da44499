"""The fields that curated evidence asks for are there in recordings of real systems."""

from typing import TYPE_CHECKING

import pytest

from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.sigma.packcache import load_documents
from huntonce.connectors.sigma.tagged import rule_sources
from huntonce.models.attack import load_catalogue
from huntonce.models.content import load_library
from huntonce.models.query import FieldWant
from tests.support.shared import shared_data

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    root: Path = tmp_path_factory.mktemp("lake")
    folder = shared_data("telemetry")
    load_paths(root, [folder / "jsonl", folder / "evtx"])
    return Lake(root)


def test_fields_of_curated_atoms_are_filled_where_their_events_occur(lake: Lake) -> None:
    extent = lake.extent()
    assert extent is not None
    wanted: dict[tuple[str, int], set[str]] = {}
    for model in load_library().evidence.values():
        for atom in model.atoms:
            for event_id in atom.event_ids:
                wanted.setdefault((atom.channel, event_id), set()).update(atom.fields)
    wants = [
        FieldWant(channel=channel, event_id=event_id, fields=tuple(sorted(names)))
        for (channel, event_id), names in sorted(wanted.items())
        if names
    ]
    filled: dict[tuple[str, int, str], int] = {}
    events: dict[tuple[str, int, str], int] = {}
    for row in lake.field_fill(extent, wants).to_pylist():
        key = (row["channel"], row["event_id"], row["field"])
        filled[key] = filled.get(key, 0) + row["filled"]
        events[key] = events.get(key, 0) + row["events"]
    seen = {key[:2] for key, count in events.items() if count}

    assert len(seen) > 40
    # Half of the CommandLine of 4688 is off by policy in these recordings, and says so.
    assert [key for key, count in filled.items() if events[key] and not count] == []


def test_rules_say_where_they_look_by_technique_of_the_current_attack() -> None:
    folder = shared_data("sigma", "rules", "windows", "builtin")
    found = rule_sources(load_documents([folder]), load_catalogue())

    task = {(channel, i) for r in found["T1053.005"] for channel, ids, _ in r.places for i in ids}
    assert ("Security", 4698) in task
    # Tagged T1685.005 in ATT&CK v19.
    cleared = {i for r in found["T1070.001"] for _, ids, _ in r.places for i in ids}
    assert 1102 in cleared
