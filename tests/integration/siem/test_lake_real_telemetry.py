"""The lake over real recordings: every file loads whole, once, at the right time."""

import json
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from evtx import PyEvtxParser

from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.siem.lake.reading import Piece
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.lake.staging import Stager
from huntonce.connectors.sigma.rules import parse_rules
from tests.support.shared import shared_data
from tests.support.winlogbeat import document

pytestmark = [pytest.mark.integration, pytest.mark.shared_data]

TWINS = (
    "evtx/attack/mdecrevoisier/T1053.005",
    "jsonl/attack/mdecrevoisier-persistent-task-evtxrs.jsonl",
)


@cache
def labels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(shared_data("telemetry", "labels.json").read_text())[
        "labels"
    ]
    return found


def rows(root: Path, *columns: str) -> list[dict[str, Any]]:
    return [
        row
        for path in (root / "events").rglob("*.parquet")
        for row in pq.ParquetFile(path).read(columns=list(columns)).to_pylist()
    ]


def test_every_recording_loads_whole_and_only_once(tmp_path: Path) -> None:
    telemetry = shared_data("telemetry")
    paths = [telemetry / label["file"] for label in labels()]
    expected = sum(label["events"] for label in labels())

    first = load_paths(tmp_path / "lake", paths)
    again = load_paths(tmp_path / "lake", paths)

    assert first.set_aside == ()
    assert (first.files, first.events + first.duplicates) == (len(paths), expected)
    assert (again.events, again.duplicates) == (0, expected)
    assert Lake(tmp_path / "lake").sources()


def test_each_recording_by_itself_holds_the_labelled_number_of_events(tmp_path: Path) -> None:
    telemetry = shared_data("telemetry")
    wrong = {}
    for number, label in enumerate(labels()):
        root = tmp_path / str(number)
        report = load_paths(root, [telemetry / label["file"]])
        if report.events != label["events"]:
            wrong[label["file"]] = (report.events, label["events"])

    assert wrong == {}


def test_recorders_clocks_are_corrected_by_what_was_measured(tmp_path: Path) -> None:
    telemetry = shared_data("telemetry")
    off = [label for label in labels() if label.get("timestamp_error_hours") is not None]
    assert off
    for number, label in enumerate(off):
        root = tmp_path / str(number)
        load_paths(root, [telemetry / label["file"]])
        notes = {row["@time_note"] for row in rows(root, "@time_note")}
        first = min(row["@time"] for row in rows(root, "@time"))
        recorded = datetime.fromisoformat(label["time_min"].removesuffix("Z") + "+00:00")

        assert notes == {f"corrected {label['timestamp_error_hours']:+.1f}h"}, label["file"]
        assert first == recorded + timedelta(hours=label["timestamp_error_hours"])


def test_an_nxlog_event_has_the_time_it_happened_not_of_its_arrival(tmp_path: Path) -> None:
    nxlog = [
        label["file"]
        for label in labels()
        if "otrf-" in label["file"] and label.get("timestamp_error_hours") is None
    ]
    for number, name in enumerate(nxlog):
        root = tmp_path / str(number)
        load_paths(root, [shared_data("telemetry", name)])
        for row in rows(root, "@time", "@ingested"):
            if row["@ingested"] is not None:
                assert timedelta(0) <= row["@ingested"] - row["@time"] < timedelta(minutes=5), name


def test_evtx_and_json_of_the_same_events_are_the_same_events(tmp_path: Path) -> None:
    folder, text = (shared_data("telemetry", name) for name in TWINS)
    evtx = next(folder.glob("*Persistent*"))

    first = load_paths(tmp_path / "lake", [evtx])
    second = load_paths(tmp_path / "lake", [text])

    assert first.events == 4
    assert (second.events, second.duplicates) == (0, 4)


def _exports(records: list[tuple[dict[str, Any], str]]) -> dict[str, bytes]:
    """The same events as other tools export them."""
    beats = [document(original) for original, _ in records]
    flat = [_flat(beat) for beat in beats]
    hits = [{"_index": "winlogbeat", "_id": str(at), "_source": at_} for at, at_ in enumerate(flat)]
    listed = [
        {"_id": str(at), "fields": {name: [value] for name, value in one.items()}}
        for at, one in enumerate(flat)
    ]
    results = [{"preview": False, "result": {"_raw": xml}} for _, xml in records]
    return {
        "events.xml": "\r\n".join(xml for _, xml in records).encode(),
        "dotted.jsonl": b"\n".join(map(orjson.dumps, flat)),
        "search.json": orjson.dumps({"took": 1, "hits": {"total": len(hits), "hits": hits}}),
        "kibana.json": orjson.dumps({"rawResponse": {"hits": {"hits": listed}}}),
        "splunk.json": b"\n".join(map(orjson.dumps, results)),
    }


def _flat(document: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[before + name] = value
    return found


def test_exports_of_real_events_give_the_events_of_the_log_itself(tmp_path: Path) -> None:
    files = sorted(shared_data("telemetry", "evtx", "attack").rglob("*.evtx"))
    records: list[tuple[dict[str, Any], str]] = []
    for path in files:
        originals = PyEvtxParser(str(path)).records_json()
        texts = PyEvtxParser(str(path)).records()
        for one, other in islice(zip(originals, texts, strict=True), 40):
            records.append((orjson.loads(one["data"]), other["data"]))
    wanted = [normalise(original) for original, _ in records]
    assert len(wanted) > 500

    for name, content in _exports(records).items():
        source = tmp_path / name
        source.write_bytes(content)
        stager = Stager(tmp_path / "staged")
        stager.stage(Piece(source), None)
        found = {row.event.uid: row.event.fields for held in stager._rows.values() for row in held}
        assert stager.share.set_aside == [], name
        assert found.keys() == {event.uid for event in wanted}, name
        assert all(found[event.uid] == event.fields for event in wanted), name


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_cut_evtx_file_is_read_to_its_last_whole_record(tmp_path: Path, share: float) -> None:
    largest = max((label for label in labels() if label["file"].endswith(".evtx")),
                  key=lambda label: int(label["bytes"]))  # fmt: skip
    whole = shared_data("telemetry", largest["file"])
    cut = tmp_path / "cut.evtx"
    content = whole.read_bytes()
    cut.write_bytes(content[: int(len(content) * share) + 1000])
    load_paths(tmp_path / "whole", [whole])

    report = load_paths(tmp_path / "cut", [cut])

    uids = {row["@uid"] for row in rows(tmp_path / "cut", "@uid")}
    assert 0 < report.events < int(largest["events"])
    assert uids <= {row["@uid"] for row in rows(tmp_path / "whole", "@uid")}
    assert any("chunk at byte" in item.place for item in report.set_aside)


def test_a_damaged_chunk_costs_only_itself(tmp_path: Path) -> None:
    largest = max((label for label in labels() if label["file"].endswith(".evtx")),
                  key=lambda label: int(label["bytes"]))  # fmt: skip
    content = bytearray(shared_data("telemetry", largest["file"]).read_bytes())
    content[4096 + 65536 : 4096 + 65536 + 8] = b"\xff" * 8
    damaged = tmp_path / "damaged.evtx"
    damaged.write_bytes(content)

    report = load_paths(tmp_path / "lake", [damaged])

    assert int(largest["events"]) * 0.9 < report.events < int(largest["events"])
    assert [item.place for item in report.set_aside] == ["chunk at byte 69632"]


def test_regression_recordings_fire_their_rules(tmp_path: Path) -> None:
    sigma = shared_data("sigma")
    silent, more = [], []
    cases = json.loads((sigma / "regression_labels.json").read_text())
    for number, case in enumerate(cases):
        root = tmp_path / str(number)
        load_paths(root, [sigma / case["file"]])
        lake = Lake(root)
        extent = lake.extent()
        assert extent is not None
        found = len(lake.search_rule((sigma / case["rule_files"][0]).read_text(), extent).table)
        expected = (case["expected_match_count"] or [1])[0] or 1
        if found < expected:
            silent.append(case["rule_titles"][0])
        if found > expected:
            more.append((case["rule_titles"][0], found, expected))

    assert silent == []
    # One recording holds three dropped tools where its label counts one.
    assert len(more) <= 1, more


def test_every_published_windows_rule_is_read() -> None:
    rules = shared_data("sigma", "rules", "windows")
    faults = [
        fault
        for path in rules.rglob("*.yml")
        for fault in parse_rules(path.read_text(encoding="utf-8"), source=path.name)[1]
    ]

    assert faults == []
