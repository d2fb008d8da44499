"""The built-in ticket desk: another system behind the port, in the same database.

It keeps its own tables and opens its own transactions; the sender of the outbox cannot tell it
from a desk that is far away.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, select, update

from huntonce.connectors.tickets.ticket import Ticket, TicketState
from huntonce.models.errors import StateError, TerminalError, TransientError
from huntonce.models.state.codec import dumps, stored_key
from huntonce.models.state.engine import insert_once
from huntonce.models.state.store import Store
from huntonce.models.state.tables import DESK_COMMENT, DESK_TICKET

PREFIX = "TICKET-"


class BuiltinTickets:
    """Tickets in the store's database."""

    def __init__(self, store: Store, name: str = "builtin") -> None:
        self._store = store
        self._name = name

    @property
    def name(self) -> str:
        """Registered name of the desk."""
        return self._name

    def find(self, key: str) -> str | None:
        """Remote id of the ticket that carries an idempotency key."""
        with self._asked(), self._store.reading() as connection:
            return _find(connection, key)

    def create(self, key: str, gap: Mapping[str, object]) -> str:
        """Open a ticket that carries the key, or find it; returns its remote id."""
        try:
            doc = dumps({"key": key, "gap": gap})
        except StateError as error:
            raise TerminalError(str(error), connector=self._name, hint=error.hint) from error
        with self._asked(), self._store.transaction() as connection:
            known = _find(connection, key)
            if known is not None:
                return known
            now = self._store.clock()
            insert_once(
                connection,
                DESK_TICKET,
                key=stored_key(key),
                state=TicketState.OPEN.value,
                doc=doc,
                created_at=now,
                updated_at=now,
            )
            remote_id = _find(connection, key)
        if remote_id is None:
            raise TerminalError("the ticket was not stored", connector=self._name)
        return remote_id

    def close(self, remote_id: str, comment: str) -> None:
        """Close it; a closed one stays as it is.

        Raises:
            TerminalError: There is no such ticket.
        """
        self._move(remote_id, TicketState.CLOSED, comment)

    def reopen(self, remote_id: str, comment: str) -> None:
        """Open it again; an open one stays as it is.

        Raises:
            TerminalError: There is no such ticket.
        """
        self._move(remote_id, TicketState.OPEN, comment)

    def list(self) -> tuple[Ticket, ...]:
        """Every ticket with its comments, oldest first."""
        with self._asked(), self._store.reading() as connection:
            rows = connection.execute(select(DESK_TICKET).order_by(DESK_TICKET.c.number)).all()
            said: dict[int, list[str]] = {}
            for comment in connection.execute(select(DESK_COMMENT).order_by(DESK_COMMENT.c.number)):
                said.setdefault(comment.ticket, []).append(comment.text)
        return tuple(_ticket(row, said.get(row.number, [])) for row in rows)

    def _move(self, remote_id: str, state: TicketState, comment: str) -> None:
        number = _number(remote_id)
        with self._asked(), self._store.transaction() as connection:
            now = self._store.clock()
            its = DESK_TICKET.c.number == number
            moved = connection.execute(
                update(DESK_TICKET)
                .where(its, DESK_TICKET.c.state != state.value)
                .values(state=state.value, updated_at=now)
            )
            if moved.rowcount:
                connection.execute(
                    DESK_COMMENT.insert().values(ticket=number, text=comment, at=now)
                )
            elif connection.execute(select(DESK_TICKET.c.number).where(its)).first() is None:
                raise TerminalError(
                    f"no ticket {remote_id!r}",
                    connector=self._name,
                    hint="it was opened at another desk, or its store was replaced",
                )

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except StateError as error:
            raise TransientError(str(error), connector=self._name, hint=error.hint) from error


def _find(connection: Connection, key: str) -> str | None:
    query = select(DESK_TICKET.c.number).where(DESK_TICKET.c.key == stored_key(key))
    number = connection.execute(query).scalar_one_or_none()
    return None if number is None else f"{PREFIX}{number}"


def _number(remote_id: str) -> int:
    digits = remote_id.removeprefix(PREFIX)
    # 0 is nobody's number; what is not one of ours is simply not found.
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0  # noqa: PLR2004 - an INTEGER column holds 9 digits


def _ticket(row: Row[Any], comments: list[str]) -> Ticket:
    doc = json.loads(row.doc)
    return Ticket(
        remote_id=f"{PREFIX}{row.number}",
        key=doc["key"],
        state=TicketState(row.state),
        gap=doc["gap"],
        comments=tuple(comments),
    )
