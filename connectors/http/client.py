"""The one HTTP client under every connector.

Time-outs everywhere, bodies bounded, no redirects followed with credentials, and every fault
translated once into ``TransientError`` or ``TerminalError``. Messages name the method, the host
and the path, never the query, the credentials or the body.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from huntonce.connectors.http.tls import (
    ClientCertificate,
    connection_hint,
    is_certificate,
    tls_context,
)
from huntonce.models.errors import TerminalError, TransientError

MAX_BODY = 64 * 1024 * 1024
MAX_RETRY_AFTER = 3600.0
_LOG = logging.getLogger(__name__)
# A proxy from the environment is right for the world and wrong for this machine.
_DIRECT = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_HINTS = {
    400: "the server did not understand the request; check its version and the settings",
    401: "check the user name and the password or token",
    403: "the account lacks the right for this; ask the system's owner",
    404: "check the address; some servers also answer so where the account has no right to see it",
    406: "the server does not speak the version of the protocol that was asked for",
    413: "the server takes less at once; lower the batch size",
    415: "the server does not take this media type; check its version",
    422: "the server could not process the content",
}
_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504})


class RequestError(TerminalError):
    """The other side works, and does not do what we ask: our request or our settings are wrong.

    Attributes:
        fault: Whose fault it is, as ``models.intel.Fault`` has it.
        status: HTTP status; 0 where no answer came.
    """

    fault = "query"

    def __init__(self, message: str, *, connector: str, hint: str = "", status: int = 0) -> None:
        super().__init__(message, connector=connector, hint=hint)
        self.status = status


class TooLargeError(RequestError):
    """The answer is larger than was agreed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer with its whole body read.

    Attributes:
        headers: Case-insensitive.
        where: Method, host and path, for messages.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    connector: str
    where: str

    def json(self) -> Any:  # noqa: ANN401 - whatever JSON the other side sent
        """The body, parsed.

        Raises:
            TransientError: It broke off.
            TerminalError: It is not JSON.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            self.check_whole()
            raise TerminalError(
                f"{self.where}: the answer is not JSON",
                connector=self.connector,
                hint="check that the address is the API's and not a web page's",
            ) from error

    def check_whole(self) -> None:
        """Tell a JSON that was cut from one that is whole, and from a web page.

        Raises:
            TransientError: The body begins as JSON and does not end as such.
        """
        if self.body.lstrip()[:1] in {b"{", b"["} and self.body.rstrip()[-1:] not in {b"}", b"]"}:
            raise TransientError(
                f"{self.where}: the answer broke off",
                connector=self.connector,
                hint="ask again; a server or proxy between may be in trouble",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long to wait and how much to read.

    Attributes:
        connect, read: Seconds; read is the longest pause between two pieces of an answer.
        whole: Seconds in which the whole body must have come, however small its pieces.
        max_body: Bytes of one answer, after decompression.
    """

    connect: float = 10.0
    read: float = 60.0
    whole: float = 900.0
    max_body: int = MAX_BODY


@dataclass(slots=True)
class HttpClient:
    """A client for one external system.

    Attributes:
        connector: Registered name, for errors.
        base_url: Prefix of the relative addresses that ``request`` is given.
        auth: User name and password for HTTP basic authentication.
        headers: Sent with every request (tokens belong here, not into addresses).
        verify: Check TLS certificates; or the path of a CA bundle.
        certificate: Our own, for servers that ask for one.
        transport: Instead of the network, in tests.
    """

    connector: str
    base_url: str = ""
    auth: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    limits: Limits = field(default_factory=Limits)
    verify: bool | str = True
    certificate: ClientCertificate | None = field(default=None, repr=False)
    transport: httpx.BaseTransport | None = field(default=None, repr=False)
    _client: httpx.Client | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> Reply:
        """``request`` with GET."""
        return self.request("GET", url, params=params, headers=headers, accept=accept)

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> Reply:
        """The answer, if its status is 2xx or one of ``accept``.

        Raises:
            TransientError: No connection, a time-out, 408, 425, 429 or 5xx; ``retry_after`` is
                what the server asked for.
            RequestError: Any other status, a redirect, a body that is too large, an address
                that is none.
            TerminalError: A certificate that is not trusted.
            ConfigError: The CA bundle or our own certificate cannot be read.
        """
        client = self._open()
        where = method  # the address as given may hold credentials
        try:
            request = client.build_request(
                method, url, params=params, headers=headers, content=content
            )
            where = f"{method} {request.url.host}{request.url.path}"
            response = client.send(request, stream=True)
            try:
                body = self._body(response, where)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._transport_error(error, where) from _without_secrets(error)
        _LOG.debug("%s: %d, %d bytes", where, response.status_code, len(body))
        if not response.is_success and response.status_code not in accept:
            raise self._status_error(response, where)
        return Reply(
            status=response.status_code,
            headers=response.headers,
            body=body,
            connector=self.connector,
            where=where,
        )

    def _open(self) -> httpx.Client:
        if self._client is None:
            tls = tls_context(self.verify, self.certificate)
            self._client = httpx.Client(
                base_url=self.base_url,
                auth=self.auth,
                headers={"User-Agent": "huntonce", **self.headers},
                timeout=httpx.Timeout(self.limits.read, connect=self.limits.connect),
                follow_redirects=False,
                verify=tls,
                transport=self.transport,
                mounts=None
                if self.transport
                else {mount: httpx.HTTPTransport(verify=tls) for mount in _DIRECT},
            )
        return self._client

    def _body(self, response: httpx.Response, where: str) -> bytes:
        parts, size = [], 0
        until = time.monotonic() + self.limits.whole
        for part in response.iter_bytes():
            if time.monotonic() > until:
                raise httpx.ReadTimeout("it drips")
            size += len(part)
            if size > self.limits.max_body:
                raise TooLargeError(
                    f"{where}: the answer is larger than {self.limits.max_body} bytes",
                    connector=self.connector,
                    hint="ask for less at once (page size), or raise the limit",
                )
            parts.append(part)
        return b"".join(parts)

    def _status_error(self, response: httpx.Response, where: str) -> TransientError | TerminalError:
        status = response.status_code
        message = f"{where}: {status} {response.reason_phrase}".rstrip()
        if status in _RETRY:
            return TransientError(
                message,
                connector=self.connector,
                hint="the server is busy or failing; it is tried again",
                retry_after=retry_after(response.headers.get("Retry-After")),
            )
        if response.is_redirect:
            hint = "the address has moved; redirects are not followed, set the new address"
            return RequestError(message, connector=self.connector, hint=hint, status=status)
        return RequestError(
            message, connector=self.connector, hint=_HINTS.get(status, ""), status=status
        )

    def _transport_error(self, error: Exception, where: str) -> TransientError | TerminalError:
        if isinstance(error, httpx.DecodingError):
            reason = f"{where}: the answer's compression is broken"
            return TransientError(reason, connector=self.connector)
        if is_certificate(error):
            hint = "trust the server's CA in the settings, or mend its certificate"
            reason = f"{where}: the server's certificate is not trusted"
            return TerminalError(reason, connector=self.connector, hint=hint)
        if isinstance(error, httpx.TransportError) and not isinstance(
            error, httpx.UnsupportedProtocol
        ):
            slow = isinstance(error, httpx.TimeoutException)
            what = "no answer in time" if slow else f"no connection ({type(error).__name__})"
            return TransientError(
                f"{where}: {what}", connector=self.connector, hint=connection_hint(error)
            )
        return RequestError(
            f"{where}: not an address that can be asked",
            connector=self.connector,
            hint="an address starts with https:// or http://",
        )


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (a number or a date); None where it says nothing.

    Never negative and never above ``MAX_RETRY_AFTER``.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER)
    try:
        when = parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _without_secrets(error: Exception) -> Exception | None:
    """Httpx puts the whole address, query included, into the text of some errors."""
    return error if isinstance(error, httpx.TransportError) else None
