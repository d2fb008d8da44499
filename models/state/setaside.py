"""Refused input, kept."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select

from huntonce.models.setaside import PAYLOAD_LIMIT, InputKind, SetAside
from huntonce.models.state.codec import sha256
from huntonce.models.state.columns import clean
from huntonce.models.state.engine import insert_once
from huntonce.models.state.tables import SET_ASIDE
from huntonce.models.state.work import Work

TEXT_LIMIT = 4_000
"""Characters kept of each text: a parser's message may repeat the input."""


class SetAsides:
    """The refusals, in one unit of work."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def add(self, items: Iterable[SetAside], *, at: datetime) -> int:
        """Record; the same refusal twice is one row. Returns how many were new."""
        refusals = list(items)
        if not refusals:
            return 0
        connection = self._work.write()
        return sum(
            insert_once(
                connection,
                SET_ASIDE,
                key=sha256(clean(item.key)),
                kind=item.kind.value,
                source=item.source[:TEXT_LIMIT],
                place=item.place[:TEXT_LIMIT],
                reason=item.reason[:TEXT_LIMIT],
                hint=item.hint[:TEXT_LIMIT],
                payload=item.payload[:PAYLOAD_LIMIT],
                at=item.at or at,
            )
            for item in refusals
        )

    def list(self, kind: InputKind | None = None) -> tuple[SetAside, ...]:
        """All refusals, or those of one kind of input, in the order they were recorded."""
        query = select(SET_ASIDE).order_by(SET_ASIDE.c.number)
        if kind is not None:
            query = query.where(SET_ASIDE.c.kind == kind.value)
        return tuple(
            SetAside(
                kind=InputKind(row.kind),
                source=row.source,
                place=row.place,
                reason=row.reason,
                hint=row.hint,
                payload=bytes(row.payload),
                at=row.at,
            )
            for row in self._work.connection().execute(query)
        )
