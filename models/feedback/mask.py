"""Pseudonyms for what must not be named: keyed, stable, and without the key not to be undone."""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from huntonce.models.errors import DomainError
from huntonce.models.feedback.leaks import (
    ADDRESS,
    DOMAIN_SID,
    GENERIC,
    WELL_KNOWN,
    Leaks,
    account_names,
    host_names,
    words,
)

_MIN_KEY = 16
_PSEUDONYM = re.compile(r"\b(?:host|user|ip|internal|domain|sid)-[0-9a-f]{10}\b")


@dataclass(frozen=True, slots=True)
class Mask:
    """Pseudonyms under one key: the same name always gets the same one.

    Attributes:
        hosts, accounts: What ``text`` replaces, besides internal addresses and domain SIDs.
    """

    key: bytes = field(repr=False)
    hosts: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    leaks: Leaks = field(default_factory=Leaks)

    def __post_init__(self) -> None:
        if len(self.key) < _MIN_KEY:
            raise DomainError(
                f"a masking key needs {_MIN_KEY} bytes",
                hint="python -c 'import secrets; print(secrets.token_hex(32))'",
            )

    def host(self, name: str) -> str:
        """A host's pseudonym; short and full name have the same one."""
        return self._name("host", name.casefold().partition(".")[0])

    def user(self, account: str) -> str:
        """An account's pseudonym, with or without its domain; well-known accounts stay."""
        bare = account.rsplit("\\", 1)[-1].partition("@")[0]
        if bare.casefold() in WELL_KNOWN:
            return bare
        return self._name("user", bare.casefold())

    def address(self, address: str) -> str:
        """An internal address's pseudonym; others stay."""
        return self._name("ip", address) if self.leaks.is_internal(address) else address

    def text(self, text: str) -> str:
        """A text with every host, account, domain SID, internal name and address replaced."""
        text = _replace(text, host_names(self.hosts), self.host)
        text = _replace(text, account_names(self.accounts), self._account_part)
        text = _replace(text, set(self.leaks.names), lambda name: self._name("internal", name))
        text = DOMAIN_SID.sub(lambda match: self._name("sid", match[0]), text)
        return ADDRESS.sub(
            lambda match: match[0] if match[0] in GENERIC else self.address(match[0]), text
        )

    def _account_part(self, name: str) -> str:
        domains = {account.rpartition("\\")[0].casefold() for account in self.accounts}
        if "\\" not in name and name.casefold() in domains:
            return self._name("domain", name.casefold())
        return self.user(name)

    def _name(self, what: str, value: str) -> str:
        digest = hmac.digest(self.key, f"{what}|{value}".encode(), hashlib.sha256)
        return f"{what}-{digest.hex()[:10]}"


def _replace(text: str, names: set[str], pseudonym: Callable[[str], str]) -> str:
    kept = [name for name in names if len(name) > 1 and name.casefold() not in WELL_KNOWN]
    return words(kept).sub(lambda match: pseudonym(match[0]), text) if kept else text


def has_pseudonym(text: str) -> bool:
    """Whether a text holds what looks like a pseudonym of some key."""
    return _PSEUDONYM.search(text) is not None
