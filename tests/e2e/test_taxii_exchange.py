"""A CTI team publishes its own bundle to our TAXII server, and another home pulls it."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huntonce.connectors.intel.demo_intel import demo_intel
from huntonce.flows.exchange import INTEL_COLLECTION
from tests.e2e.conftest import Run

pytestmark = pytest.mark.e2e
USER, PASSWORD = "cti", "a-test-password"


def settings(collection: str, ceiling: str) -> str:
    login = f'url = "{collection}"\nusername = "{USER}"\npassword = "{PASSWORD}"\n'
    return f'[intel.ours]\n{login}\n[publish.ours]\n{login}max_tlp = "{ceiling}"\n'


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("taxii") / "home"
    command = [sys.executable, "-m", "huntonce.cli", "taxii", "serve", "--json"]
    environment = {
        **os.environ,
        "HUNTONCE_TAXII__PORT": "0",
        "HUNTONCE_TAXII__USERNAME": USER,
        "HUNTONCE_TAXII__PASSWORD": PASSWORD,
    }
    with subprocess.Popen(
        [*command, "--home", str(home)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            text = ""
            while not text.rstrip().endswith("}"):
                line = process.stdout.readline()
                assert line, "huntonce taxii serve ended"
                text += line
            discovery: str = json.loads(text)["url"]
            yield discovery.replace("/taxii2/", f"/root/collections/{INTEL_COLLECTION}/")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def home_of(folder: Path, collection: str, ceiling: str = "amber+strict") -> Path:
    folder.mkdir()
    (folder / "huntonce.toml").write_text(settings(collection, ceiling))
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    objects = [json.loads(body) for body in demo_intel()]
    path = tmp_path / "bundle.json"
    path.write_text(
        json.dumps({"type": "bundle", "id": f"bundle--{uuid.uuid4()}", "objects": objects})
    )
    return path


def counts(answer: dict[str, Any]) -> tuple[int, int]:
    return answer["sent"], answer["already_present"]


def test_one_home_publishes_and_another_hunts_for_it(
    collection: str, bundle: Path, tmp_path: Path, huntonce: Run
) -> None:
    ours = home_of(tmp_path / "ours", collection)
    theirs = home_of(tmp_path / "theirs", collection)

    _, shown, _ = huntonce("intel", "publish", bundle, "--dry-run", "--home", ours)
    code, first, errors = huntonce("intel", "publish", bundle, "--home", ours)
    _, second, _ = huntonce("intel", "publish", bundle, "--home", ours)
    pulled_code, pulled, _ = huntonce("intel", "pull", "--home", theirs)
    _, derived, _ = huntonce("hypotheses", "--home", theirs)

    assert code == 0, errors
    would = [p for p in shown["would_send"] if p["state"] == "planned"]
    assert first["sent"] == len(would) > 50
    assert first["skipped_tlp"] > 0  # what is marked TLP:RED stays here
    assert counts(second) == (0, first["sent"])
    assert pulled_code == 0
    assert pulled["new"] == first["sent"]
    assert "T1053.005" in {h["technique"] for h in derived["hypotheses"]}


def test_a_wrong_password_is_a_service_that_cannot_be_reached(
    collection: str, tmp_path: Path, huntonce: Run
) -> None:
    home = home_of(tmp_path / "wrong", collection)
    text = (home / "huntonce.toml").read_text().replace(PASSWORD, "not-the-password")
    (home / "huntonce.toml").write_text(text)

    code, _, errors = huntonce("intel", "pull", "--home", home, as_json=False)

    assert code == 4
    assert "not-the-password" not in errors
    assert "Traceback" not in errors


def test_a_dead_source_keeps_neither_the_live_one_nor_the_loop_from_its_work(
    collection: str, bundle: Path, tmp_path: Path, huntonce: Run
) -> None:
    huntonce("intel", "publish", bundle, "--home", home_of(tmp_path / "writer", collection))
    reader = home_of(tmp_path / "reader", collection)
    # Refused for good, so that the test need not wait for the retries of a server that is down.
    dead = f'\n[intel.dead]\nurl = "{collection.replace(INTEL_COLLECTION, "nope")}"\n'
    (reader / "huntonce.toml").write_text((reader / "huntonce.toml").read_text() + dead)

    code, turned, errors = huntonce("loop", "--home", reader)

    assert code == 4
    assert [(one["feed"], one["fault"]) for one in turned["failed"]] == [("dead", "query")]
    assert turned["intel_new"] > 0
    assert turned["hypotheses"] > 0
    assert "dead" in errors
