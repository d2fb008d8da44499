"""The demo turns the whole loop twice; what it prints is what the store holds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from huntonce.flows.bootstrap import Home
from tests.e2e.conftest import Run
from tests.integration.sharing.organisations import assert_sound

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def numbers(home: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "huntonce.cli", "demo", "--json", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_all_three_outcomes_come_out(numbers: dict[str, Any]) -> None:
    assert numbers["gaps"] >= 3
    assert numbers["detections"] >= 1
    assert numbers["cases"] == 1
    assert numbers["published"] > 0


def test_the_faulty_object_is_set_aside_and_the_rest_is_taken(numbers: dict[str, Any]) -> None:
    assert numbers["set_aside"] == 1
    assert numbers["intel_objects"] > 50


def test_what_was_published_is_pulled_back(numbers: dict[str, Any]) -> None:
    assert numbers["pulled_back"] == numbers["published"]


def test_every_object_that_left_is_strictly_valid_and_names_no_host(
    numbers: dict[str, Any], home: Path
) -> None:
    opened = Home(path=home)
    with opened.store.unit() as unit:
        sent = unit.publications.list("sent", "already_present")
        hosts = {host for case in unit.cases.list() for host in case.hosts}
    opened.close()

    assert len(sent) == numbers["published"]
    assert_sound(json.loads(p.body) for p in sent)
    assert hosts
    text = " ".join(p.body for p in sent).casefold()
    assert not [host for host in hosts if host.casefold() in text]


def test_the_second_turn_hunts_nothing_twice(numbers: dict[str, Any]) -> None:
    told = [line for s in numbers["stages"] for line in s["lines"]]
    answers = [s["ledger"] for s in numbers["stages"] if s["stage"] == "Hunt once"]

    assert sum(line.startswith("T1053.005 needs") for line in told) == 1
    assert answers == ["covered"]


def test_evidence_closes_the_gap_that_was_mended(numbers: dict[str, Any]) -> None:
    assert numbers["gaps_closed"] == 1


def test_evidence_is_checked_before_the_hunt(numbers: dict[str, Any]) -> None:
    order = [s["stage"] for s in numbers["stages"]]

    assert order.index("Evidence") < order.index("Hunt") < order.index("Outcomes")


def test_the_report_is_there_and_needs_no_network(numbers: dict[str, Any]) -> None:
    page = Path(numbers["report"]).read_text()

    assert "GAP-1" in page
    assert "D-1" in page
    assert "CASE-1" in page
    assert "<script src" not in page
    assert "<link" not in page


def test_the_planted_intrusion_is_found_again_by_the_promoted_rule(
    numbers: dict[str, Any], home: Path, huntonce: Run
) -> None:
    assert numbers["detections"]
    code, answer, _ = huntonce("detections", "--home", home)

    assert code == 0
    for detection in answer["detections"]:
        assert detection["healthy"] is True
        assert detection["certificate"]["fired"] == detection["certificate"]["expected"] > 0


def test_a_home_of_ones_own_is_never_replaced(tmp_path: Path, huntonce: Run) -> None:
    home = tmp_path / "mine"
    assert huntonce("init", "--home", home)[0] == 0

    code, _, errors = huntonce("demo", "--home", home)

    assert code == 2
    assert "home of your own" in errors
    assert (home / "huntonce.toml").exists()
