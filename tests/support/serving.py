"""A served home: ``huntonce serve`` as a child process, and its API as tests ask it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

READY, DONE = 420, 300
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def ask(method: str, url: str, body: Any = None) -> Any:
    """An answer of the API; asked again while its database is busy (503)."""
    for _ in range(20):
        answer = httpx.request(method, url, json=body, timeout=60)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(0.5)
    answer.raise_for_status()
    return answer.json() if answer.content else None


@dataclass(frozen=True)
class Served:
    """A home and the API of the server that serves it."""

    home: Path
    url: str

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def deployment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = ask("GET", f"{self.api}/deployments/name/{name}/{name}")
        return found

    def start(self, name: str, **parameters: Any) -> str:
        """Ask for a run of a deployment; the run's id."""
        address = f"{self.api}/deployments/{self.deployment(name)['id']}/create_flow_run"
        return str(ask("POST", address, {"parameters": parameters})["id"])

    def state(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = ask("GET", f"{self.api}/flow_runs/{run}")["state"]
        return found

    def run(self, name: str, **parameters: Any) -> dict[str, Any]:
        """Run a deployment to its end; the state it ended in."""
        run = self.start(name, **parameters)
        return wait_for(
            lambda: state if (state := self.state(run))["type"] in ENDED else None, f"{name} to end"
        )

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Every run of a deployment, oldest first."""
        wanted = {"deployments": {"name": {"any_": [name]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[dict[str, Any]] = ask("POST", f"{self.api}/flow_runs/filter", wanted)
        return found

    def pages(self) -> dict[str, str]:
        """The newest artifact of every key."""
        found = ask("POST", f"{self.api}/artifacts/latest/filter", {})
        return {artifact["key"]: str(artifact["data"]) for artifact in found if artifact["key"]}


def wait_for(look: Callable[[], Any], what: str, within: float = DONE) -> Any:
    """What ``look`` answers as soon as it is something."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.3)
    pytest.fail(f"waited {within:.0f} s for {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def login_of(login: str) -> dict[str, str]:
    """What a server and its clients have in their environment for a login."""
    names = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")
    return dict.fromkeys(names, login) if login else {}


@contextmanager
def serving(
    home: Path, environment: Mapping[str, str] | None = None, *, login: str = ""
) -> Iterator[Served]:
    """Serve a home until the block ends, behind a login (user:password) where one is given."""
    served = Served(home, f"http://{login}{'@' * bool(login)}127.0.0.1:{free_port()}")
    port = served.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "huntonce.cli", "serve", "--home", str(home)]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    with subprocess.Popen(
        [*command, "--port", port, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean, **login_of(login), **(environment or {})},
    ) as process:

        def answers() -> bool:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            return (home / "prefect" / "api.json").exists()

        try:
            wait_for(answers, "huntonce serve", READY)
            yield served
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
