"""What deploy/ says exists: commands, settings, images, variables. (No container runs here.)"""

import importlib.metadata
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import prefect.settings
import pytest
import typer.main
import yaml
from sqlalchemy import make_url

from huntonce.cli.main import app
from huntonce.flows import worker
from huntonce.flows.runtime import QUIET
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
        program, *module = service.get("entrypoint", ["huntonce"])
        assert program in scripts or module == ["-m", worker.__name__]
        if program == "huntonce":
            assert service["command"][0] in commands()
    assert worker.options().parse_args(compose["services"]["worker"]["command"]).limit == 4


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


def known(name: str) -> bool:
    """Whether Huntonce or Prefect reads a variable."""
    if name.startswith("PREFECT_"):
        return hasattr(prefect.settings, name)
    if not name.startswith("HUNTONCE_"):
        return name == "DO_NOT_TRACK" or name.startswith("POSTGRES_")
    part, _, setting = name.removeprefix("HUNTONCE_").lower().partition("__")
    section = Settings.model_fields.get(part)
    return name == "HUNTONCE_HOME" or bool(
        section and setting in section.annotation.model_fields  # type: ignore[union-attr]
    )


def test_every_variable_is_one_that_somebody_reads(
    compose: dict[str, Any], template: dict[str, Any]
) -> None:
    offered = template["variables"]["properties"]
    named = {
        *(name for service in compose["services"].values() for name in service["environment"]),
        *offered["env"]["default"],
        *re.findall(r"[A-Z]+(?:_+[A-Z]+)+", offered["secret"]["description"]),
    }

    assert {"HUNTONCE_STORE__URL", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"} <= named
    assert [name for name in named if not known(name)] == []
    assert not known("HUNTONCE_STORE__ADDRESS")
    assert not known("PREFECT_API_ADDRESS")


def test_ports_and_paths_and_databases_agree(
    compose: dict[str, Any], template: dict[str, Any]
) -> None:
    services = compose["services"]
    server, worker = services["server"], services["worker"]
    words = server["command"]
    port = words[words.index("--port") + 1]
    client, own = worker["environment"], server["environment"]

    assert client["PREFECT_API_URL"] == f"http://server:{port}/api"
    assert server["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/api/health" in server["healthcheck"]["test"][-1]
    assert services["register"]["environment"] == client, "what registers hunts in the same home"
    # One login on both sides, one password for all that ask the database.
    assert client["PREFECT_API_AUTH_STRING"] == own["PREFECT_SERVER_API_AUTH_STRING"]
    database = services["postgres"]["environment"]
    ours = make_url(client["HUNTONCE_STORE__URL"])
    theirs = make_url(own["PREFECT_API_DATABASE_CONNECTION_URL"])
    assert {ours.host, theirs.host} == {"postgres"} <= set(services)
    assert {ours.username, theirs.username} == {database["POSTGRES_USER"]}
    assert {ours.password, theirs.password} == {database["POSTGRES_PASSWORD"]}
    assert ours.database == database["POSTGRES_DB"]
    assert f"CREATE DATABASE {theirs.database} " in (DEPLOY / "prefect-database.sql").read_text()
    assert ours.drivername == "postgresql+psycopg"
    assert theirs.drivername == "postgresql+asyncpg"
    home = client["HUNTONCE_HOME"]
    assert f"ENV HUNTONCE_HOME={home}\n" in (DEPLOY / "Dockerfile").read_text()
    assert all(s["volumes"] == [f"home:{home}"] for s in services.values() if "build" in s)
    offered = template["variables"]["properties"]
    pod = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    assert offered["env"]["default"]["HUNTONCE_HOME"] == home
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == home
    assert offered["image"]["default"] == worker["image"]
    (user,) = re.findall(r"--uid (\d+)", (DEPLOY / "Dockerfile").read_text())
    assert pod["securityContext"]["runAsUser"] == int(user)


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


SECRET = re.compile(r"password|secret|token|auth_string|login", re.IGNORECASE)


def in_clear(environment: Mapping[str, Any]) -> list[str]:
    """Variables that hold a secret as it is: neither ``${...}`` alone nor within an address."""
    found = []
    for name, value in environment.items():
        text = str(value)
        part = urlsplit(text).netloc.rpartition("@")[0].partition(":")[2]
        secret = part or (text if SECRET.search(name) else "")
        if secret and not re.fullmatch(r"\$\{\w+:\?[^}]*\}", secret):
            found.append(name)
    return found


def test_no_password_is_written_down(compose: dict[str, Any], template: dict[str, Any]) -> None:
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    given = dict(
        line.split("=", 1)
        for line in (DEPLOY / "env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )

    assert asked == set(given)
    assert all("change-me" in value for value in given.values())
    for service in compose["services"].values():
        assert in_clear(service["environment"]) == []
    assert in_clear(template["variables"]["properties"]["env"]["default"]) == []
    assert in_clear({"A_URL": "db://us:pw@host/x", "A_TOKEN": "t", "A_FLAG": "1"}) == [
        "A_URL",
        "A_TOKEN",
    ]


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
