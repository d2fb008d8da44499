"""What SigmaHQ's own validators say of the rules that hunts give, offline."""

from collections.abc import Iterator
from datetime import date
from types import SimpleNamespace

import pytest
from sigma.collection import SigmaCollection
from sigma.rule import SigmaRule
from sigma.validation import SigmaValidator
from sigma.validators.core import validators as core

from huntonce.models.detecting import as_yaml, sigma_rule, with_status
from huntonce.models.huntdef import DetectionTemplate, HuntDefinition
from tests.support.kits import catalogue, library

OFF = {
    "attacktag": "would download ATT&CK; tags are checked against our catalogue instead",
    "d3_fendtag": "would download D3FEND",
    "sigmahq_filename_convention": "our files are named by the rule's UUID, see the rule folder",
    "sigmahq_filename_prefix": "the same",
    "sigmahq_correlation_filename_prefix": "the same",
    "sigmahq_github_link": "a link of the hunt's author, which is not ours to change",
    "sigmahq_status": "looks at the folder that a file lies in",
    "sigmahq_tags_detection": "the same",
}
"""Validators that are not run, each with the reason."""

TEMPLATES = [(hunt, one) for hunt in library().hunts for one in hunt.detections]


@pytest.fixture(scope="module")
def validator() -> Iterator[SigmaValidator]:
    """Every validator but those above; SigmaHQ's lists come with the package."""
    with pytest.MonkeyPatch.context() as patch:
        import requests  # noqa: PLC0415 - a dependency of the validators only

        def offline(*_: object, **__: object) -> None:
            raise OSError("no network in tests")

        patch.setattr(requests, "get", offline)
        from sigma.validators.sigmahq import tags  # noqa: PLC0415
        from sigma.validators.sigmahq import validators as theirs  # noqa: PLC0415

        known = {id_: catalogue().technique(id_) for hunt in library().hunts
                 for id_ in hunt.techniques}  # fmt: skip
        tactics = {id_: list(one.tactics) for id_, one in known.items() if one is not None}
        # pySigma would download this table; ours is of the same ATT&CK.
        ours = SimpleNamespace(mitre_attack_techniques_tactics_mapping=tactics)
        patch.setattr(tags, "_mitre_attack", ours)

        every = {**core, **theirs}
        yield SigmaValidator({one for name, one in every.items() if name not in OFF})


def rule_of(hunt: HuntDefinition, one: DetectionTemplate) -> str:
    return sigma_rule(
        one,
        hunt,
        tactics=catalogue().tactics_of(hunt.techniques),
        references=("https://example.org/report",),
        author="Huntonce",
        today=date(2026, 3, 2),
    )


@pytest.mark.parametrize(("hunt", "one"), TEMPLATES, ids=[one.name for _, one in TEMPLATES])
def test_sigmahq_s_validators_find_nothing_in_a_hunt_s_rule(
    validator: SigmaValidator, hunt: HuntDefinition, one: DetectionTemplate
) -> None:
    (rule,) = SigmaCollection.from_yaml(rule_of(hunt, one)).rules
    assert isinstance(rule, SigmaRule)

    issues = [f"{type(i).__name__}: {i.description}" for i in validator.validate_rule(rule)]

    assert issues == []


def test_a_rule_is_laid_out_as_sigmahq_lays_it_out() -> None:
    text = rule_of(*next(both for both in TEMPLATES if both[0].techniques[0] == "T1053.005"))

    keys = [line.partition(":")[0] for line in text.splitlines() if line[0] not in " -"]
    assert keys == ["title", "id", "status", "description", "references", "author", "date", "tags",
                    "logsource", "detection", "falsepositives", "level"]  # fmt: skip
    assert "date: 2026-03-02" in text
    assert "\n    - attack." in text
    assert "attack.mitre.org" not in text
    assert "            - 'S-1-5-21-'" in text


def test_a_new_status_changes_two_lines_and_no_more() -> None:
    before = rule_of(*TEMPLATES[0])

    after = with_status(before, "test", date(2026, 4, 1))
    again = with_status(after, "stable", date(2026, 5, 1))

    gone = set(before.splitlines()) - set(after.splitlines())
    fresh = set(after.splitlines()) - set(before.splitlines())
    assert gone == {"status: experimental"}
    assert fresh == {"status: test", "modified: 2026-04-01"}
    assert again.count("modified:") == 1


def test_text_from_intel_cannot_break_out_of_a_rule() -> None:
    text = as_yaml({"title": "a: b\n- c", "references": ["x'\nid: 1", "#no", "{a}"]})

    import yaml  # noqa: PLC0415 - the one use

    assert yaml.safe_load(text) == {"title": "a: b\n- c", "references": ["x'\nid: 1", "#no", "{a}"]}
