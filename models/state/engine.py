"""Engines: SQLite in WAL mode by default, PostgreSQL by address, set so that writers queue."""

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError

from huntonce.models.errors import ConfigError, StateError

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

WAIT_SECONDS = 60
"""How long a writer waits for the one before it."""
_IMMEDIATE = "huntonce_immediate"
_ADDRESSES = "sqlite:///PATH, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
_FILE = "sqlite:///"


def sqlite_url(path: Path) -> str:
    """The address of a store in a file."""
    return f"{_FILE}{path}"


def make_engine(address: str) -> Engine:
    """An engine for a store's address; nothing is opened yet.

    Raises:
        ConfigError: The address is none, or of a database that is not supported.
    """
    url = _url(address)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": WAIT_SECONDS}, max_overflow=-1)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine(
            url, connect_args={"connect_timeout": 10}, pool_pre_ping=True, max_overflow=20
        )
        event.listen(engine, "connect", _set_up_postgresql)
    event.listen(engine, "handle_error", _translate)
    return engine


def _url(address: str) -> URL:
    try:
        # A file's path may hold what separates the parts of an address: all of it is the path.
        url = (
            URL.create("sqlite", database=address.removeprefix(_FILE))
            if address.startswith(_FILE)
            else make_url(address)
        )
    except (ArgumentError, ValueError):
        # The text may hold a password: it is not repeated.
        raise ConfigError("the store's address is not one", hint=f"write {_ADDRESSES}") from None
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise ConfigError(f"no store on {url.drivername}", hint=f"write {_ADDRESSES}")
    if not url.database or url.database == ":memory:":
        raise ConfigError("the store's address names no database", hint=f"write {_ADDRESSES}")
    return url


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    # The driver's own transactions begin late and not IMMEDIATE; _begin_sqlite does it.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # In WAL mode NORMAL loses at most the last commits at a power cut, never the order of them,
    # and a lost "sent" is safe: the sender looks its key up at the other side first.
    connection.execute("PRAGMA synchronous = NORMAL")
    deadline = time.monotonic() + WAIT_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        # The switch is not covered by the busy time-out.
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _set_up_postgresql(connection: Any, _record: object) -> None:  # noqa: ANN401 - as above
    connection.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
    connection.commit()


def begin_write(connection: Connection) -> None:
    """Begin a transaction that will write.

    On SQLite it takes the write lock now: one that read first and then wants to write is refused
    at once when another has written meanwhile, one that begins IMMEDIATE waits its turn.
    """
    connection.execution_options(**{_IMMEDIATE: True})
    try:
        connection.begin()
    finally:
        connection.execution_options(**{_IMMEDIATE: False})


def insert(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """An INSERT of the connection's dialect, which knows ON CONFLICT."""
    if is_sqlite(connection):
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - slow, for those who use it

    return postgresql.insert(table)


def insert_once(connection: Connection, table: Table, **values: object) -> bool:
    """Whether a row was written: not where one with its ``key`` is there already."""
    statement = insert(connection, table).values(**values)
    once = statement.on_conflict_do_nothing(index_elements=[table.c.key]).returning(table.c.key)
    return connection.execute(once).first() is not None


def is_sqlite(connection: Connection) -> bool:
    """Whether the connection is to SQLite."""
    return connection.dialect.name == "sqlite"


def _translate(context: ExceptionContext) -> StateError | None:
    if context.is_pre_ping:
        # The pool asks whether a connection still lives: with another error in place of the
        # driver's it would not replace a dead one, and a restart of the server end the work.
        return None
    error = context.original_exception
    return StateError(f"the store failed: {_first_line(error)}", hint=_hint(error))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _hint(error: BaseException) -> str:
    text = str(error).lower()
    hints = {
        "locked": f"another process wrote for {WAIT_SECONDS} seconds; see what it does, try again",
        "lock timeout": f"another unit held the store for {WAIT_SECONDS} seconds; try again",
        "no such table": "migrate the store first",
        "unable to open": "see that the folder exists and may be written",
        "readonly": "see that the file may be written",
        "read-only": "see that the file may be written",
        "disk": "see that the disk is not full",
        "not a database": "the file is something else, or damaged: restore a backup",
        "malformed": "the file is damaged: restore a backup",
        "connection": "see that the database server runs and its address is right",
        "password": "see the user and password in the store's address",
    }
    return next((hint for sign, hint in hints.items() if sign in text), "")
