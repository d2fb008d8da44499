import pytest

from huntonce.connectors.sigma.rules import MAX_RULE_TEXT, parse_rule, parse_rules, validate_rule
from huntonce.models.errors import DomainError

RULE = """
title: Scheduled Task From A User Folder
id: 5013198d-1f6e-4b6e-8a3c-0123456789ab
status: experimental
description: A task runs a program from a folder that users can write to.
author: A. Hunter
date: 2026-01-02
tags:
    - attack.persistence
    - attack.t1053.005
logsource:
    product: windows
    service: security
detection:
    selection:
        EventID: 4698
    condition: selection
falsepositives:
    - Updaters
level: medium
"""
FILTER = """
title: Our Updater
logsource:
    product: windows
    service: security
filter:
    rules:
        - 5013198d-1f6e-4b6e-8a3c-0123456789ab
    known:
        TaskName: Updater
    condition: not known
"""


def test_a_sound_rule_has_no_faults() -> None:
    assert validate_rule(RULE) == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("condition: selection", "condition: selecton", "selecton"),
        ("attack.t1053.005", "attack.t10x3", "attack.t10x3"),
        ("service: security", "service: securiti", "securiti"),
        ("title: Scheduled", "title: [", "YAML"),
        ("level: medium", "level: huge", "huge"),
    ],
)
def test_a_fault_is_named(old: str, new: str, said: str) -> None:
    assert said.lower() in " ".join(validate_rule(RULE.replace(old, new))).lower()


def test_an_empty_text_is_a_fault() -> None:
    assert validate_rule("") == ("it holds no rule",)


def test_a_fault_says_which_rule_and_file_it_is_in() -> None:
    rules, faults = parse_rules(RULE.replace("level: medium", "level: huge"), source="a.yml")

    assert not rules
    assert (faults[0].source, faults[0].title) == ("a.yml", "Scheduled Task From A User Folder")
    assert faults[0].rule_id == "5013198d-1f6e-4b6e-8a3c-0123456789ab"


def test_a_filter_beside_the_rule_is_applied() -> None:
    rule = parse_rule(f"{RULE}---{FILTER}")

    assert any("not" in condition for condition in rule.detection.condition)


def test_two_rules_are_not_one() -> None:
    with pytest.raises(DomainError, match="found 2"):
        parse_rule(f"{RULE}---{RULE.replace('5013198d', '6013198d')}")


def test_a_correlation_rule_is_a_fault_and_its_neighbour_is_kept() -> None:
    correlation = "title: Many\ncorrelation: {type: event_count, rules: [x], timespan: 5m}"

    rules, faults = parse_rules(f"{RULE}---\n{correlation}")

    assert len(rules) == 1
    assert faults[0].title == "Many"


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000])
def test_nesting_without_end_is_refused(text: str) -> None:
    assert "nested deeper" in validate_rule(text)[0]


def test_an_alias_bomb_is_refused() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )

    assert "more than" in validate_rule(bomb)[0]


@pytest.mark.parametrize("text", ["x" * (MAX_RULE_TEXT + 1), "- a\n- b", "[" * 5000, "\x00", "1"])
def test_what_is_no_rule_is_a_fault_and_no_crash(text: str) -> None:
    assert validate_rule(text)
