"""Copying a database while others write to it."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from huntonce.models.errors import StateError

_MAGIC = b"SQLite format 3\x00"
_PATIENCE = 60.0


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def copy_database(source: Path, target: Path) -> None:
    """One consistent state of a database, by SQLite's online backup: writers go on meanwhile.

    The copy is in one file, without a write-ahead log beside it.

    Raises:
        StateError: It is damaged, or stays locked.
    """
    try:
        with (
            closing(sqlite3.connect(source, timeout=_PATIENCE)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.execute("PRAGMA query_only = ON")
            # All in one step: a copy in parts begins anew with every commit in between.
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        with suppress(OSError):
            target.unlink(missing_ok=True)
        raise StateError(
            f"{source} cannot be copied: {error}",
            hint="huntonce doctor says how it stands",
        ) from error


def fault_of_database(path: Path) -> str:
    """What SQLite's own check says against a database; empty where all is well."""
    try:
        with closing(sqlite3.connect(path, timeout=_PATIENCE)) as database:
            database.execute("PRAGMA query_only = ON")
            said = [str(row[0]) for row in database.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        return str(error)
    return "" if said == ["ok"] else "; ".join(said)
