"""Passwords of the TAXII server: scrypt (RFC 7914), compared in constant time."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

from huntonce.connectors.intel.taxii_server.settings import User

_N, _R, _P = 2**14, 8, 1
_SALT = 16


def hash_password(password: str) -> str:
    """A salted hash that ``User.password`` takes in place of the password: "scrypt$salt$hash"."""
    salt = secrets.token_bytes(_SALT)
    return f"scrypt${_text(salt)}${_text(_scrypt(password, salt))}"


class Passwords:
    """The users' passwords, held as hashes only.

    scrypt takes tens of milliseconds on purpose, so a password that was right is remembered as a
    digest under a key of this process; wrong ones pay in full each time.
    """

    def __init__(self, users: Iterable[User]) -> None:
        self._hashes = {
            user.name: user.password
            if user.password.startswith("scrypt$")
            else hash_password(user.password)
            for user in users
        }
        self._nobody = hash_password(secrets.token_hex())
        self._key = secrets.token_bytes()
        self._right: dict[str, bytes] = {}

    def known(self, name: str, password: str) -> bool:
        """Whether the user came in with this password before; costs nothing to ask."""
        held = self._right.get(name)
        return held is not None and hmac.compare_digest(held, self._digest(name, password))

    def right(self, name: str, password: str) -> bool:
        """Whether the password is the user's; unknown users take as long as known ones."""
        if self.known(name, password):
            return True
        right = _matches(self._hashes.get(name, self._nobody), password) and name in self._hashes
        if right:
            self._right[name] = self._digest(name, password)
        return right

    def _digest(self, name: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{name}:{password}".encode(), "sha256")


def _matches(stored: str, password: str) -> bool:
    _, salt, expected = stored.split("$")
    return hmac.compare_digest(_scrypt(password, _bytes(salt)), _bytes(expected))


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text)
