"""A disk without room, told as what it is instead of as damage or with a traceback."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from huntonce.models.errors import TransientError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: BaseException) -> bool:
    """Whether the fault is that nothing more can be written."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextmanager
def telling_of_space() -> Iterator[None]:
    """Say what to do where there is no room; whoever writes into the lake works in it.

    Raises:
        TransientError: The disk is full. What counts was written whole or not at all.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        # SQLite has several words for it, and none of its operational faults is damage.
        if isinstance(error, OSError) and not is_full(error):
            raise
        told = getattr(error, "strerror", None) or error
        raise TransientError(
            f"nothing more can be written where the lake is: {told}",
            connector="lake",
            hint="free some space, or let old events go (huntonce lake retain --days N), then"
            " repeat: what is held already is not taken twice",
        ) from error
