"""What we ship: sound by its schema, visible by its evidence, and rules without faults."""

from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from huntonce.connectors.sigma.rules import search_rule, validate_rule
from huntonce.models.analytics.asking import Setting
from huntonce.models.content import check_hunt
from huntonce.models.content_hunts import skeleton
from huntonce.models.detecting import sigma_rule
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import HuntDefinition
from huntonce.models.hunting import evaluate
from huntonce.models.profile import Profile
from huntonce.models.query import SigmaSearch
from tests.support.builders import record
from tests.support.kits import catalogue, library
from tests.support.shared import ROOT

HUNTS = library().hunts


def test_at_least_twenty_are_there_and_none_is_set_aside() -> None:
    assert len(HUNTS) >= 20
    assert library().set_aside == ()
    assert len({hunt.id for hunt in HUNTS}) == len(HUNTS)


@pytest.mark.parametrize("hunt", HUNTS, ids=lambda hunt: hunt.name)
def test_every_hunt_is_sound(hunt: HuntDefinition) -> None:
    assert check_hunt(ROOT / "content" / "hunts" / f"{hunt.name}.yml").name == hunt.name
    assert hunt.evidence in library().evidence
    for technique in hunt.techniques:
        assert catalogue().technique(technique) is not None
    for search in hunt.searches:
        search_rule(
            SigmaSearch(
                name=search.name, logsource=search.logsource, detection=search.detection,
                fields=search.fields,
            )
        )  # fmt: skip


@pytest.mark.parametrize("hunt", HUNTS, ids=lambda hunt: hunt.name)
def test_every_template_is_a_rule_without_faults(hunt: HuntDefinition) -> None:
    for template in hunt.detections:
        rule = sigma_rule(
            template, hunt, tactics=["persistence"], references=(), author="us",
            today=date(2026, 1, 1),
        )  # fmt: skip
        assert validate_rule(rule, catalogue()) == ()


def test_a_misspelt_fact_is_told_with_its_line(tmp_path: Path) -> None:
    text = (files("huntonce.content") / "hunts" / "dcsync.yml").read_text()
    path = tmp_path / "mine.yml"
    path.write_text(text.replace("options: {key: [actor]}", "options: {key: [acttor]}", 1))

    with pytest.raises(ValueError, match=r"analytics/new \(line \d+\): no fact is called 'acttor'"):
        check_hunt(path)


LONG = ("\\users\\" * 600, "\\services\\" * 400, "a^" * 2_000, "'+" * 2_000, "%temp%" * 700)


@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:8])
def test_hostile_values_are_judged_at_once(text: str) -> None:
    """A pattern that backtracks without end would not come back."""
    names = ("command", "value", "path", "tool", "action", "plain", "key", "file", "program")
    one = record(**dict.fromkeys(names, text))

    for hunt in HUNTS:
        evaluate([one], hunt, Setting(profile=Profile(), population=1), date(2026, 1, 1))


@pytest.mark.parametrize("title", ["Scheduled Task/Job: Scheduled Task", "It's: # odd"])
def test_a_new_hunt_is_sound_as_it_stands(tmp_path: Path, title: str) -> None:
    path = tmp_path / "odd-ones.yml"
    path.write_text(skeleton("odd-ones", "T1053.005", title))

    assert check_hunt(path).techniques == ("T1053.005",)


@pytest.mark.parametrize("name", ["Odd", "../x", "a", "odd one", "x" * 80])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(DomainError):
        skeleton(name, "T1053.005", "A task")
