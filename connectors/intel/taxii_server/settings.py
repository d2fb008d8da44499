"""What a TAXII server is told: its users, its collections, its limits."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from huntonce.models.errors import ConfigError

ALL = ("*",)
_PATH = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class User:
    """Someone who may log in.

    Attributes:
        password: In clear, or as ``passwords.hash_password`` wrote it ("scrypt$...").
        read, write: Ids of the collections this user may read and write; "*" for all.
    """

    name: str
    password: str = field(repr=False)
    read: tuple[str, ...] = ALL
    write: tuple[str, ...] = ALL


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """A collection, and what it allows at most, whoever asks.

    Attributes:
        id: A UUID in lower case, as TAXII 2.1 demands.
    """

    id: str
    title: str
    can_read: bool = True
    can_write: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """All of a server's settings.

    Attributes:
        db_url: SQLAlchemy URL; SQLite needs a file.
        users: Who may log in; none = anybody, which only a loopback host allows.
        page_limit: Most objects of one answer.
        max_content_length: Most bytes of one request.
        api_root: First part of the path below which the collections are.
        public_url: The address that clients use, where a proxy stands before the server.
        allow_delete: Offer DELETE of an object (off: withdraw by a revoked version).
        requests_a_minute: Most requests of one user; 0: no limit.
        wrong_logins_a_minute: Most wrong passwords from one address; ten times as many from all
            together. Who logged in before with the right one is let in all the same.
    """

    db_url: str
    users: tuple[User, ...] = ()
    collections: tuple[CollectionSpec, ...] = ()
    host: str = "127.0.0.1"
    port: int = 0
    title: str = "Huntonce"
    page_limit: int = 1000
    max_content_length: int = 10 * 1024 * 1024
    api_root: str = "root"
    public_url: str = ""
    allow_delete: bool = False
    tls_certificate: str = ""
    tls_key: str = ""
    requests_a_minute: int = 6000
    wrong_logins_a_minute: int = 10

    def __post_init__(self) -> None:
        if not self.users and not is_loopback(self.host):
            raise ConfigError(
                f"the TAXII server would be open to everybody on {self.host}",
                hint="name at least one user with a password, or bind it to 127.0.0.1",
            )
        if any(not user.name or ":" in user.name or not user.password for user in self.users):
            raise ConfigError(
                "a TAXII user needs a name without a colon, and a password",
                hint="correct the user in the settings",
            )
        _refuse_doubles("user", (user.name for user in self.users))
        _refuse_doubles("collection", (spec.id for spec in self.collections))
        for spec in self.collections:
            if not _UUID.fullmatch(spec.id):
                raise ConfigError(
                    f"collection id {spec.id!r} is not a UUID in lower case",
                    hint="TAXII 2.1 demands it; make one with: python -m uuid",
                )
        if not _PATH.fullmatch(self.api_root) or self.api_root == "taxii2":
            raise ConfigError(f"api_root {self.api_root!r} cannot be part of an address")
        if self.page_limit < 1 or self.max_content_length < 1:
            raise ConfigError("page_limit and max_content_length must be at least 1")


def is_loopback(host: str) -> bool:
    """Whether a host name or address reaches this machine only."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def names_this_machine(host: str | None) -> bool:
    """Whether a Host header names loopback.

    A page in a browser of this machine can have its own name resolve to 127.0.0.1 and then ask us
    as if we were its server; its requests still carry its name.
    """
    try:
        name = urlsplit(f"//{host or ''}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _refuse_doubles(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"the {what} {name!r} is there twice", hint="remove one")
        seen.add(name)
