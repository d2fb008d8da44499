"""Running the TAXII server: on loopback in a thread, or for good."""

import logging
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
import uvicorn

from huntonce.connectors.intel.batch import Intake
from huntonce.connectors.intel.taxii_server.app import create_app
from huntonce.connectors.intel.taxii_server.doors import MOST_CONNECTIONS, PunctualProtocol
from huntonce.connectors.intel.taxii_server.settings import (
    CollectionSpec,
    ServerSettings,
    User,
    is_loopback,
)
from huntonce.connectors.intel.taxii_server.store import TaxiiStore, incoming
from huntonce.models.errors import ConfigError, DomainError, TransientError
from huntonce.models.tlp import Tlp

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_LOG = logging.getLogger(__name__)


class TaxiiServer:
    """A TAXII 2.1 server of this process, on loopback, while the ``with`` block lasts.

    ``with TaxiiServer(users=[User("demo", "...")], collections=[CollectionSpec(id, title)]) as
    server: server.collection_url(id)``.

    Attributes:
        port: The port it listens on, once started.
        api_root_url, discovery_url: Addresses, once started.
    """

    def __init__(
        self,
        *,
        db_url: str = "",
        users: Sequence[User] = (),
        collections: Sequence[CollectionSpec] = (),
        port: int = 0,
        page_limit: int = 1000,
        max_content_length: int = 10 * 1024 * 1024,
        title: str = "Huntonce",
        allow_delete: bool = False,
    ) -> None:
        """See the class; without ``db_url`` the objects go with the server.

        Raises:
            ConfigError: The settings do not fit together.
        """
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.settings = ServerSettings(
            db_url=db_url,
            users=tuple(users),
            collections=tuple(collections),
            port=port,
            page_limit=page_limit,
            max_content_length=max_content_length,
            title=title,
            allow_delete=allow_delete,
        )
        self.port = 0
        self._store: TaxiiStore | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def discovery_url(self) -> str:
        """Where a client starts."""
        return f"http://{self.settings.host}:{self.port}/taxii2/"

    @property
    def api_root_url(self) -> str:
        """The one API root."""
        return f"http://{self.settings.host}:{self.port}/{self.settings.api_root}/"

    def collection_url(self, collection_id: str) -> str:
        """Address of a collection."""
        return f"{self.api_root_url}collections/{collection_id}/"

    def seed(self, collection_id: str, bodies: Iterable[bytes], *, validate: bool = False) -> int:
        """Put objects straight into a collection; returns how many were new.

        Args:
            collection_id: A collection of the settings.
            bodies: JSON of one object each.
            validate: Refuse what the checks refuse. Off, even a faulty object is served, as a
                sloppy server would.

        Raises:
            DomainError: The collection is unknown, a body is no JSON object, or not valid.
        """
        if self._store is None:
            raise DomainError("the TAXII server is not running")
        if collection_id not in {spec.id for spec in self.settings.collections}:
            raise DomainError(f"no collection {collection_id}")
        given = list(bodies)
        if validate:
            _, refused = Intake("seed", Tlp.RED).take(given)
            if refused:
                raise DomainError(f"{refused[0].place}: {refused[0].reason}")
        contents = [orjson.loads(body) for body in given]
        rows = [incoming(one, body) for one, body in zip(contents, given, strict=True)]
        answers = self._store.add(collection_id, rows)
        return sum(not answer.already and not answer.fault for answer in answers)

    def __enter__(self) -> Self:
        if not self.settings.db_url:
            self._folder = tempfile.TemporaryDirectory(prefix="huntonce-taxii-")
            url = f"sqlite:///{Path(self._folder.name) / 'taxii.db'}"
            self.settings = replace(self.settings, db_url=url)
        listener = _bind(self.settings.host, self.settings.port)
        try:
            self._store = TaxiiStore(self.settings.db_url)
        except ConfigError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._server = uvicorn.Server(_config(self.settings, self._store))
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [listener]},
            name="huntonce-taxii",
            daemon=True,
        )
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise TransientError("the TAXII server did not start", connector="taxii-server")
            time.sleep(0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_STOP_SECONDS)
        if self._store is not None:
            self._store.close()
        if self._folder is not None:
            self._folder.cleanup()


def serve(settings: ServerSettings, *, ready: Callable[[str], None] | None = None) -> None:
    """Run a server until it is interrupted (Ctrl-C, SIGTERM).

    Args:
        settings: All of it; ``port`` 0 takes a free one.
        ready: Called once with the discovery address when the port is bound.

    Raises:
        ConfigError: The port is taken, or the database or the certificate cannot be used.
    """
    _check_certificate(settings)
    listener = _bind(settings.host, settings.port)
    try:
        store = TaxiiStore(settings.db_url)
    except ConfigError:
        listener.close()
        raise
    scheme = "https" if settings.tls_certificate else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{scheme}://{host}:{listener.getsockname()[1]}/taxii2/"
    # Whoever is told the address may ask at once.
    listener.listen(MOST_CONNECTIONS)
    _LOG.info("TAXII server on %s", url)
    if not settings.tls_certificate and not is_loopback(settings.host):
        _LOG.warning(
            "passwords reach this server in the clear: set taxii.certificate, or let only a proxy"
            " with TLS reach it"
        )
    if ready is not None:
        ready(settings.public_url or url)
    try:
        uvicorn.Server(_config(settings, store)).run(sockets=[listener])
    finally:
        store.close()


def _config(settings: ServerSettings, store: TaxiiStore) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings, store),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        http=PunctualProtocol,
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )


def _check_certificate(settings: ServerSettings) -> None:
    if not settings.tls_certificate:
        return
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # Without a password of its own OpenSSL would ask on the terminal.
        context.load_cert_chain(settings.tls_certificate, settings.tls_key or None, lambda: "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"the certificate {settings.tls_certificate} cannot be used",
            hint="taxii.certificate and taxii.key are PEM files that belong together, no password",
        ) from error


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off (40 ms an answer) only where the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error}",
            hint="choose another port, or 0 for a free one",
        ) from error
    return listener
