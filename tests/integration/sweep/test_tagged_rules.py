"""A technique without a hunt of its own is hunted with the rules that are tagged with it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.siem.sweep.tagged import TaggedRules
from huntonce.models.errors import DomainError
from huntonce.models.finding import Disposition
from huntonce.models.hypothesis import Verdict
from huntonce.models.stages.hunt import HuntResult, hunt, prepare
from huntonce.models.stages.hypothesise import can_hunt, ledger
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.operate import default_window, find_target
from tests.support.builders import after
from tests.support.kits import Bench, bench, process, quiet_day

pytestmark = pytest.mark.integration
TECHNIQUE = "T1490"
RULE = """
title: Shadow Copies Deleted
id: 11111111-1111-4111-8111-11111111111{n}
status: test
level: {level}
tags: [attack.impact, attack.t1490]
logsource: {{product: windows, {source}}}
detection:
  selection: {{{field}|contains: shadows}}
  condition: selection
"""


def kit_with(home: Path, rules: dict[str, str], line: str = "vssadmin.exe delete shadows") -> Kit:
    folder = home / "rules-in"
    folder.mkdir()
    for name, text in rules.items():
        (folder / name).write_text(text)
    events = [*quiet_day(), process("PC1", after(hours=3), line)]
    log = home / "events.json"
    log.write_text(json.dumps(events))
    load_paths(home / "lake", [log])
    made: Bench = bench(home)
    book = TaggedRules([folder], home / "sigma.db", lambda technique: (technique,), home / "lake")
    return replace(made.kit, siem=Lake(home / "lake"), rulebook=book)


def look(kit: Kit) -> HuntResult:
    target = find_target(kit, TECHNIQUE)
    sight, gaps = prepare(kit, target, default_window(kit))
    return hunt(kit, target, sight, gaps)


PROCESSES = RULE.format(n=1, level="high", source="category: process_creation", field="CommandLine")
MODULES = RULE.format(n=2, level="high", source="category: image_load", field="ImageLoaded")


def test_what_a_rule_matched_is_a_finding_that_names_the_rule(tmp_path: Path) -> None:
    result = look(kit_with(tmp_path, {"a.yml": PROCESSES}))

    (found,) = result.looked.findings
    assert found.state is Disposition.SUSPICIOUS
    assert "Shadow Copies Deleted" in found.reason
    assert [event.event_id for event in found.events if event.role == "occurrence"] == [4688]
    assert result.definition.name == "rules-t1490"


def test_a_rule_that_cannot_see_rules_nothing_out(tmp_path: Path) -> None:
    result = look(kit_with(tmp_path, {"a.yml": PROCESSES, "b.yml": MODULES}, "ipconfig.exe"))

    assert result.looked.findings == ()
    assert result.verdict in {Verdict.INCONCLUSIVE, Verdict.BLOCKED}
    assert any("blind" in check.name and not check.executed for check in result.checks)


def test_rules_that_are_all_blind_mean_that_nobody_could_look(tmp_path: Path) -> None:
    result = look(kit_with(tmp_path, {"b.yml": MODULES}))

    assert result.verdict is Verdict.BLOCKED


def test_without_hunt_and_rule_it_is_said_what_is_missing(tmp_path: Path) -> None:
    kit = kit_with(tmp_path, {})

    assert not can_hunt(kit, TECHNIQUE, "windows")
    with pytest.raises(DomainError, match="no rule is tagged"):
        find_target(kit, TECHNIQUE)
    with pytest.raises(DomainError, match="no folder of Sigma rules"):
        find_target(replace(kit, rulebook=None), TECHNIQUE)


def test_a_changed_rule_is_another_version_of_the_hunt(tmp_path: Path) -> None:
    first = kit_with(tmp_path, {"a.yml": PROCESSES})
    assert first.rulebook is not None
    before = first.rulebook.version(TECHNIQUE)

    changed = PROCESSES.replace("contains: shadows", "contains: [shadows, catalog]")
    (tmp_path / "rules-in" / "a.yml").write_text(changed)
    book = TaggedRules([tmp_path / "rules-in"], None, lambda technique: (technique,), None)

    assert before
    assert book.version(TECHNIQUE) not in {"", before}
    assert ledger(first, find_target(first, TECHNIQUE), default_window(first)).windows
