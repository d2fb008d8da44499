"""Sigma's ATT&CK tags, of whatever version, against a catalogue."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.sigma.rules import validate_rule
from huntonce.models.attack import Catalogue, load_catalogue
from huntonce.models.attack_tags import check_tags, tag_faults

V18 = load_catalogue()


def catalogue_v19() -> Catalogue:
    """A small ATT&CK as version 19 would be: the tactic is split, T1562.001 became T1685."""

    def technique(technique_id: str, state: str = "active", by: str = "") -> dict[str, Any]:
        return {
            "id": technique_id,
            "stix": f"attack-pattern--{technique_id}",
            "name": technique_id,
            "tactics": ["stealth"],
            "platforms": ["Windows"],
            "state": state,
            "by": by,
        }

    document = {
        "attack": "19.0",
        "tactics": [
            ["TA0005", "stealth", "Stealth"],
            ["TA0112", "defense-impairment", "Defense Impairment"],
        ],
        "techniques": [technique("T1685"), technique("T1562.001", "revoked", "T1685")],
        "groups": [],
        "campaigns": [],
        "software": [],
    }
    tactics = {"stealth": [["defense-evasion", 9]], "defense-impairment": [["defense-evasion", 3]]}
    return Catalogue(document, {"T1685": [["T1562.001", 1]]}, tactics)


@pytest.mark.parametrize(
    "tag",
    ["attack.t1053.005", "attack.T1685", "attack.stealth", "attack.defense-evasion",
     "attack.defense_evasion", "attack.ta0005", "attack.g0016", "attack.s0002", "attack.t1064",
     "attack.persistence", "attack.defense-impairment", "cve.2024-1", "detection.threat-hunting"],
)  # fmt: skip
def test_tags_of_every_version_pass(tag: str) -> None:
    assert tag_faults([tag], V18) == ()


@pytest.mark.parametrize(
    "tag", ["attack.t9999", "attack.t1053.999", "attack.steelth", "attack.ta9999", "attack."]
)
def test_an_invented_tag_is_a_fault_with_its_reason(tag: str) -> None:
    (fault,) = tag_faults([tag], V18)

    assert tag in fault


def test_what_is_of_another_version_is_noted_with_what_it_means() -> None:
    notes = check_tags(["attack.stealth", "attack.t1685", "attack.t1053.005"], V18).notes

    assert len(notes) == 2
    assert "part of defense-evasion" in notes[0]
    assert "T1562.001" in notes[1]


def test_a_newer_catalogue_takes_the_older_tags() -> None:
    newer = catalogue_v19()

    found = check_tags(["attack.defense-evasion", "attack.t1562.001", "attack.stealth"], newer)

    assert found.faults == ()
    assert len(found.notes) == 2
    assert "stealth and defense-impairment" in found.notes[0]
    assert "T1685 stands for it" in found.notes[1]


def test_a_rule_is_checked_against_the_catalogue_where_there_is_one() -> None:
    rule = """
title: A Rule With A Tag That Nobody Knows
id: 0b4cb1f8-9b1e-4c1a-8e6f-2e9f8a3d4c51
status: experimental
description: For a test.
author: us
date: 2026-01-01
tags:
    - attack.t9999
logsource: {category: process_creation, product: windows}
detection:
    sel: {Image: a}
    condition: sel
falsepositives: [none]
level: low
"""

    assert not any("t9999" in fault for fault in validate_rule(rule))
    assert any("T9999" in fault for fault in validate_rule(rule, V18))


@given(st.lists(st.text(max_size=30)))
def test_any_tags_are_answered(tags: list[str]) -> None:
    found = check_tags([*tags, *(f"attack.{tag}" for tag in tags)], V18)

    assert all(isinstance(text, str) for text in (*found.faults, *found.notes))
