"""``huntonce serve``: Prefect server, worker and deployments, as children of one command."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path

from huntonce.connectors.intel.taxii_server.settings import is_loopback
from huntonce.flows.runtime import PrefectServer, end_group
from huntonce.flows.signals import leave_address
from huntonce.models.errors import ConfigError, TerminalError

POLL_SECONDS = 1.0


def serve(
    home: Path,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    siems: Sequence[str] = ("lake",),
    runs: int = 4,
) -> None:
    """Run until SIGINT or SIGTERM, or until one of the children ends.

    ``runs``: how many flow runs the worker carries at a time.

    Raises:
        ConfigError: It would be open to everybody.
        TransientError: The server did not come up.
        TerminalError: The deployments could not be registered, or a child ended by itself.
    """
    refuse_open_doors(host)
    server = PrefectServer(home, host=host, port=port, ui=True)
    stop = threading.Event()
    started = False

    def end(*_: object) -> None:
        stop.set()
        if not started:  # nothing looks at the event yet, and starting may take minutes
            raise KeyboardInterrupt

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, end)
    worker: subprocess.Popen[bytes] | None = None
    address: Path | None = None
    server.start()
    try:
        server.ready()
        environment = {
            **server.environment(),
            "HUNTONCE_HOME": str(home.absolute()),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        }
        register(environment, home, siems)
        address = leave_address(home, server.api_url)
        worker = _start_worker(environment, home, runs)
        started = True
        ready(server.ui_url)
        _wait(stop, server, worker)
    finally:
        if address is not None:
            address.unlink(missing_ok=True)
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


def register(environment: dict[str, str], home: Path, siems: Sequence[str]) -> None:
    """Register pool, limits, block types and every deployment of prefect.yaml; safe to repeat.

    Raises:
        TerminalError: Prefect refused; says where its words are.
    """
    log = home / "prefect" / "deploy.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with as_file(files("huntonce.content") / "prefect.yaml") as recipe, log.open("ab") as out:
        done = subprocess.run(  # noqa: S603 - our own interpreter and words
            [sys.executable, "-m", "huntonce.flows.registering", str(recipe), *siems],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            check=False,
            cwd=log.parent,
        )
    if done.returncode:
        raise TerminalError(
            f"Prefect refused the deployments (code {done.returncode})",
            connector="prefect",
            hint=f"its words are in {log}",
        )


def _start_worker(environment: dict[str, str], home: Path, runs: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "huntonce.flows.worker"]
    command += ["--name", "huntonce-worker", "--limit", str(runs)]
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
