"""The single commands on real input and on bad input: exit codes and what is set aside."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Run
from tests.support.shared import shared_data

GOOD = {
    "type": "indicator",
    "spec_version": "2.1",
    "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
    "created": "2026-01-01T00:00:00.000Z",
    "modified": "2026-01-01T00:00:00.000Z",
    "pattern": "[domain-name:value = 'a.example']",
    "pattern_type": "stix",
    "valid_from": "2026-01-01T00:00:00Z",
}
FAULTY = {**GOOD, "id": "indicator--9e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "valid_from": "soon"}
XML = (
    '<?xml version="1.0" encoding="UTF-16"?><Task version="1.2" '
    'xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task"><Actions><Exec>'
    "<Command>{command}</Command></Exec></Actions></Task>"
)


def created(record: int, content: str) -> str:
    system = {
        "Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing"}},
        "EventID": 4698,
        "TimeCreated": {"#attributes": {"SystemTime": f"2026-11-02T10:00:{record:02d}.000000Z"}},
        "EventRecordID": record,
        "Channel": "Security",
        "Computer": "pc1.corp.example",
    }
    data = {
        "SubjectUserSid": "S-1-5-21-1-2-3-1104",
        "SubjectUserName": "ann",
        "SubjectDomainName": "CORP",
        "SubjectLogonId": "0x1",
        "TaskName": f"\\Task {record}",
        "TaskContent": content,
    }
    return json.dumps({"Event": {"System": system, "EventData": data}})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def places(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(Path(item["source"]).name, item["place"]) for item in answer["set_aside"]]


def test_bad_intel_is_set_aside_and_the_rest_is_taken_once(
    home: Path, tmp_path: Path, huntonce: Run
) -> None:
    broken, mixed = tmp_path / "broken.json", tmp_path / "mixed.json"
    broken.write_text("{ this is no JSON")
    mixed.write_text(json.dumps({"type": "bundle", "id": "bundle--1", "objects": [GOOD, FAULTY]}))

    code, first, _ = huntonce("intel", "load", broken, mixed, "--home", home)
    again, second, _ = huntonce("intel", "load", broken, mixed, "--home", home)

    assert (code, again) == (3, 3)
    assert (first["new"], first["updated"]) == (1, 0)
    assert {name for name, _ in places(first)} == {"broken.json", "mixed.json"}
    assert any(FAULTY["id"] in place for _, place in places(first))
    assert all(item["reason"] for item in first["set_aside"])
    assert (second["new"], second["duplicate"]) == (0, 1)


def test_bad_events_are_set_aside_and_the_rest_is_loaded_once(
    home: Path, tmp_path: Path, huntonce: Run
) -> None:
    log = tmp_path / "security.jsonl"
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + XML.format(command="&a;")
    lines = [
        created(1, XML.format(command="good.exe")),
        created(2, "<Task><unclosed>"),
        created(3, bomb),
        created(4, XML.format(command="cut.exe"))[:200],
        created(5, XML.format(command="also-good.exe")),
    ]
    log.write_text("\n".join(lines))

    code, first, _ = huntonce("lake", "load", log, "--home", home)
    _, second, _ = huntonce("lake", "load", log, "--home", home)

    assert code == 3
    assert first["events"] == 4  # a task definition that cannot be read does not lose its event
    assert [place for _, place in places(first)] == ["line 2", "line 3", "line 4"]
    assert (second["events"], second["duplicates"]) == (0, 4)


@pytest.mark.shared_data
def test_a_truncated_evtx_gives_its_whole_records_and_says_where_it_broke(
    home: Path, tmp_path: Path, huntonce: Run
) -> None:
    whole = shared_data("telemetry", "evtx", "baseline", "museum_rathbun_win10", "Security.evtx")
    cut = tmp_path / "cut.evtx"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])

    code, answer, _ = huntonce("lake", "load", cut, "--home", home)

    assert code == 3
    assert answer["events"] > 0
    assert answer["set_aside"][0]["place"]


def test_what_cannot_be_looked_for_is_never_nothing_found(home: Path, huntonce: Run) -> None:
    code, _, errors = huntonce("hunt", "T1053.005", "--home", home, as_json=False)

    assert code == 2
    assert "holds no events" in errors
    assert "huntonce lake load" in errors


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("lake", "load", "no-such-file.evtx"), 2, "no-such-file.evtx"),
        (("intel", "load", "no-such-file.json"), 2, "no-such-file.json"),
        (("intel", "pull", "nowhere"), 2, "nowhere"),
        (("hunt", "T9999"), 2, "T9999"),
        (("show", "GAP-77"), 2, "GAP-77"),
        (("decide", "P-9", "approve"), 2, "P-9"),
        (("serve", "--host", "0.0.0.0"), 2, "open to everybody"),  # noqa: S104
        (("cases", "close", "CASE-9", "--determination", "confirmed"), 2, "CASE-9"),
    ],
)
def test_expected_faults_are_words_and_exit_codes(
    words: tuple[str, ...], code: int, told: str, home: Path, huntonce: Run
) -> None:
    got, _, errors = huntonce(*words, "--home", home, as_json=False)

    assert got == code
    assert told in errors
    assert "Traceback" not in errors


@pytest.mark.shared_data
def test_a_real_remote_task_is_found_on_both_hosts(home: Path, huntonce: Run) -> None:
    log = shared_data("telemetry", "jsonl", "attack", "otrf-schtask_create.jsonl")
    assert huntonce("lake", "load", log, "--home", home)[0] == 0

    code, answer, _ = huntonce("hunt", "T1053.005", "--home", home)

    assert code == 0
    evil = [f for f in answer["findings"] if f["disposition"] == "malicious"]
    assert len(evil) == 1
    assert {"WORKSTATION5", "WORKSTATION6"} <= set(evil[0]["hosts"])
    assert {"WORKSTATION5", "WORKSTATION6"} <= {event["host"] for event in evil[0]["events"]}
    assert answer["detection"]["certificate"]["fired"] > 0
    assert answer["case"]["events"]


@pytest.mark.shared_data
def test_real_baselines_hold_no_malicious_task(home: Path, huntonce: Run) -> None:
    folder = shared_data("telemetry", "jsonl", "baseline")
    assert huntonce("lake", "load", folder, "--home", home)[0] == 0

    _, answer, _ = huntonce("hunt", "T1053.005", "--home", home)

    assert [f for f in answer["findings"] if f["disposition"] == "malicious"] == []
    assert answer["case"] is None
    assert answer["verdict"] in {"inconclusive", "blocked"}
    assert any(gap["source"] == "security/other-object-access" for gap in answer["gaps"])


@pytest.mark.shared_data
def test_a_default_audit_policy_is_a_gap_and_not_a_clean_result(home: Path, huntonce: Run) -> None:
    folder = shared_data("telemetry", "evtx", "baseline", "museum_rathbun_win10")
    huntonce("lake", "load", folder, "--home", home)

    _, answer, _ = huntonce("hunt", "T1053.005", "--home", home)

    assert answer["verdict"] == "blocked"
    remedies = " ".join(c for gap in answer["gaps"] for c in gap["remedy"]["commands"])
    assert "auditpol" in remedies
    assert "wevtutil" in remedies
    assert "ProcessCreationIncludeCmdLine_Enabled" in remedies


@pytest.mark.shared_data
def test_real_intel_becomes_hypotheses_with_their_sources(home: Path, huntonce: Run) -> None:
    bundle = shared_data("cti", "mitre-G0016-apt29.json")
    assert huntonce("intel", "load", bundle, "--home", home)[0] == 0

    code, answer, _ = huntonce("hypotheses", "--home", home)

    assert code == 0
    found = [h for h in answer["hypotheses"] if h["technique"] == "T1053.005"]
    assert len(found) == 1
    assert "APT29" in found[0]["statement"]
    assert found[0]["sources"]
    priorities = [h["priority"] for h in answer["hypotheses"]]
    assert priorities == sorted(priorities, reverse=True)
