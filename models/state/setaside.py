"""Refused input, kept, and tried again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, Select, func, select, update

from huntonce.models.setaside import PAYLOAD_LIMIT, InputKind, SetAside
from huntonce.models.state.codec import sha256
from huntonce.models.state.columns import clean
from huntonce.models.state.engine import insert_once
from huntonce.models.state.tables import SET_ASIDE
from huntonce.models.state.work import Work

TEXT_LIMIT = 4_000
"""Characters kept of each text: a parser's message may repeat the input."""
ROWS = SET_ASIDE.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A refusal as it is kept.

    Attributes:
        number: Identifies it.
        feed: Who delivered it; "" where that was not recorded.
        tried_at: When it was last tried again.
        taken_at: When it passed; it waits no more.
    """

    number: int
    item: SetAside
    feed: str
    tried_at: datetime | None = None
    taken_at: datetime | None = None


class SetAsides:
    """The refusals, in one unit of work."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def add(self, items: Iterable[SetAside], *, at: datetime, feed: str = "") -> int:
        """Record; the same refusal twice is one row. Returns how many were new.

        Refused intel is the same when its bytes and the reason are: where in a delivery it stood
        differs from pull to pull.
        """
        refusals = list(items)
        if not refusals:
            return 0
        known = self._known({_key(item) for item in refusals})
        fresh = [item for item in refusals if _key(item) not in known]
        if not fresh:
            return 0
        connection = self._work.write()
        return sum(
            insert_once(
                connection,
                SET_ASIDE,
                key=_key(item),
                kind=item.kind.value,
                source=item.source[:TEXT_LIMIT],
                place=item.place[:TEXT_LIMIT],
                reason=item.reason[:TEXT_LIMIT],
                hint=item.hint[:TEXT_LIMIT],
                payload=item.payload[:PAYLOAD_LIMIT],
                at=item.at or at,
                feed=feed,
            )
            for item in fresh
        )

    def list(self, kind: InputKind | None = None) -> tuple[SetAside, ...]:
        """What waits, of all kinds of input or of one, in the order it was recorded."""
        return tuple(kept.item for kept in self.kept(kind))

    def kept(self, kind: InputKind | None = None, *, taken: bool = False) -> tuple[Kept, ...]:
        """What waits with its number; or, with ``taken``, what passed when it was tried again."""
        found = ROWS.taken_at.is_not(None) if taken else ROWS.taken_at.is_(None)
        query = select(SET_ASIDE).where(found).order_by(ROWS.number)
        return self._read(query if kind is None else query.where(ROWS.kind == kind.value))

    def counts(self) -> dict[str, int]:
        """Kind of input to how many wait."""
        waiting = select(ROWS.kind, func.count()).where(ROWS.taken_at.is_(None))
        rows = self._work.connection().execute(waiting.group_by(ROWS.kind))
        return {row[0]: row[1] for row in rows}

    def taken(self, number: int, *, at: datetime) -> None:
        """It passed."""
        self._work.write().execute(
            update(SET_ASIDE).where(ROWS.number == number).values(tried_at=at, taken_at=at)
        )

    def refused_again(self, number: int, item: SetAside, *, at: datetime) -> None:
        """It was tried and did not pass, now for the reason of ``item``."""
        connection = self._work.write()
        values: dict[str, object] = {"tried_at": at}
        key = _key(item)
        if not self._known({key}):
            values |= {
                "key": key,
                "reason": item.reason[:TEXT_LIMIT],
                "hint": item.hint[:TEXT_LIMIT],
            }
        connection.execute(update(SET_ASIDE).where(ROWS.number == number).values(**values))

    def _known(self, keys: set[str]) -> set[str]:
        connection, wanted = self._work.connection(), sorted(keys)
        found: set[str] = set()
        for start in range(0, len(wanted), 10_000):
            part = wanted[start : start + 10_000]
            found.update(connection.execute(select(ROWS.key).where(ROWS.key.in_(part))).scalars())
        return found

    def _read(self, query: "Select[tuple[object, ...]]") -> tuple[Kept, ...]:
        return tuple(_kept(row) for row in self._work.connection().execute(query))


def _key(item: SetAside) -> str:
    if item.kind is InputKind.INTEL and item.payload:
        payload = sha256(item.payload[:PAYLOAD_LIMIT])
        return sha256(clean(f"{item.kind}|{item.source}|{payload}|{item.reason}"))
    return sha256(clean(item.key))


def _kept(row: Row[tuple[object, ...]]) -> Kept:
    item = SetAside(
        kind=InputKind(row.kind),
        source=row.source,
        place=row.place,
        reason=row.reason,
        hint=row.hint,
        payload=bytes(row.payload),
        at=row.at,
    )
    return Kept(
        number=row.number,
        item=item,
        feed=row.feed,
        tried_at=row.tried_at,
        taken_at=row.taken_at,
    )
