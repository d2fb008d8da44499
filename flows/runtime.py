"""How Prefect runs here: quiet, on loopback, nothing sent home; and what may be retried."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from huntonce.models.errors import ConnectorError, TransientError

QUIET: Mapping[str, str] = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    # The second UI calls an analytics service even with analytics off.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # Else the pages ask port 4200, whatever port they came from.
    "PREFECT_SERVER_UI_API_URL": "/api",
    # SQLite keeps up with bursts of task runs only when it may write them in batches.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}
TRACES = "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY"
"""Prefect's switch for spans of flow and task runs; they go where OpenTelemetry is told."""
POOL = "huntonce"
"""Name of the work pool."""
READY_WITHIN = 180.0
STOP_WITHIN = 15.0


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def quiet() -> dict[str, str]:
    """``QUIET``, but with spans of the runs where the environment names an exporter for them."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().casefold()
    return {**QUIET, TRACES: "false" if exporter in {"", "none"} else "true"}


class PrefectServer:
    """A Prefect server of our own, as a child process with its data in a home.

    ``start`` returns at once, since the server takes ten seconds to come up; ``ready`` waits.
    """

    def __init__(
        self, home: Path, *, host: str = "127.0.0.1", port: int = 0, ui: bool = False
    ) -> None:
        self.home = home
        self.host = host
        self.port = port or free_port()
        self.ui = ui
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api_url(self) -> str:
        """Address of its API."""
        return f"http://{self.host}:{self.port}/api"

    @property
    def ui_url(self) -> str:
        """Address of its pages."""
        return f"http://{self.host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """The environment in which flows talk to this server."""
        return {
            **os.environ,
            **quiet(),
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        }

    def start(self) -> None:
        """Start the process; its log is prefect/server.log in the home."""
        folder = self.home / "prefect"
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "prefect", "server", "start"]
        command += ["--host", self.host, "--port", str(self.port)]
        if not self.ui:
            command.append("--no-ui")
        environment = self.environment()
        environment.pop("PREFECT_API_URL")
        with (folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self, within: float = READY_WITHIN) -> None:
        """Wait until the API answers.

        Raises:
            TransientError: It did not come up, or ended.
        """
        log = self.home / "prefect" / "server.log"
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise TransientError(
                    f"the Prefect server ended with code {self._process.returncode}",
                    connector="prefect",
                    hint=f"its log is {log}",
                )
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.api_url}/health", timeout=2).is_success:
                    return
            time.sleep(0.1)
        raise TransientError(
            f"the Prefect server did not answer within {within:.0f} s",
            connector="prefect",
            hint=f"its log is {log}",
        )

    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the process and all that it started."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        end_group(process)


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process group to end, and make it end if it does not."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def prefect_server(home: Path) -> Iterator[PrefectServer]:
    """A server that comes up while the block goes on; ``attach`` when flows are to run."""
    server = PrefectServer(home)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def attach(server: PrefectServer) -> None:
    """Make this process's flows talk to a server; to be called before Prefect is imported."""
    server.ready()
    for name, value in server.environment().items():
        os.environ[name] = value
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_LOGGING_TO_API_ENABLED", "false")


def token() -> str:
    """A fresh secret for a loopback service of the demo."""
    return secrets.token_urlsafe(24)


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help."""
    return isinstance(error, TransientError) and isinstance(error, ConnectorError)
