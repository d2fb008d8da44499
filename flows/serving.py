"""``huntonce serve``: Prefect server, worker and deployments, as children of one command."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

from huntonce.connectors.intel.taxii_server.settings import is_loopback
from huntonce.flows.runtime import PrefectServer, end_group
from huntonce.models.errors import ConfigError, TerminalError

POOL = "huntonce"
POLL_SECONDS = 1.0


def serve(home: Path, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Run until SIGINT or SIGTERM, or until one of the children ends.

    Raises:
        ConfigError: It would be open to everybody.
        TransientError: The server did not come up.
        TerminalError: The deployments could not be registered, or a child ended by itself.
    """
    refuse_open_doors(host)
    server = PrefectServer(home, host=host, port=port, ui=True)
    stop = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stop.set())
    worker: subprocess.Popen[bytes] | None = None
    server.start()
    try:
        server.ready()
        environment = {
            **server.environment(),
            "HUNTONCE_HOME": str(home.absolute()),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }
        register(environment, home)
        worker = _start_worker(environment, home)
        ready(server.ui_url)
        _wait(stop, server, worker)
    finally:
        if worker is not None and worker.poll() is None:
            end_group(worker)
        server.stop()


def refuse_open_doors(host: str) -> None:
    """Prefect has no login of its own: beyond loopback it needs its auth string.

    Raises:
        ConfigError: The host is not loopback and no auth string is set.
    """
    if not is_loopback(host) and not os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        raise ConfigError(
            f"Prefect would be open to everybody on {host}",
            hint="set PREFECT_SERVER_API_AUTH_STRING and PREFECT_API_AUTH_STRING to user:password",
        )


def register(environment: dict[str, str], home: Path) -> None:
    """Create the work pool and register every deployment of prefect.yaml; safe to repeat.

    Raises:
        TerminalError: Prefect refused; says where its words are.
    """
    log = home / "prefect" / "deploy.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with as_file(files("huntonce.content") / "prefect.yaml") as recipe:
        commands = [
            ["work-pool", "create", POOL, "--type", "process", "--overwrite"],
            ["--no-prompt", "deploy", "--all", "--prefect-file", str(recipe)],
        ]
        with log.open("ab") as out:
            for words in commands:
                done = subprocess.run(  # noqa: S603 - our own interpreter and words
                    [sys.executable, "-m", "prefect", *words],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    check=False,
                    cwd=log.parent,
                )
                if done.returncode:
                    raise TerminalError(
                        f"prefect {' '.join(words[:2])} ended with code {done.returncode}",
                        connector="prefect",
                        hint=f"its words are in {log}",
                    )


def _start_worker(environment: dict[str, str], home: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL]
    command += ["--name", "huntonce-worker"]
    with (home / "prefect" / "worker.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait(stop: threading.Event, server: PrefectServer, worker: "subprocess.Popen[bytes]") -> None:
    while not stop.wait(POLL_SECONDS):
        if not server.running():
            raise TerminalError("the Prefect server ended", connector="prefect")
        if worker.poll() is not None:
            raise TerminalError(
                f"the worker ended with code {worker.returncode}", connector="prefect"
            )
