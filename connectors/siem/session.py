"""DuckDB sessions that can read the events and nothing else."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import duckdb
import pyarrow as pa

from huntonce.connectors.sigma.duckdb_backend import quote_name, quote_text
from huntonce.models.errors import DomainError, TerminalError, TransientError, UnsupportedError
from huntonce.models.windows import Window

_HELD = "held"
_HOUR = 3_600_000_000
HOUR_OF = f'make_timestamptz(epoch_us("@time") // {_HOUR} * {_HOUR})'
"""An event's clock hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the calls over one store of events may use together."""

    memory: str = "2GB"
    threads: int = 2


@dataclass(frozen=True, slots=True)
class View:
    """Events that a session can query.

    Attributes:
        name: Quoted; safe to put into a query.
        columns: Of the events, in one spelling each.
    """

    name: str
    columns: tuple[str, ...]


def view_of(session: duckdb.DuckDBPyConnection, events: pa.Table, channel: str) -> View:
    """A view of the events of one channel, "" for all, in a table that stands in memory."""
    session.register(_HELD, events)
    name = quote_name(channel or "events")
    kept = f' WHERE lower("@channel") = lower({quote_text(channel)})' if channel else ""
    session.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM {_HELD}{kept}")  # noqa: S608 - quoted parts
    return View(name, tuple(events.column_names))


@contextmanager
def open_session(
    connector: str, limits: Limits, folders: Sequence[str]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session that reads the given folders, fetches nothing and changes no setting.

    Sessions over the same folders share a database, as opening one costs more than most questions;
    each has views of its own. One that reads no folder has its own database, too.

    DuckDB's errors leave as ours: a missing or damaged file may be there next time, anything else
    will fail again.
    """
    try:
        if folders:
            session = _shared(limits, tuple(folders), os.getpid()).cursor()
        else:
            session = _database(limits, ())
    except duckdb.Error as error:
        _shared.cache_clear()
        raise TerminalError(
            f"DuckDB does not start: {_first_line(error)}", connector=connector
        ) from error
    with session, translated(connector):
        try:
            yield session
        except (duckdb.FatalException, duckdb.InternalException):
            _shared.cache_clear()  # after such a fault a database answers nothing more
            raise


def _database(limits: Limits, folders: Sequence[str]) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": limits.memory,
            "threads": limits.threads,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
            "temp_directory": "",
        },
    )
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    # The footers of hundreds of files are most of what a small question costs.
    database.execute("SET GLOBAL parquet_metadata_cache = true")
    database.execute("SET allowed_directories = ?", [list(folders)])
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database


@lru_cache(maxsize=4)
def _shared(
    limits: Limits,
    folders: tuple[str, ...],
    process: int,  # noqa: ARG001 - a forked child must open its own
) -> duckdb.DuckDBPyConnection:
    return _database(limits, folders)


@contextmanager
def translated(connector: str) -> Iterator[None]:
    """DuckDB's errors as connector errors."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        hint = "ask for a shorter window or fewer fields, or raise the memory limit"
        raise TerminalError(_first_line(error), connector=connector, hint=hint) from error
    except duckdb.IOException as error:
        hint = "repeat; if it stays, a file of the lake is damaged: load its source again"
        raise TransientError(_first_line(error), connector=connector, hint=hint) from error
    except duckdb.Error as error:
        hint = "the search uses something that DuckDB does not know, such as look-around in a regex"
        raise TerminalError(_first_line(error), connector=connector, hint=hint) from error


@contextmanager
def terminal(connector: str, subject: str) -> Iterator[None]:
    """Faults of a rule as the error that says it cannot be run here."""
    try:
        yield
    except DomainError as error:
        message = f"{subject}: {error}"
        raise UnsupportedError(message, connector=connector, hint=error.hint) from error


def period(window: Window) -> str:
    """The condition that an event lies in a window."""
    return f'"@time" >= {_literal(window.start)} AND "@time" < {_literal(window.end)}'


def arrow(session: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """The result of a query."""
    table: pa.Table = session.sql(query).to_arrow_table()
    return table


def shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table's columns, by position, under the schema's names and types."""
    return table.rename_columns(schema.names).cast(schema)


def rows(session: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    """The result of a query, row by row."""
    found: list[tuple[Any, ...]] = session.execute(query).fetchall()
    return found


def _literal(moment: datetime) -> str:
    return f"TIMESTAMPTZ '{moment.astimezone(UTC).strftime('%Y-%m-%d %H:%M:%S.%f')}+00:00'"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:500]
