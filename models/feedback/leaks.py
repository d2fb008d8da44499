"""Finding internal names and addresses in what is about to leave."""

import base64
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from huntonce.models.errors import DomainError
from huntonce.models.profile import Profile

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
"""RFC 1918 and RFC 4193."""

WELL_KNOWN = frozenset(
    {"", ".", "system", "local service", "network service", "nt authority", "builtin", "workgroup"}
    | {"administrator", "administrators", "guest", "everyone", "users", "anonymous logon"}
    | {"nt service", "window manager", "font driver host", "localhost", "-"}
)
ADDRESS = re.compile(
    r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?|(?:[0-9A-Fa-f]{1,4}:){2}[0-9A-Fa-f:]+)(?![\w.]\w)"
)
DOMAIN_SID = re.compile(r"S-1-5-21(?:-\d+){3,4}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
# Generic private ranges say nothing about us (they stand in many Sigma rules).
GENERIC = frozenset(str(network) for network in PRIVATE_NETWORKS)


@dataclass(frozen=True, slots=True)
class Leaks:
    """Finds internal names and addresses in texts.

    Attributes:
        names: Host names, domains, accounts; matched as whole words, any case.
        networks: Networks whose addresses are internal.
    """

    names: tuple[str, ...] = ()
    networks: tuple[Network, ...] = PRIVATE_NETWORKS

    def find(self, text: str) -> str:
        """The first internal thing named in a text, also inside Base64; "" for none."""
        return next((found for one in _readings(text) for found in self._found(one)), "")

    def is_internal(self, address: str) -> bool:
        """Whether an address, or a network's first address, is internal."""
        try:
            ip = ipaddress.ip_address(address.partition("/")[0])
        except ValueError:
            return False
        return any(ip in network for network in self.networks)

    def _found(self, text: str) -> Iterator[str]:
        if self.names:
            yield from (match[0] for match in words(self.names).finditer(text))
        yield from (match[0] for match in DOMAIN_SID.finditer(text))
        for match in ADDRESS.finditer(text):
            if match[0] not in GENERIC and self.is_internal(match[0]):
                yield match[0]


def leaks(profile: Profile, *, hosts: Iterable[str] = (), accounts: Iterable[str] = ()) -> Leaks:
    r"""What must not be named outside.

    That is the profile's names, networks and assets, and the given hosts and accounts (as
    DOMAIN\name or bare); names that every Windows has are left out.

    Raises:
        DomainError: An internal network of the profile is none.
    """
    names = {*profile.internal_names, *host_names(a.host for a in profile.assets)}
    names |= {*host_names(hosts), *account_names(accounts)}
    try:
        networks = tuple(ipaddress.ip_network(n, strict=False) for n in profile.internal_networks)
    except ValueError as error:
        raise DomainError(
            f"internal network: {error}", hint="write networks like 10.20.0.0/16"
        ) from error
    assets = {a.ip for a in profile.assets if a.ip}
    kept = {name for name in names if name.casefold() not in WELL_KNOWN and len(name) > 1}
    return Leaks(tuple(sorted(kept | assets)), (*PRIVATE_NETWORKS, *networks))


def _readings(text: str) -> Iterator[str]:
    """A text, and what the Base64 in it says: an encoded command hides no name from us."""
    yield text
    for match in _BASE64.finditer(text):
        for start in range(4):  # a path before it may have been taken for its beginning
            yield _decoded(match[0].rstrip("=")[start:])


def _decoded(token: str) -> str:
    data = base64.b64decode(token[: len(token) // 4 * 4])
    return data.decode("utf-16-le" if b"\x00" in data[:8] else "utf-8", "replace")


def words(names: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds any of the names as a whole word, any case."""
    longest_first = sorted(set(names), key=lambda name: (-len(name), name))
    joined = "|".join(re.escape(name) for name in longest_first)
    return re.compile(rf"(?<![A-Za-z0-9])(?:{joined})(?![A-Za-z0-9])", re.IGNORECASE)


def host_names(hosts: Iterable[str]) -> set[str]:
    """The hosts' names as given and without their domain."""
    given = {host for host in hosts if host}
    return given | {host.partition(".")[0] for host in given if not host[0].isdigit()}


def account_names(accounts: Iterable[str]) -> set[str]:
    r"""Every part of DOMAIN\name and name@domain that names someone of ours."""
    names: set[str] = set()
    for account in accounts:
        domain, _, bare = account.rpartition("\\")
        whole = set() if bare.casefold() in WELL_KNOWN else {account}
        names |= {*whole, domain, bare, bare.partition("@")[0]}
    return {name for name in names if name.casefold() not in WELL_KNOWN}
