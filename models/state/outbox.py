"""The outbox: rows that wait to leave, claimed by one sender at a time.

pending ──claim──> claimed ──done──> sent
   ^                  │
   └──failed(again)───┴──failed──> failed ──failed(again)──> pending
A claim older than its sender's patience is pending again. ``sent`` is the end: nothing undoes it.
"""

import json
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Row, and_, case, literal, or_, select, update

from huntonce.models.errors import DomainError, StateError
from huntonce.models.outbox import Channel, Message, MessageState
from huntonce.models.state.codec import KEY_LIMIT, dumps
from huntonce.models.state.columns import UtcTime, clean
from huntonce.models.state.engine import begin_write, insert_once
from huntonce.models.state.tables import OUTBOX
from huntonce.models.state.work import Work

ERROR_LIMIT = 4_000
ONE_TRY = timedelta(seconds=60)
"""Claims of a message within this time of each other count as one attempt: a loop sends after each
hunt, and must not use them all up while the other side is in trouble for a moment."""


class Messages:
    """The outbox, in one unit of work."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def put(self, message: Message, *, at: datetime) -> bool:
        """Write it down; False where the key is already there.

        Raises:
            DomainError: The key is too long for the other side to carry.
            StateError: The payload is not JSON-able.
        """
        if not message.key or len(message.key) > KEY_LIMIT:
            raise DomainError(
                f"an outbox key has 1 to {KEY_LIMIT} characters: {message.key[:60]!r}"
            )
        connection = self._work.write()
        return insert_once(
            connection,
            OUTBOX,
            key=clean(message.key),
            channel=message.channel.value,
            action=message.action,
            target=message.target,
            subject=message.subject,
            payload=dumps(message.payload),
            state=MessageState.PENDING.value,
            attempts=0,
            remote_id=message.remote_id,
            error="",
            created_at=at,
        )

    def claim(self, channel: Channel | None, *, at: datetime, stale_after: float) -> Message | None:
        """Take the oldest message that waits; None where there is nothing to do.

        A message claimed longer ago than ``stale_after`` seconds waits again: its sender died.
        Commits by itself, so that no second sender takes it. Its attempts are counted by the
        minute (``ONE_TRY``).

        Raises:
            StateError: The unit has written something that is not committed yet.
        """
        if self._work.writing:
            raise StateError(
                "a message is claimed in a unit with uncommitted changes",
                hint="commit them first, or claim in a unit of its own",
            )
        connection = self._work.connection()
        connection.rollback()
        waiting = self._waiting(channel, at - timedelta(seconds=stale_after))
        if connection.execute(select(OUTBOX.c.number).where(waiting).limit(1)).first() is None:
            return None
        connection.rollback()
        begin_write(connection)
        oldest = (
            select(OUTBOX.c.number)
            .where(waiting)
            .order_by(OUTBOX.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        same = and_(OUTBOX.c.claimed_at.is_not(None), OUTBOX.c.claimed_at > at - ONE_TRY)
        row = connection.execute(
            update(OUTBOX)
            .where(OUTBOX.c.number == oldest.scalar_subquery())
            .values(
                state=MessageState.CLAIMED.value,
                claimed_at=case((same, OUTBOX.c.claimed_at), else_=literal(at, UtcTime)),
                attempts=OUTBOX.c.attempts + case((same, 0), else_=1),
            )
            .returning(OUTBOX)
        ).one_or_none()
        connection.commit()
        return None if row is None else _message(row)

    def done(self, key: str, *, remote_id: str, at: datetime) -> None:
        """Record that it left. What left twice by a late sender stays as first recorded.

        Raises:
            StateError: There is no such message.
        """
        self._settle(key, state=MessageState.SENT, remote_id=remote_id, error="", sent_at=at)

    def failed(self, key: str, *, error: str, again: bool, at: datetime) -> None:
        """Record a failure; ``again`` puts it back to pending. What is sent stays sent.

        Raises:
            StateError: There is no such message.
        """
        del at  # the row keeps when it was claimed; a failure has no time of its own
        state = MessageState.PENDING if again else MessageState.FAILED
        self._settle(key, state=state, error=error[:ERROR_LIMIT])

    def list(self, *states: str) -> tuple[Message, ...]:
        """All, or those in the given states, oldest first."""
        query = select(OUTBOX).order_by(OUTBOX.c.number)
        if states:
            query = query.where(OUTBOX.c.state.in_([str(state) for state in states]))
        return tuple(_message(row) for row in self._work.connection().execute(query))

    def _waiting(self, channel: Channel | None, stale: datetime) -> ColumnElement[bool]:
        waits = or_(
            OUTBOX.c.state == MessageState.PENDING.value,
            and_(OUTBOX.c.state == MessageState.CLAIMED.value, OUTBOX.c.claimed_at < stale),
        )
        return waits if channel is None else and_(waits, OUTBOX.c.channel == channel.value)

    def _settle(self, key: str, *, state: MessageState, **values: object) -> None:
        connection = self._work.write()
        its = OUTBOX.c.key == clean(key)
        changed = connection.execute(
            update(OUTBOX)
            .where(its, OUTBOX.c.state != MessageState.SENT.value)
            .values(state=state.value, **values)
        )
        if changed.rowcount == 0 and not connection.execute(select(OUTBOX.c.key).where(its)).all():
            raise StateError(f"no message {key!r} in the outbox")


def _message(row: Row[tuple[object, ...]]) -> Message:
    payload: dict[str, object] = json.loads(row.payload)
    return Message(
        key=row.key,
        channel=Channel(row.channel),
        action=row.action,
        target=row.target,
        subject=row.subject,
        payload=payload,
        state=MessageState(row.state),
        attempts=row.attempts,
        remote_id=row.remote_id,
        error=row.error,
        created_at=row.created_at,
        sent_at=row.sent_at,
    )
