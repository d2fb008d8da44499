"""Promoted rules over a lake: the sweep engine finds what the lake's own search finds."""

from datetime import timedelta
from pathlib import Path

import pytest

from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.siem.sweep.guarding import LakeRunner
from huntonce.models.guarding import GuardRule
from huntonce.models.windows import Window
from tests.support.sweeping import START, process

pytestmark = pytest.mark.integration

ID = "2f6a8c1e-0000-4000-8000-00000000abcd"
RULE = f"""
title: A Rule
id: {ID}
status: experimental
logsource: {{product: windows, category: process_creation}}
detection:
    selection:
        CommandLine|contains: evil
    condition: selection
level: high
"""
FILTER = f"""
title: A Filter
id: 2f6a8c1e-0000-4000-8000-00000000abce
logsource: {{product: windows, category: process_creation}}
filter:
    rules: [{ID}]
    selection:
        Image|endswith: '\\fine.exe'
    condition: not selection
"""
SPAN = Window(START, START + timedelta(hours=1))


def load(root: Path, name: str, *events: bytes) -> None:
    source = root.parent / f"{name}.jsonl"
    source.write_bytes(b"\n".join(events))
    load_paths(root, [source])


def guard(*filters: str, rule: str = RULE, window: Window = SPAN) -> GuardRule:
    return GuardRule(rule_id=ID, rule=rule, filters=filters, window=window)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lake = tmp_path / "lake"
    load(
        lake, "one",
        process(1, "C:\\a.exe", "evil one"),
        process(2, "C:\\fine.exe", "evil but fine", after=10),
        process(3, "C:\\a.exe", "good", after=20),
    )  # fmt: skip
    return lake


def test_it_finds_what_the_search_of_the_lake_finds_filters_applied(root: Path) -> None:
    for filters in ((), (FILTER,)):
        ran = LakeRunner(root).run([guard(*filters)])
        found = Lake(root).search_rule("\n---\n".join([RULE, *filters]), SPAN).table

        assert ran.faults == {}
        assert ran.hits[ID].column("uid").to_pylist() == found.column("uid").to_pylist()
        assert len(found) == 2 - len(filters)


def test_only_what_is_new_is_read_again(root: Path) -> None:
    runner = LakeRunner(root)
    assert runner.run([guard()]).scanned == 3
    assert runner.run([guard()]).scanned == 0
    load(root, "two", process(4, "C:\\a.exe", "evil two", after=30))

    ran = runner.run([guard()])

    assert ran.scanned == 1
    assert ran.hits[ID].column("record_id").to_pylist() == [1, 2, 4]


def test_only_the_window_counts(root: Path) -> None:
    late = Window(START + timedelta(seconds=5), SPAN.end)

    assert LakeRunner(root).run([guard(window=late)]).hits[ID].column("record_id").to_pylist() == [
        2
    ]


@pytest.mark.parametrize(
    ("rule", "filters", "why"),
    [
        ("title: [", (), "not YAML"),
        (RULE, ("title: x\nfilter: 3\n",), ""),
        (RULE.replace("process_creation", "ps_script"), (), "no"),
    ],
)
def test_a_rule_that_cannot_be_run_is_a_fault_and_not_silent(
    root: Path, rule: str, filters: tuple[str, ...], why: str
) -> None:
    ran = LakeRunner(root).run([guard(*filters, rule=rule)])

    assert ID not in ran.hits
    assert why in ran.faults[ID]
