"""What deploy/ says exists: commands, settings, images, variables. (No container runs here.)"""

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from huntonce.cli.main import app
from huntonce.flows.runtime import POOL, QUIET
from huntonce.flows.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OUTSIDE = {"postgres:17"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return read


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(
        (DEPLOY / "kubernetes" / "base-job-template.json").read_text()
    )
    return read


def commands() -> set[str]:
    """Words that may follow ``huntonce``."""
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_services_run_commands_that_exist(compose: dict[str, Any]) -> None:
    scripts = {e.name for e in importlib.metadata.entry_points(group="console_scripts")}
    ours = [s for s in compose["services"].values() if "build" in s]

    assert len(ours) == 3
    for service in ours:
        program = service.get("entrypoint", ["huntonce"])[0]
        assert program in scripts
        if program == "huntonce":
            assert service["command"][0] in commands()
    assert POOL in compose["services"]["worker"]["command"]


def test_images_are_built_here_or_known(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        if "build" not in service:
            assert service["image"] in OUTSIDE
            continue
        folder = (DEPLOY / service["build"]["context"]).resolve()
        assert folder == ROOT
        assert (folder / service["build"]["dockerfile"]).is_file()
    copied = re.findall(r"^COPY (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert all((ROOT / name).exists() for name in copied)


def test_what_is_mounted_and_waited_for_exists(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            found = (
                (DEPLOY / source).is_file() if source[0] == "." else source in compose["volumes"]
            )
            assert found, source
        assert set(service.get("depends_on", ())) <= set(compose["services"])


def test_every_setting_of_the_environment_is_known(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name in service.get("environment", ()):
            if name.startswith("HUNTONCE_") and name != "HUNTONCE_HOME":
                part, setting = name.removeprefix("HUNTONCE_").lower().split("__")
                section = Settings.model_fields[part].annotation
                assert setting in section.model_fields  # type: ignore[union-attr]


def test_the_server_has_a_login_and_tells_nobody(compose: dict[str, Any]) -> None:
    server = compose["services"]["server"]
    environment = server["environment"]

    assert "PREFECT_SERVER_API_AUTH_STRING" in environment
    for name in (
        "PREFECT_SERVER_ANALYTICS_ENABLED",
        "DO_NOT_TRACK",
        "PREFECT_SERVER_UI_V2_ENABLED",
        "PREFECT_SERVER_UI_API_URL",
    ):
        assert environment[name] == QUIET[name]
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])


def test_no_password_is_written_down() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    given = dict(
        line.split("=", 1)
        for line in (DEPLOY / "env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )

    assert asked == set(given)
    assert all("change-me" in value for value in given.values())


def test_the_template_asks_for_what_it_uses(template: dict[str, Any]) -> None:
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    offered = template["variables"]["properties"]

    assert used == set(offered)
    assert all(one.get("title") for one in offered.values())


def test_the_template_keeps_runs_small(template: dict[str, Any]) -> None:
    manifest = template["job_configuration"]["job_manifest"]
    pod = manifest["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert manifest["spec"]["backoffLimit"] == 0, "who runs a hunt again is decided by the ledger"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
