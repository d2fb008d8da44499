"""Statements to a PostgreSQL: read only, in time, a page at a time, and its faults as ours."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from huntonce.connectors.siem.warehouse.settings import PostgresSettings
from huntonce.models.errors import TerminalError, TransientError

_CONNECT = 10
_APPLICATION = "huntonce"
_CLASS = 2

Row = tuple[Any, ...]


class TooSlowError(TransientError):
    """The server did not finish within the time it was given."""


class Database:
    """One server; a connection a call, so that calls may run side by side.

    Args:
        name: Registered name, for errors.
        settings: Where it is and what a statement may cost.
    """

    def __init__(self, name: str, settings: PostgresSettings) -> None:
        self.name = name
        self._settings = settings

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Row]]:
        """A read-only transaction: every statement in it sees the same events.

        Raises:
            TooSlowError, TransientError, TerminalError: As their classes say.
        """
        with self._translated():
            connection = psycopg.connect(
                self._settings.url.get_secret_value(),
                connect_timeout=_CONNECT,
                application_name=_APPLICATION,
                options=f"-c statement_timeout={max(1, int(self._settings.timeout * 1000))}"
                " -c timezone=UTC -c default_transaction_read_only=on"
                " -c default_transaction_isolation=repeatable\\ read",
            )
            try:
                yield connection
            finally:
                # What is still running or open there ends with the connection.
                connection.close()

    def rows(self, query: sql.Composed) -> list[Row]:
        """The answer to one statement."""
        with self.session() as session:
            return session.execute(query).fetchall()

    def pages(self, session: psycopg.Connection[Row], query: sql.Composed) -> Generator[list[Row]]:
        """The answer to a statement, ``page_size`` rows at a time, held by the server."""
        with session.cursor(name="pages") as cursor:
            cursor.execute(query)
            while found := cursor.fetchmany(self._settings.page_size):
                yield found

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.QueryCanceled:
            raise TooSlowError(
                f"the search took longer than {self._settings.timeout:g} s",
                connector=self.name,
                hint="ask for a shorter window, or raise the time-out in the settings",
            ) from None
        except psycopg.Error as error:
            # The cause repeats the statement, values and all.
            raise self._fault(error) from None

    def _fault(self, error: psycopg.Error) -> TransientError | TerminalError:
        state = error.sqlstate or ""
        words = (error.diag.message_primary or type(error).__name__)[:300]
        if state[:_CLASS] == "28":
            return TerminalError(
                f"the server does not let us in: {words}",
                connector=self.name,
                hint="check user and password in the address",
            )
        if state == "42501":
            return TerminalError(
                words, connector=self.name, hint="the account needs SELECT on the table"
            )
        if state[:_CLASS] in {"42", "22", "3D"}:
            return TerminalError(
                words,
                connector=self.name,
                hint="check database, table and columns in the settings; the event is jsonb",
            )
        if state[:_CLASS] in {"54", "53"} and state != "53300":
            return TerminalError(
                words, connector=self.name, hint="ask for a shorter window or a smaller rule"
            )
        if isinstance(error, psycopg.OperationalError):
            return TransientError(
                f"no answer: {words}",
                connector=self.name,
                hint="check that the server runs and can be reached from here",
            )
        return TerminalError(f"{state} {words}", connector=self.name)
