"""``python -m tests.benchmarks.efficacy``: what the written hunts find on labelled recordings.

Method: every recording is a lake of its own. Each hunt whose technique, its parent or one of its
sub-techniques a label names is run over it without any profile; a label counts as found where a
finding of such a hunt (suspicious or malicious) is made of the recording's events. Then every hunt
runs over each ordinary recording, and its findings are the false ones, per 10,000 events. For
scheduled tasks each labelled 4698, 4702, 106 and 140 is looked up in the findings' events, by its
record number, or by its task's name where the recording has none.
Nothing here is a threshold: the table is for reading.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.models.finding import Finding
from huntonce.models.huntdef import HuntDefinition
from huntonce.models.profile import Profile
from huntonce.models.stages.hunt import hunt, prepare
from huntonce.models.stages.hypothesise import by_analyst
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.operate import default_window
from tests.support.kits import bench
from tests.support.shared import ROOT

HEAD = "|---|---|---|---|"
REGISTRATIONS = frozenset({106, 140, 4698, 4702})


@dataclass(frozen=True, slots=True)
class Answer:
    """What one hunt made of one recording."""

    hunt: str
    technique: str
    findings: tuple[Finding, ...]
    verdict: str


def answers(kit: Kit, wanted: frozenset[str] | None) -> Iterator[Answer]:
    """The hunts that are about the wanted techniques (all of them: None), one after another."""
    window = default_window(kit)
    for definition in kit.library.hunts:
        technique = _technique(definition, wanted)
        if technique is None or technique not in kit.library.evidence:
            continue
        target = by_analyst(kit, definition, technique)
        sight, gaps = prepare(kit, target, window)
        result = hunt(kit, target, sight, gaps)
        yield Answer(definition.name, technique, result.looked.findings, result.verdict.value)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _technique(definition: HuntDefinition, wanted: frozenset[str] | None) -> str | None:
    if wanted is None:
        return definition.techniques[0]
    fitting = [
        own
        for own in definition.techniques
        if any(own == t or own.startswith(f"{t}.") or t.startswith(f"{own}.") for t in wanted)
    ]
    return definition.techniques[0] if fitting else None


def look(home: Path, file: Path, wanted: frozenset[str] | None) -> list[Answer]:
    """The answers over a lake that holds one recording."""
    load_paths(home / "lake", [file])
    made = bench(home)
    kit = replace(made.kit, siem=Lake(home / "lake"), profile=Profile())
    try:
        return list(answers(kit, wanted))
    finally:
        made.store.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.efficacy", description=__doc__
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--verbose", action="store_true", help="show every finding")
    options = parser.parse_args()
    telemetry = options.data / "telemetry"
    entries = json.loads((telemetry / "labels.json").read_text(encoding="utf-8"))["labels"]
    with tempfile.TemporaryDirectory() as folder:
        found = missed = unhunted = 0
        tasks: dict[str, list[int]] = {}
        _say("| recording | techniques | found by | verdicts |\n" + HEAD)
        for number, entry in enumerate(entries):
            if entry["role"] == "baseline":
                continue
            home = Path(folder) / str(number)
            wanted = frozenset(entry["techniques"])
            got = look(home, telemetry / entry["file"], wanted)
            by = [f"{a.hunt} ({len(a.findings)})" for a in got if a.findings]
            if not got:
                unhunted += 1
                continue
            found, missed = found + bool(by), missed + (not by)
            verdicts = ", ".join(a.verdict for a in got)
            _say(
                f"| {Path(entry['file']).name} | {', '.join(entry['techniques'])} "
                f"| {', '.join(by) or '-'} | {verdicts} |",
            )
            _show(got, options.verbose)
            _count_tasks(tasks, entry, got)
        _say(f"\nfound {found}, missed {missed}, no written hunt for {unhunted}\n")
        _baselines(Path(folder), telemetry, entries, tasks, verbose=options.verbose)
        _say("\n| labelled registration | malicious | suspicious | not a finding |\n" + HEAD)
        for verdict, counts in sorted(tasks.items()):
            _say(f"| {verdict} | {counts[0]} | {counts[1]} | {counts[2]} |")


def _baselines(
    folder: Path,
    telemetry: Path,
    entries: list[dict[str, Any]],
    tasks: dict[str, list[int]],
    *,
    verbose: bool,
) -> None:
    _say("| ordinary recording | events | false findings | per 10,000 | by |\n" + HEAD + "---|")
    for number, entry in enumerate(entries):
        if entry["role"] != "baseline":
            continue
        got = look(folder / f"b{number}", telemetry / entry["file"], None)
        false = sum(len(a.findings) for a in got)
        by = ", ".join(f"{a.hunt} {len(a.findings)}" for a in got if a.findings)
        rate = 10_000 * false / max(1, entry["events"])
        name = Path(entry["file"]).name
        _say(f"| {name} | {entry['events']} | {false} | {rate:.1f} | {by} |")
        _show(got, verbose)
        _count_tasks(tasks, entry, got)


def _show(got: list[Answer], verbose: bool) -> None:
    for answer in got if verbose else ():
        for one in answer.findings:
            _say(f"    {answer.hunt} {one.state.value} {one.score:.2f} {one.title}: {one.reason}")


def _count_tasks(tasks: dict[str, list[int]], entry: dict[str, Any], got: list[Answer]) -> None:
    """Adds how the findings judge each labelled registration of a task."""
    found = [
        (ref.event_id, ref.record_id, one.entity.strip("\\").casefold(), one.state.value)
        for answer in got
        if answer.hunt == "scheduled-task-persistence"
        for one in answer.findings
        for ref in one.events
        if ref.event_id in REGISTRATIONS
    ]
    evidence = entry.get("scheduled_task_evidence") or {}
    for event in evidence.get("events", ()):
        if event["event_id"] not in REGISTRATIONS:
            continue
        number = event.get("record_id")
        name = str(event.get("task") or "").strip("\\").casefold()
        states = {
            state
            for event_id, record_id, task, state in found
            if event_id == event["event_id"]
            # Flat recordings carry no record number: there the task's name has to do.
            and (record_id == number if number is not None else task == name)
        }
        counts = tasks.setdefault(str(event["verdict"]), [0, 0, 0])
        counts[0 if "malicious" in states else 1 if "suspicious" in states else 2] += 1


if __name__ == "__main__":
    main()
