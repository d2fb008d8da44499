"""One unit's connection: it reads freely until its first write, then writes alone.

Writers queue. On SQLite the first write begins the transaction IMMEDIATE. On PostgreSQL it locks
the one row of ``log_head``, the end of the transition chain: whoever appends must know the end, so
appends come one after another anyway, and taking that lock before any other leaves no two units
that could wait for each other. Readers wait for nobody on either.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy import Connection, Engine, column, select, table
from sqlalchemy.exc import TimeoutError as NoConnectionError

from huntonce.models.errors import StateError
from huntonce.models.state.engine import begin_write
from huntonce.models.state.migrate import HEAD
from huntonce.models.state.tables import LOG_HEAD

_REVISION = select(column("version_num")).select_from(table("alembic_version")).scalar_subquery()


@dataclass(slots=True)
class Head:
    """The end of the transition chain, as the transaction sees it."""

    seq: int
    hash: str


class Work:
    """A connection that is opened at its first use and knows whether it writes."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._engine = engine
        self._open: Connection | None = None
        self._head: Head | None = None
        self._entered = False

    def enter(self) -> Self:
        """Ready to be used.

        Raises:
            StateError: It is in use already.
        """
        if self._entered:
            raise StateError("this unit of work is in use already", hint="open one of its own")
        self._entered = True
        return self

    @property
    def writing(self) -> bool:
        """Whether the transaction holds the write lock."""
        return self._head is not None

    def connection(self) -> Connection:
        """The connection, for reading."""
        if not self._entered:
            raise StateError("a unit of work is used outside its with block")
        if self._open is None:
            try:
                self._open = self._engine.connect()
            except NoConnectionError as error:
                raise StateError(
                    "the store has no connection left", hint="run fewer things at once"
                ) from error
        return self._open

    def write(self) -> Connection:
        """The connection, with the write lock taken.

        Raises:
            StateError: A newer version of Huntonce has upgraded the store meanwhile: what this one
                would write may not be what that one reads.
        """
        connection = self.connection()
        if self._head is None:
            # What was read so far was a snapshot that may be old: it ends here, and ``save``
            # compares versions.
            connection.rollback()
            begin_write(connection)
            row = connection.execute(
                select(LOG_HEAD.c.seq, LOG_HEAD.c.hash, _REVISION.label("revision"))
                .where(LOG_HEAD.c.id == 1)
                .with_for_update(of=LOG_HEAD)
            ).one()
            if row.revision != HEAD:
                connection.rollback()
                raise StateError(
                    f"the store is at revision {row.revision} now, this process knows {HEAD}",
                    hint="it was upgraded meanwhile: end what runs the old version of Huntonce, "
                    "start the new one; what was under way is taken up again",
                )
            self._head = Head(row.seq, row.hash)
        return connection

    def head(self) -> Head:
        """The chain's end; the write lock is taken."""
        self.write()
        if self._head is None:
            raise StateError("the write lock was lost")
        return self._head

    def commit(self) -> None:
        """Keep what was written."""
        if self._open is not None:
            self._open.commit()
        self._head = None

    def leave(self) -> None:
        """Drop what was not committed and give the connection back."""
        opened, self._open, self._head, self._entered = self._open, None, None, False
        if opened is not None:
            opened.close()
