"""The transition log: append-only, every row bound to the one before by its hash."""

from collections.abc import Iterator

from sqlalchemy import Row, select, update

from huntonce.models.entity import Kind
from huntonce.models.state.columns import clean
from huntonce.models.state.tables import LOG_HEAD, TRANSITION_LOG
from huntonce.models.state.work import Work
from huntonce.models.transition import GENESIS, Transition
from huntonce.models.windows import utc


class TransitionLog:
    """The chain, in one unit of work."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def append(
        self, *, kind: Kind, subject: str, before: str, after: str, actor: str, why: str, doc: str
    ) -> Transition:
        """Write a change of state at the end of the chain; ``doc`` is the hash of the document."""
        connection, head = self._work.write(), self._work.head()
        row = Transition(
            seq=head.seq + 1,
            kind=kind,
            subject=subject,
            before=before,
            after=after,
            at=utc(self._work.clock()),
            actor=clean(actor),
            why=clean(why),
            evidence=doc,
            previous=head.hash,
        )
        connection.execute(
            TRANSITION_LOG.insert().values(
                seq=row.seq,
                kind=kind.value,
                subject=subject,
                before=before,
                after=after,
                at=row.at,
                actor=row.actor,
                why=row.why,
                evidence=doc,
                previous=row.previous,
                hash=row.hash,
            )
        )
        head.seq, head.hash = row.seq, row.hash
        connection.execute(
            update(LOG_HEAD).where(LOG_HEAD.c.id == 1).values(seq=head.seq, hash=head.hash)
        )
        return row

    def rows(self) -> tuple[Transition, ...]:
        """The whole chain in order."""
        return tuple(_transition(row) for row in self._stored())

    def verify(self) -> int | None:
        """Seq of the first row that is changed, missing or unlinked; None where the chain holds.

        Rows cut off at the end are missing too: the head row remembers how long the chain was.
        """
        connection = self._work.connection()
        head = connection.execute(select(LOG_HEAD.c.seq, LOG_HEAD.c.hash)).one()
        last = GENESIS
        seq = 0
        for seq, row in enumerate(self._stored(), start=1):
            transition = _transition(row)
            if (transition.seq, transition.previous) != (seq, last) or transition.hash != row.hash:
                return seq
            last = transition.hash
        if seq < head.seq:
            return seq + 1
        return None if (seq, last) == (head.seq, head.hash) else seq

    def _stored(self) -> Iterator[Row[tuple[object, ...]]]:
        yield from self._work.connection().execute(
            select(TRANSITION_LOG).order_by(TRANSITION_LOG.c.seq)
        )


def _kind(text: str) -> Kind | str:
    """A newer version, or a hand on the database, may have written a kind that is not known."""
    try:
        return Kind(text)
    except ValueError:
        return text


def _transition(row: Row[tuple[object, ...]]) -> Transition:
    return Transition(
        seq=row.seq,
        kind=_kind(row.kind),
        subject=row.subject,
        before=row.before,
        after=row.after,
        at=row.at,
        actor=row.actor,
        why=row.why,
        evidence=row.evidence,
        previous=row.previous,
    )
