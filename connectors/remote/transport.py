"""The vendors' client libraries over our one HTTP client.

``jira`` and ``thehive4py`` speak through ``requests``. Mounted into their sessions, this adapter
gives them what every connector has: time-outs, bounded bodies, no redirect followed with
credentials, faults translated once, and no retries of their own behind our back.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import requests
from requests.adapters import BaseAdapter
from typing_extensions import override

from huntonce.connectors.http.client import HttpClient, RequestError
from huntonce.models.errors import ConnectorError

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

# Statuses whose body says what is wrong; the library makes its own error of them.
_EXPLAINED = frozenset({400, 401, 403, 404, 409, 422})
_OURS = frozenset({"connection", "accept-encoding", "content-length", "host"})
MAX_WHY = 300


class HttpAdapter(BaseAdapter):
    """Sends the prepared requests of a ``requests`` session."""

    def __init__(self, client: HttpClient) -> None:
        super().__init__()
        self._client = client

    @override
    def send(
        self,
        request: "PreparedRequest",
        stream: bool = False,
        timeout: object = None,
        verify: object = True,
        cert: object = None,
        proxies: Mapping[str, str] | None = None,
    ) -> "Response":
        """The answer; faults are raised as ours, whatever the library would have done."""
        body = request.body
        content = body.encode() if isinstance(body, str) else body
        reply = self._client.request(
            request.method or "GET",
            request.url or "",
            headers={
                name: str(value)
                for name, value in request.headers.items()
                if name.casefold() not in _OURS
            },
            content=content if isinstance(content, bytes) else None,
            accept=_EXPLAINED,
        )
        reply.check_whole()  # the libraries would take it for an answer of another kind
        answer = requests.Response()
        answer.status_code = reply.status
        answer.headers.update(reply.headers)
        answer.headers.pop("Content-Encoding", None)  # it is decoded already
        answer.encoding = "utf-8"
        answer.raw = BytesIO(reply.body)
        answer.request = request
        answer.url = request.url or ""
        return answer

    @override
    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def mount(session: "Session", client: HttpClient) -> None:
    """Let a session speak through our client only; no proxy, netrc or file beside it."""
    session.trust_env = False
    session.adapters.clear()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HttpAdapter(client))


@contextmanager
def faults(connector: str) -> Iterator[None]:
    """Turn what a client library raises into our errors.

    Raises:
        TransientError, TerminalError: As ``HttpClient`` has it.
    """
    try:
        yield
    except ConnectorError:
        raise
    except requests.RequestException as error:
        raise RequestError(
            f"{connector}: {type(error).__name__}",
            connector=connector,
            hint="check the address; redirects are not followed",
        ) from None
    except ValueError as error:  # the libraries let JSON errors through
        raise RequestError(
            f"{connector}: the answer is not what the API documents",
            connector=connector,
            hint="check that the address is the API's and not a web page's",
        ) from error


def why(text: object) -> str:
    """A vendor's words for what was wrong, bounded and on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())[:MAX_WHY]
