"""A hunt started over the Prefect API ends as the same hunt started from the command line."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from huntonce.connectors.siem.labfiles import write_lab
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.models.lab.company import LabSpec, build_company
from tests.e2e.conftest import Run

pytestmark = pytest.mark.e2e
READY, DONE = 150, 150


def _home(folder: Path, events: tuple[Path, ...]) -> Path:
    folder.mkdir()
    load_paths(folder / "lake", events)
    return folder


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    company = build_company(LabSpec(hosts=60, days=14))
    return write_lab(company, tmp_path_factory.mktemp("lab")).paths


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, events: tuple[Path, ...]
) -> Iterator[tuple[Path, str]]:
    home = _home(tmp_path_factory.mktemp("served") / "home", events)
    port = _free_port()
    command = [sys.executable, "-m", "huntonce.cli", "serve", "--home", str(home)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    with subprocess.Popen(
        [*command, "--port", str(port), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            _until_deployed(f"http://127.0.0.1:{port}/api", process)
            yield home, f"http://127.0.0.1:{port}/api"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_deployed(api: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            if httpx.get(f"{api}/deployments/name/report/report", timeout=2).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    pytest.fail("huntonce serve did not come up")


def _run(api: str, name: str, **parameters: Any) -> dict[str, Any]:
    deployment = httpx.get(f"{api}/deployments/name/{name}/{name}").json()
    body = {"parameters": parameters}
    run = httpx.post(f"{api}/deployments/{deployment['id']}/create_flow_run", json=body).json()
    deadline = time.monotonic() + DONE
    while time.monotonic() < deadline:
        state: dict[str, Any] = httpx.get(f"{api}/flow_runs/{run['id']}").json()["state"]
        if state["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            return state
        time.sleep(0.5)
    pytest.fail(f"{name} did not end: {state}")


def _ends(huntonce: Run, home: Path) -> dict[str, Any]:
    """What a hunt left in a store, without what names a moment."""
    hunt = huntonce("show", "HUNT-1", "--home", home)[1]
    finding = huntonce("show", "F-1", "--home", home)[1]
    gaps = huntonce("gaps", "--home", home)[1]["gaps"]
    detections = huntonce("detections", "--home", home)[1]["detections"]
    cases = huntonce("cases", "--home", home)[1]["cases"]
    return {
        "hunt": hunt,
        "finding": finding,
        "gaps": gaps,
        "detections": detections,
        "cases": cases,
    }


def test_a_hunt_over_the_api_ends_as_one_from_the_command_line(
    served: tuple[Path, str], events: tuple[Path, ...], tmp_path: Path, huntonce: Run
) -> None:
    home, api = served
    other = _home(tmp_path / "home", events)

    state = _run(api, "hunt", target="T1053.005")
    code, answer, errors = huntonce("hunt", "T1053.005", "--home", other)

    assert state["type"] == "COMPLETED", state
    assert code == 0, errors
    assert answer["verdict"] == "confirmed_malicious"
    assert _ends(huntonce, home) == _ends(huntonce, other)


def test_the_pages_ask_the_server_that_they_came_from(served: tuple[Path, str]) -> None:
    _, api = served
    page = api.removesuffix("api")

    asked = httpx.get(f"{page}ui-settings").raise_for_status().json()["api_url"]

    assert urljoin(page, asked) == api


def test_a_wrong_parameter_is_refused_before_the_run(served: tuple[Path, str]) -> None:
    _, api = served
    deployment = httpx.get(f"{api}/deployments/name/decide-proposal/decide-proposal").json()

    answer = httpx.post(
        f"{api}/deployments/{deployment['id']}/create_flow_run",
        json={"parameters": {"proposal": "P-1", "decision": "perhaps", "decided_by": "amy"}},
    )

    assert answer.status_code in {409, 422}


def test_a_hunt_for_nothing_known_fails_with_words(served: tuple[Path, str]) -> None:
    _, api = served

    state = _run(api, "hunt", target="T9999")

    assert state["type"] == "FAILED"
    assert "T9999" in state["message"]


def test_the_operator_finds_a_page_for_the_hunt(served: tuple[Path, str]) -> None:
    _, api = served

    found = httpx.post(f"{api}/artifacts/latest/filter", json={}).json()

    pages = {artifact["key"]: artifact["data"] for artifact in found if artifact["key"]}
    assert "Verdict" in pages["hunt-1"]
    assert "Queries as sent" in pages["hunt-1"]
