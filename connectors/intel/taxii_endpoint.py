"""A collection of a TAXII 2.1 server: how it is found, and what it allows.

taxii2-client knows the resources of discovery; the requests themselves go through our own HTTP
client, because taxii2-client has no time-outs and hides the headers that a cursor needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from taxii2client.exceptions import TAXIIServiceException
from taxii2client.v21 import ApiRoot, Collection, Server

from huntonce.connectors.http.client import HttpClient, Limits, RequestError
from huntonce.connectors.http.tls import ClientCertificate
from huntonce.models.errors import ConfigError, TerminalError

MEDIA_TYPE = "application/taxii+json;version=2.1"
AUTHORIZATION = "Authorization"
_DEFAULT_MAX_CONTENT = 1024 * 1024  # for servers that do not say


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """What a server says of a collection.

    Attributes:
        url, api_root: Addresses, with a slash at the end.
        max_content_length: Most bytes of one request.
    """

    url: str
    api_root: str
    title: str
    can_read: bool
    can_write: bool
    max_content_length: int


@dataclass(kw_only=True)
class TaxiiEndpoint:
    """Where a collection is and who asks.

    Attributes:
        name: Registered name of the connector.
        collection_url: Address of the collection; or instead
        discovery_url: address of the server's discovery, and
        collection: id, alias or title of the collection there.
        token: Instead of user and password, for servers that log in by a token.
        token_header: Header that the token is sent in; as ``Bearer`` in ``Authorization``, as it
            is in any other.
        verify: Check TLS certificates; or the path of a CA bundle.
        certificate: Ours, for servers that ask for one.
        transport: Instead of the network, in tests.
    """

    name: str
    collection_url: str = ""
    discovery_url: str = ""
    collection: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_header: str = AUTHORIZATION
    verify: bool | str = True
    certificate: ClientCertificate | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)
    transport: httpx.BaseTransport | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if bool(self.collection_url) == bool(self.discovery_url):
            raise ConfigError(
                f"{self.name}: name either the collection's address or the discovery address",
                hint="collection_url = https://host/root/collections/<id>/",
            )
        if self.token and self.username:
            raise ConfigError(
                f"{self.name}: a token or a user name, not both", hint="remove one of them"
            )

    def client(self) -> HttpClient:
        """A client that speaks TAXII 2.1 as this user."""
        headers = {"Accept": MEDIA_TYPE}
        if self.token:
            bearer = self.token_header.casefold() == AUTHORIZATION.casefold()
            # Some servers want another scheme than Bearer: a token with a space brings its own.
            scheme = "Bearer " if bearer and " " not in self.token else ""
            headers[self.token_header] = f"{scheme}{self.token}"
        return HttpClient(
            connector=self.name,
            auth=(self.username, self.password) if self.username else None,
            headers=headers,
            limits=self.limits,
            verify=self.verify,
            certificate=self.certificate,
            transport=self.transport,
        )

    def locate(self, client: HttpClient) -> str:
        """The collection's address, with a slash at the end.

        Raises:
            TerminalError: The server has no such collection, or shows it under another host.
            TransientError: It cannot be reached.
        """
        if self.collection_url:
            return self.collection_url.rstrip("/") + "/"
        wanted = self.collection.casefold()
        seen: list[str] = []
        for root in self._api_roots(client):
            for found in self._ask(
                lambda at=root: ApiRoot(at, conn=_Connection(client)).collections
            ):
                seen.append(str(found.title))
                names = {str(found.id).casefold(), str(found.title).casefold()}
                if wanted in names | {str(found.alias or found.id).casefold()}:
                    return str(found.url)
        raise RequestError(
            f"{self.name}: no collection {self.collection!r} on the server",
            connector=self.name,
            hint=f"it shows: {', '.join(seen[:20]) or 'none'}",
        )

    def info(self, client: HttpClient) -> CollectionInfo:
        """What the server says of the collection; errors as for ``locate``."""
        url = self.locate(client)
        root, mark, _ = url.rpartition("/collections/")
        if not mark:
            raise RequestError(
                f"{self.name}: not a collection's address",
                connector=self.name,
                hint="it ends in /collections/<id>/",
            )
        connection = _Connection(client)
        found = Collection(url, conn=connection)
        self._ask(found.refresh)
        size = self._ask(lambda: ApiRoot(f"{root}/", conn=connection).max_content_length)
        return CollectionInfo(
            url=url,
            api_root=f"{root}/",
            title=str(found.title),
            can_read=found.can_read is True,
            can_write=found.can_write is True,
            max_content_length=size if isinstance(size, int) and size > 0 else _DEFAULT_MAX_CONTENT,
        )

    def _api_roots(self, client: HttpClient) -> list[str]:
        server = Server(self.discovery_url, conn=_Connection(client))
        roots = [
            urljoin(self.discovery_url, root.url) for root in self._ask(lambda: server.api_roots)
        ]
        elsewhere = [root for root in roots if _origin(root) != _origin(self.discovery_url)]
        if elsewhere:
            raise TerminalError(
                f"{self.name}: the server sends us to another host, {_origin(elsewhere[0])[1]}",
                connector=self.name,
                hint="if that is right, give the collection's address instead of the discovery",
            )
        return roots

    def _ask(self, question: Any) -> Any:  # noqa: ANN401 - taxii2-client is untyped
        try:
            return question()
        except (TAXIIServiceException, TypeError, KeyError, AttributeError, ValueError) as error:
            raise TerminalError(
                f"{self.name}: the server's answer is not TAXII 2.1 ({type(error).__name__})",
                connector=self.name,
                hint="check the address; TAXII 2.0 servers are not supported",
            ) from error


class _Connection:
    """What taxii2-client takes for its connection."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def get(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - parsed JSON
        return self._client.get(url, headers=headers, params=params).json()

    def close(self) -> None:
        """Nothing: whoever made the client closes it."""


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
