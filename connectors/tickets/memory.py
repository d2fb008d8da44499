"""A ticket desk in memory, which can be told to fail."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from huntonce.connectors.tickets.ticket import Ticket, TicketState
from huntonce.models.errors import TerminalError, TransientError


class MemoryTickets:
    """Tickets in a dictionary.

    Attributes:
        fail_before: How many of the next calls fail before they do anything.
        fail_after: How many of the next writes are done, and their answer is lost.
        delay: Seconds that every call takes.
        refuse: Why every call is refused for good; "" for not.
    """

    def __init__(
        self, name: str = "memory", *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.fail_before = 0
        self.fail_after = 0
        self.delay = 0.0
        self.refuse = ""
        self._name = name
        self._sleep = sleep
        self._tickets: dict[str, Ticket] = {}

    @property
    def name(self) -> str:
        """Registered name of the desk."""
        return self._name

    def find(self, key: str) -> str | None:
        """Remote id of the ticket that carries an idempotency key."""
        with self._call(writes=False):
            found = (item.remote_id for item in self._tickets.values() if item.key == key)
            return next(found, None)

    def create(self, key: str, gap: Mapping[str, object]) -> str:
        """Open a ticket that carries the key, or find it; returns its remote id."""
        with self._call():
            for item in self._tickets.values():
                if item.key == key:
                    return item.remote_id
            remote_id = f"MEM-{len(self._tickets) + 1}"
            # Through JSON, as on the way to any desk: what cannot make it must not seem to.
            self._tickets[remote_id] = Ticket(
                remote_id=remote_id,
                key=key,
                state=TicketState.OPEN,
                gap=json.loads(json.dumps(dict(gap))),
            )
            return remote_id

    def close(self, remote_id: str, comment: str) -> None:
        """Close it; a closed one stays as it is."""
        self._move(remote_id, TicketState.CLOSED, comment)

    def reopen(self, remote_id: str, comment: str) -> None:
        """Open it again; an open one stays as it is."""
        self._move(remote_id, TicketState.OPEN, comment)

    def list(self) -> tuple[Ticket, ...]:
        """Every ticket, oldest first."""
        return tuple(self._tickets.values())

    def _move(self, remote_id: str, state: TicketState, comment: str) -> None:
        with self._call():
            ticket = self._tickets.get(remote_id)
            if ticket is None:
                raise TerminalError(f"no ticket {remote_id!r}", connector=self._name)
            if ticket.state is not state:
                comments = (*ticket.comments, comment)
                self._tickets[remote_id] = replace(ticket, state=state, comments=comments)

    @contextmanager
    def _call(self, *, writes: bool = True) -> Iterator[None]:
        if self.delay:
            self._sleep(self.delay)
        if self.refuse:
            raise TerminalError(self.refuse, connector=self._name)
        if self.fail_before > 0:
            self.fail_before -= 1
            raise TransientError("no connection", connector=self._name)
        yield
        if writes and self.fail_after > 0:
            self.fail_after -= 1
            raise TransientError("the answer was lost", connector=self._name)
