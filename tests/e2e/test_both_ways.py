"""A hunt started over the Prefect API ends as the same hunt started from the command line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from huntonce.connectors.siem.labfiles import write_lab
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.models.lab.company import LabSpec, build_company
from huntonce.models.report.definitions import DEFINITIONS
from huntonce.models.report.words import valued
from tests.e2e.conftest import Run
from tests.support.serving import Served, serving

pytestmark = pytest.mark.e2e


def _home(folder: Path, events: tuple[Path, ...]) -> Path:
    folder.mkdir()
    load_paths(folder / "lake", events)
    return folder


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    company = build_company(LabSpec(hosts=60, days=14))
    return write_lab(company, tmp_path_factory.mktemp("lab")).paths


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, events: tuple[Path, ...]) -> Iterator[Served]:
    with serving(_home(tmp_path_factory.mktemp("served") / "home", events)) as served:
        yield served


def _ends(huntonce: Run, home: Path) -> dict[str, Any]:
    """What a hunt left in a store, without what names a moment."""
    hunt = huntonce("show", "HUNT-1", "--home", home)[1]
    finding = huntonce("show", "F-1", "--home", home)[1]
    gaps = huntonce("gaps", "--home", home)[1]["gaps"]
    detections = huntonce("detections", "--home", home)[1]["detections"]
    for detection in detections:  # when it was proved, and the seal over that
        del detection["certificate"]["issued_at"], detection["certificate"]["seal"]
    cases = huntonce("cases", "--home", home)[1]["cases"]
    return {
        "hunt": hunt,
        "finding": finding,
        "gaps": gaps,
        "detections": detections,
        "cases": cases,
    }


def test_a_hunt_over_the_api_ends_as_one_from_the_command_line(
    served: Served, events: tuple[Path, ...], tmp_path: Path, huntonce: Run
) -> None:
    other = _home(tmp_path / "home", events)

    state = served.run("hunt", target="T1053.005")
    code, answer, errors = huntonce("hunt", "T1053.005", "--home", other)

    assert state["type"] == "COMPLETED", state
    assert code == 0, errors
    assert answer["verdict"] == "confirmed_malicious"
    assert _ends(huntonce, served.home) == _ends(huntonce, other)


def test_the_pages_ask_the_server_that_they_came_from(served: Served) -> None:
    page = served.api.removesuffix("api")

    asked = httpx.get(f"{page}ui-settings").raise_for_status().json()["api_url"]

    assert urljoin(page, asked) == served.api


def test_the_report_flow_shows_the_numbers_of_the_command_as_artifacts(
    served: Served, huntonce: Run
) -> None:
    state = served.run("report", days=0)
    numbers = huntonce("metrics", "--home", served.home)[1]["metrics"]

    assert state["type"] == "COMPLETED", state
    pages = served.pages()
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", pages["programme"], re.MULTILINE)
    shown = {label.replace("\\", ""): value.replace("\\", "") for label, value in rows}
    settled = [name for name, d in DEFINITIONS.items() if d.unit in {"count", "share", "sum"}]
    assert len(settled) > 20
    assert numbers["gaps_surfaced"] >= 3
    for name in settled:
        assert shown[DEFINITIONS[name].label] == valued(numbers[name], DEFINITIONS[name].unit)
    kinds = json.loads(pages["programme-gaps-open-by-kind-and-age"])
    assert sum(row["all"] for row in kinds) == numbers["gaps_open"]
    assert (served.home / "report" / "index.html").exists()


def test_the_weekly_report_is_on_the_server_and_off_until_somebody_wants_it(
    served: Served,
) -> None:
    (schedule,) = served.deployment("report")["schedules"]

    assert schedule["schedule"]["cron"] == "0 7 * * 1"
    assert schedule["active"] is False


def test_a_wrong_parameter_is_refused_before_the_run(served: Served) -> None:
    deployment = served.deployment("decide-proposal")

    answer = httpx.post(
        f"{served.api}/deployments/{deployment['id']}/create_flow_run",
        json={"parameters": {"proposal": "P-1", "decision": "perhaps", "decided_by": "amy"}},
    )

    assert answer.status_code in {409, 422}


def test_a_hunt_for_nothing_known_fails_with_words(served: Served) -> None:

    state = served.run("hunt", target="T9999")

    assert state["type"] == "FAILED"
    assert "T9999" in state["message"]


def test_the_operator_finds_a_page_for_the_hunt(served: Served) -> None:

    pages = served.pages()

    assert "Verdict" in pages["hunt-1"]
    assert "Queries as sent" in pages["hunt-1"]
