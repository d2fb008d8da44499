"""Hunts over real recordings: what was done is found, what is ordinary is not, and what could not
be seen is said."""

import json
from pathlib import Path
from typing import Any

import pytest

from huntonce.models.finding import Disposition
from huntonce.models.gap import GapKind
from huntonce.models.hypothesis import Verdict
from tests.integration.hunt.looking import Seen, look_at
from tests.support.shared import shared_data

pytestmark = [pytest.mark.integration, pytest.mark.shared_data]


def look(home: Path, *parts: str) -> Seen:
    return look_at(home, [shared_data("telemetry", *parts)])


def malicious(seen: Seen) -> list[str]:
    return [f.entity for f in seen.result.looked.findings if f.state is Disposition.MALICIOUS]


def test_a_remote_registration_is_found_with_the_events_of_both_hosts(tmp_path: Path) -> None:
    seen = look(tmp_path, "jsonl", "attack", "otrf-schtask_create.jsonl")

    (found,) = seen.result.looked.findings
    assert found.state is Disposition.MALICIOUS
    assert seen.result.verdict is Verdict.CONFIRMED_MALICIOUS
    assert found.hosts == ("WORKSTATION5", "WORKSTATION6")
    assert {event.host for event in found.events} == {"WORKSTATION5", "WORKSTATION6"}
    assert {event.role for event in found.events} >= {"registration", "tool", "trace"}
    assert sum(term.value for term in found.terms) == pytest.approx(found.score, abs=1e-3)


def test_the_rule_made_of_it_fires_on_it_again(tmp_path: Path) -> None:
    seen = look(tmp_path, "jsonl", "attack", "otrf-schtask_create.jsonl")

    (detection,) = seen.promotion.detections
    again = seen.kit.siem.search_rule(detection.rule, seen.result.window)

    registrations = {e.uid for e in seen.result.looked.findings[0].events if e.event_id == 4698}
    assert registrations <= set(again.table.column("uid").to_pylist())
    assert detection.certificate is not None
    assert (detection.certificate.fired, detection.certificate.benign_hits) == (1, 0)


def test_originals_of_a_finding_can_be_shown(tmp_path: Path) -> None:
    seen = look(tmp_path, "jsonl", "attack", "otrf-schtask_create.jsonl")
    events = seen.result.looked.findings[0].events

    originals = seen.kit.siem.originals(events)

    assert set(originals) == {event.uid for event in events}
    assert all(json.loads(text) for text in originals.values())


def test_ordinary_recordings_report_no_malicious_task(tmp_path: Path) -> None:
    seen = look(tmp_path, "jsonl", "baseline")

    assert seen.result.looked.records > 0
    assert malicious(seen) == []
    assert seen.promotion.detections == ()


@pytest.mark.parametrize("folder", ["museum_belkasoft_win10", "museum_rathbun_win10"])
def test_ordinary_machines_report_no_malicious_task(tmp_path: Path, folder: str) -> None:
    assert malicious(look(tmp_path, "evtx", "baseline", folder)) == []


def test_a_machine_that_does_not_log_tasks_is_blocked_with_remedies(tmp_path: Path) -> None:
    seen = look(tmp_path, "evtx", "baseline", "museum_rathbun_win10")

    assert seen.result.verdict is Verdict.BLOCKED
    assert seen.result.verdict is not Verdict.RULED_OUT
    assert seen.result.sight.power.value == 0
    gaps = {gap.source: gap for gap in seen.result.gaps}
    assert gaps["security/other-object-access"].atom_id == "security/4698"
    assert gaps["taskscheduler/operational"].gap_kind is GapKind.NO_SOURCE
    assert gaps["security/process-command-line"].gap_kind is GapKind.MISSING_FIELD
    assert gaps["security/process-command-line"].field_name == "CommandLine"
    assert all(gap.remedy.commands for gap in gaps.values())


def labelled() -> list[dict[str, Any]]:
    labels = json.loads(shared_data("telemetry", "labels.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = labels["labels"]
    return found


def test_no_task_that_the_labels_call_benign_is_called_malicious(tmp_path: Path) -> None:
    files = [
        entry
        for entry in labelled()
        if any(e.get("verdict") == "benign" for e in tasks_of(entry)) or entry["role"] == "baseline"
    ]
    evil = {
        str(event["task"]).casefold()
        for entry in labelled()
        for event in tasks_of(entry)
        if event.get("task") and str(event["verdict"]) != "benign"
    }

    seen = look_at(tmp_path, [shared_data("telemetry", entry["file"]) for entry in files])

    assert [name for name in malicious(seen) if name.casefold() not in evil] == []


def tasks_of(entry: dict[str, Any]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = (entry.get("scheduled_task_evidence") or {}).get("events", [])
    return events


def test_labelled_system_tasks_are_findings_wherever_their_definition_was_logged(
    tmp_path: Path,
) -> None:
    """Only what runs as SYSTEM by a person's hand: other tasks need context that a file lacks."""
    missed = []
    for number, entry in enumerate(labelled()):
        wanted = {
            str(event["task"])
            for event in tasks_of(entry)
            if event["event_id"] == 4698
            and event["verdict"] == "malicious"
            and event.get("run_as") == "S-1-5-18"
        }
        if wanted:
            seen = look_at(tmp_path / str(number), [shared_data("telemetry", entry["file"])])
            found = {finding.entity for finding in seen.result.looked.findings}
            missed += [(entry["file"], task) for task in wanted - found]

    assert missed == []


def test_no_recording_of_one_machine_is_ruled_out_without_its_traces(tmp_path: Path) -> None:
    for number, entry in enumerate(labelled()):
        if entry["role"] != "baseline" or not entry["file"].endswith(".evtx"):
            continue
        seen = look_at(tmp_path / str(number), [shared_data("telemetry", entry["file"])])
        if seen.result.verdict is Verdict.RULED_OUT:
            power = seen.result.sight.power
            assert power.value >= seen.kit.policy.power_floor
            assert all(group.value for group in power.groups if group.required)
