"""Sigma rules that others sent: where no hunt is written, and beside one; they confirm nothing."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from huntonce.connectors.intel.memory import MemoryDestination
from huntonce.connectors.sigma.received import MAX_RECEIVED, read_rule
from huntonce.models.feedback import Style
from huntonce.models.finding import Disposition
from huntonce.models.hunt import Check
from huntonce.models.hypothesis import HypothesisState, Verdict
from huntonce.models.intel import IntelObject
from huntonce.models.ledger import Answer
from huntonce.models.rules import RULE_FIELDS
from huntonce.models.stages.asking import MOST_RECEIVED, records_for
from huntonce.models.stages.choosing import definition_for, definitions_for, huntable
from huntonce.models.stages.hypothesise import can_hunt, ledger
from huntonce.models.stages.learn import plan_ruled_out
from huntonce.models.stages.operate import carry_out, find_target
from huntonce.models.stages.outlets import Outlet
from huntonce.models.stages.received import received_rules
from huntonce.models.stages.sending import send_publications
from huntonce.models.stages.settle import Settled
from huntonce.models.tlp import Tlp
from huntonce.models.windows import Window
from tests.support.builders import T0, after
from tests.support.kits import AUTO, HOURS, Bench, bench, intrusion, process, quiet_day

DAY = Window(T0, T0 + timedelta(hours=HOURS))
UNWRITTEN, WRITTEN = "T1490", "T1053.005"
THEM = "identity--00000000-0000-4000-8000-000000000002"
RULE = """
title: {title}
id: 11111111-1111-4111-8111-111111111111
status: test
level: high
tags: [attack.{tag}]
logsource: {{product: windows, category: {category}}}
detection:
  selection: {{{field}|contains: '{text}'}}
  condition: selection
"""


def rule(text: str = "shadows", **more: str) -> str:
    parts = {"title": "Theirs", "tag": "t1490", "category": "process_creation"}
    return RULE.format(**{**parts, "field": "CommandLine", "text": text, **more})


def sent(number: int, pattern: str, tlp: Tlp = Tlp.GREEN, **more: Any) -> IntelObject:
    content = {
        "type": "indicator", "spec_version": "2.1", "name": f"Indicator {number}",
        "id": f"indicator--00000000-0000-4000-8000-{number:012}",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        "created_by_ref": THEM, "pattern": pattern, "pattern_type": "sigma",
        "valid_from": "2026-01-01T00:00:00Z", "revoked": False, **more,
    }  # fmt: skip
    return IntelObject(
        id=str(content["id"]), type="indicator", spec_version="2.1",
        version=str(content["modified"]), created_by=str(content["created_by_ref"]),
        revoked=bool(content["revoked"]), tlp=tlp, body=json.dumps(content).encode(),
        content=content,
    )  # fmt: skip


def receive(made: Bench, *items: IntelObject) -> None:
    with made.unit() as unit:
        unit.intel.add(items, feed="shared", at=made.clock())
        unit.commit()


def wiped(folder: Path, line: str = "vssadmin.exe delete shadows") -> Bench:
    return bench(folder, [*quiet_day(), process("PC1", after(hours=3), line)])


def hunt(made: Bench, technique: str = UNWRITTEN) -> Settled:
    made.clock.pass_by(minutes=2)
    return carry_out(made.kit, find_target(made.kit, technique), DAY)[1]


def by_name(settled: Settled) -> Mapping[str, Check]:
    return {check.name: check for check in settled.run.checks}


# ---------------------------------------------------------------- choosing


def test_a_received_rule_is_a_hunt_where_none_is_written(tmp_path: Path) -> None:
    made = wiped(tmp_path)
    assert definition_for(made.kit, UNWRITTEN) is None
    assert not can_hunt(made.kit, UNWRITTEN, "windows")

    receive(made, sent(1, rule()))

    chosen = definition_for(made.kit, UNWRITTEN)
    assert chosen is not None
    assert chosen.name == "rules-t1490"
    assert can_hunt(made.kit, UNWRITTEN, "windows")
    assert UNWRITTEN in huntable(made.kit)


def test_beside_a_written_hunt_the_received_rules_come_second(tmp_path: Path) -> None:
    made = bench(tmp_path)
    (written,) = definitions_for(made.kit, WRITTEN)

    receive(made, sent(1, rule(tag="t1053.005")))

    first, second = definitions_for(made.kit, WRITTEN)
    assert first == written
    assert second.name == "rules-t1053-005"


@pytest.mark.parametrize(
    "changes",
    [
        {"revoked": True},
        {"valid_until": "2026-01-02T00:00:00Z"},
        {"pattern_type": "yara"},
        {"own": True},
        {"alias": True},
    ],
)
def test_what_is_withdrawn_expired_or_ours_is_no_hunt(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    made = wiped(tmp_path)
    kit = made.kit
    if changes.pop("own", False):
        changes = {"created_by_ref": kit.own_identity}
    if changes.pop("alias", False):
        kit = replace(kit, policy=replace(kit.policy, identities=(THEM,)))
    receive(made, sent(1, rule(), **changes))

    assert received_rules(kit, UNWRITTEN) == ()
    assert definition_for(kit, UNWRITTEN) is None


def test_a_rule_without_a_tag_hunts_what_its_indicator_is_about(tmp_path: Path) -> None:
    made = wiped(tmp_path)
    about = [{"source_name": "mitre-attack", "external_id": UNWRITTEN}]

    receive(made, sent(1, rule(tag="impact"), external_references=about))

    assert hunt(made).findings


def test_received_rules_that_change_make_the_ledger_s_answer_stale(tmp_path: Path) -> None:
    made = bench(tmp_path, quiet_day(no_line=(), channel=True))
    target = hunt(made, WRITTEN).hypothesis

    def answer() -> Answer:
        made.clock.pass_by(minutes=2)
        return ledger(made.kit, target, DAY).answer

    assert answer() is not Answer.STALE
    receive(made, sent(1, rule(tag="t1053.005")))
    assert answer() is Answer.STALE
    target = hunt(made, WRITTEN).hypothesis
    assert answer() is not Answer.STALE
    receive(made, sent(2, rule("other", tag="t1053.005")))
    assert answer() is Answer.STALE


# ---------------------------------------------------------------- asking


def test_what_it_matches_is_a_finding_that_names_rule_source_and_marking(tmp_path: Path) -> None:
    made = wiped(tmp_path)
    receive(made, sent(1, rule(), Tlp.AMBER_STRICT))

    settled = hunt(made)

    (found,) = settled.findings
    assert found.state is Disposition.SUSPICIOUS
    assert "Theirs (received from shared, TLP:AMBER+STRICT)" in found.reason
    assert found.details["rule_ids"] == sent(1, "").id
    assert settled.run.verdict is Verdict.INCONCLUSIVE
    assert settled.cases == ()
    check = by_name(settled)[f"received rule: Theirs ({sent(1, '').id})"]
    assert check.executed
    assert check.events == 1
    assert check.query == "\n".join(made.siem.search_rule(rule(), DAY, RULE_FIELDS).queries)


def test_rules_that_cannot_look_are_named_and_their_silence_rules_nothing_out(
    tmp_path: Path,
) -> None:
    made = wiped(tmp_path, "ipconfig.exe")
    receive(
        made,
        sent(1, rule()),
        sent(2, rule(title="Blind", category="image_load", field="ImageLoaded")),
        sent(3, rule(title="Penguin").replace("product: windows", "product: linux")),
        sent(4, f"{rule(title='Twice')}\n---\n{rule(title='Again', text='x')}"),
    )

    settled = hunt(made)

    refused = [check for check in settled.run.checks if not check.executed]
    assert {check.name.split(": ")[1].split(" (")[0] for check in refused} == {
        "Blind", "Penguin", "Twice",
    }  # fmt: skip
    assert all(check.why and not check.complete for check in refused)
    assert settled.run.verdict in {Verdict.INCONCLUSIVE, Verdict.BLOCKED}
    assert settled.hypothesis.hunted == ()


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd",
        "- not\n- a rule",
        "a: &a [x, x]\nb: &b [*a, *a]\n",
        "{" * 50_000,
        "a: " + "[" * 50_000 + "]" * 50_000,
        "- " * 50_000 + "x",
        f"title: {'x' * MAX_RECEIVED}",
        "title: [1]\ntags: {a: b}\ndetection: 7\nlogsource: ''",
        "title: T\ncorrelation: {type: event_count}",
        "\0: x",
    ],
)
def test_hostile_texts_are_faults_and_nothing_else(tmp_path: Path, text: str) -> None:
    assert read_rule(text).fault
    made = wiped(tmp_path)
    about = [{"source_name": "mitre-attack", "external_id": UNWRITTEN}]
    receive(made, sent(1, text, external_references=about))
    checks: list[Check] = []

    chosen = definition_for(made.kit, UNWRITTEN)
    assert chosen is not None
    assert records_for(made.kit, chosen, UNWRITTEN, DAY, checks) == []

    assert [check.executed for check in checks] == [False]


def test_what_one_technique_is_sent_has_an_end(tmp_path: Path) -> None:
    made = wiped(tmp_path)
    bad = "title: T{n}\ntags: [attack.t1490]"
    receive(made, *(sent(n, bad.format(n=n)) for n in range(MOST_RECEIVED + 3)))
    checks: list[Check] = []
    chosen = definition_for(made.kit, UNWRITTEN)
    assert chosen is not None

    records_for(made.kit, chosen, UNWRITTEN, DAY, checks)

    assert len(checks) == MOST_RECEIVED + 1
    assert checks[-1].name == "3 received rules"
    assert not checks[-1].executed


def test_a_siem_that_does_not_answer_is_a_check_that_was_not_made(tmp_path: Path) -> None:
    made = wiped(tmp_path)
    receive(made, sent(1, rule()))
    chosen = definition_for(made.kit, UNWRITTEN)
    assert chosen is not None
    made.siem.time_out = 1
    checks: list[Check] = []

    records_for(made.kit, chosen, UNWRITTEN, DAY, checks)

    (check,) = checks
    assert not check.executed
    assert not check.complete


# ---------------------------------------------------------------- beside a written hunt


def test_a_rule_corroborates_what_the_written_hunt_found_and_marks_its_case(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    alone = hunt(bench(tmp_path / "a", [*quiet_day(), *intrusion()]), WRITTEN)
    made = bench(tmp_path / "b", [*quiet_day(), *intrusion()])
    receive(made, sent(1, rule("-enc", tag="t1053.005"), Tlp.RED))

    settled = hunt(made, WRITTEN)

    assert settled.run.verdict is Verdict.CONFIRMED_MALICIOUS
    evil = [f for f in settled.findings if f.state is Disposition.MALICIOUS]
    (before,) = [f for f in alone.findings if f.state is Disposition.MALICIOUS]
    (after_it,) = evil
    assert after_it.score == before.score
    assert "Theirs agrees, received from shared, TLP:RED" in after_it.reason
    (case,) = settled.cases
    assert case.tlp is Tlp.RED
    assert sent(1, "").id in case.source_ids
    assert alone.cases[0].tlp is not Tlp.RED


def test_a_rule_confirms_nothing_that_the_written_hunt_did_not(tmp_path: Path) -> None:
    made = bench(tmp_path, [*quiet_day(), process("PC1", after(hours=3), "tool.exe -odd")])
    receive(made, sent(1, rule("-odd", tag="t1053.005")))

    settled = hunt(made, WRITTEN)

    assert {f.state for f in settled.findings} == {Disposition.SUSPICIOUS}
    assert settled.run.verdict is Verdict.INCONCLUSIVE
    assert settled.cases == ()
    assert settled.detections == ()


def test_a_stranger_s_rule_that_cannot_look_takes_nothing_from_a_written_hunt(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path, quiet_day(no_line=(), channel=True))
    blind = rule(title="Secret", tag="t1053.005", category="image_load", field="ImageLoaded")
    receive(made, sent(1, blind), sent(2, rule(title="Hush", tag="t1053.005")))

    settled = hunt(made, WRITTEN)

    assert settled.run.verdict is Verdict.RULED_OUT
    assert settled.hypothesis.state is HypothesisState.CONCLUDED
    assert any("Secret" in c.name and not c.executed for c in settled.run.checks)


def test_names_of_received_rules_do_not_leave_with_what_was_ruled_out(tmp_path: Path) -> None:
    made = bench(
        tmp_path, quiet_day(no_line=(), channel=True), approvals={**AUTO, "publish": "auto"}
    )
    receive(made, sent(1, rule(title="Hush", tag="t1053.005"), Tlp.RED))
    settled = hunt(made, WRITTEN)
    assert settled.run.verdict is Verdict.RULED_OUT
    assert any("Hush" in check.name and check.executed for check in settled.run.checks)
    there = MemoryDestination(name="partners")
    outlet = Outlet(destination=there, max_tlp=Tlp.AMBER, style=Style())

    plan_ruled_out(made.kit, settled.run, [outlet])
    assert send_publications(made.kit, [outlet])

    (note,) = [body for body in map(str, there.held.values()) if '"type":"note"' in body]
    assert "1 rules received from others" in note
    assert "Hush" not in note
