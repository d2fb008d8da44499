"""Numbers for Prometheus, over HTTP on this machine. Imports no Prefect.

Every number has the name that docs/metrics.md has, with ``huntonce_`` before it. A number that
there is nothing to compute from is left out: an alert on its absence can be written, and a 0 would
be a lie.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, Metric, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from huntonce.connectors.intel.taxii_server.settings import is_loopback, names_this_machine
from huntonce.flows.bootstrap import Home
from huntonce.models.errors import ConfigError
from huntonce.models.metrics.measure import Measures, measure
from huntonce.models.report.definitions import DEFINITIONS
from huntonce.models.report.programme import records_of

KEPT_SECONDS = 30.0
"""Numbers are computed at most so often, however often they are asked for."""
REQUEST_SECONDS = 10
"""Longest wait for a piece of a request."""
MOST_AT_ONCE = 16
"""Requests at a time; one more is hung up on."""
PREFIX = "huntonce_"


class Numbers(Collector):
    """The programme's numbers as Prometheus reads them.

    ``read`` gives the numbers and how many rows the transition log has.
    """

    def __init__(
        self,
        read: Callable[[], tuple[Measures, int]],
        *,
        kept: float = KEPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._kept, self._clock = read, kept, clock
        self._lock = threading.Lock()
        self._last: tuple[float, Measures, int] | None = None

    @override
    def collect(self) -> Iterator[Metric]:
        """Every number that has a value, and the open gaps by kind."""
        measures, rows = self._now()
        for name, definition in DEFINITIONS.items():
            value = measures[name]
            if value is not None:
                words = f"{definition.label}. {definition.means}"
                yield GaugeMetricFamily(f"{PREFIX}{name}", words, value=value)
        kinds = GaugeMetricFamily(
            f"{PREFIX}gaps_open_by_kind", "Open gaps by what is wrong.", labels=("kind",)
        )
        for kind, *_, total in measures.tables["gaps_open_by_kind_and_age"].rows:
            kinds.add_metric((str(kind),), float(total or 0))
        yield kinds
        words = "Rows of the transition log; it only grows."
        yield GaugeMetricFamily(f"{PREFIX}log_rows", words, value=rows)

    def describe(self) -> Iterator[Metric]:
        """Nothing is read to register."""
        return iter(())

    def _now(self) -> tuple[Measures, int]:
        with self._lock:
            now = self._clock()
            if self._last is None or now - self._last[0] >= self._kept:
                self._last = (now, *self._read())
            return self._last[1], self._last[2]


def read_home(path: Path) -> tuple[Measures, int]:
    """The numbers of a home up to now, and the rows of its log."""
    home = Home(path=path)
    try:
        with home.store.unit() as unit:
            records = records_of(unit, now=home.clock())
    finally:
        home.close()
    return measure(records), len(records.log)


@contextmanager
def serving_numbers(path: Path, *, host: str, port: int) -> Iterator[str]:
    """Serve a home's numbers until the block ends; the address (port 0: any free one).

    Raises:
        ConfigError: The host is not loopback (there is no login), or the port is taken.
    """
    if not is_loopback(host):
        raise ConfigError(
            f"the numbers would be open to everybody on {host}",
            hint="serve them on 127.0.0.1 and let a proxy with a login stand before them",
        )
    registry = CollectorRegistry()
    registry.register(Numbers(lambda: read_home(path)))
    try:
        server = _server(host, port, registry)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"port {port} for the numbers cannot be used: {error}",
            hint="choose another --metrics-port, or -1 for none",
        ) from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, handler)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread, unless too many are at it."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away or keeps us waiting is no news."""


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def _server(host: str, port: int, registry: CollectorRegistry) -> WSGIServer:
    numbers: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        if names_this_machine(environ.get("HTTP_HOST")):
            return numbers(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"ask for it as 127.0.0.1 or localhost\n"]

    server = _Server((host, port), _Handler)
    server.set_app(app)
    return server
