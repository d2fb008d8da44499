"""Repositories of the domain's things: one document each, a key, a version, a logged life."""

from enum import StrEnum
from typing import Generic, TypeVar

from sqlalchemy import Connection, Row, Select, select, update

from huntonce.models import detection, gap, hypothesis
from huntonce.models.alert import Alert
from huntonce.models.case import Case
from huntonce.models.detection import Detection, DetectionState
from huntonce.models.entity import Entity, Kind
from huntonce.models.errors import DomainError, StateError
from huntonce.models.finding import Finding
from huntonce.models.gap import GapState
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import HypothesisState
from huntonce.models.state.codec import TYPES, decode, encode, sha256, stored_key
from huntonce.models.state.columns import clean
from huntonce.models.state.engine import insert, insert_once
from huntonce.models.state.log import TransitionLog
from huntonce.models.state.tables import COUNTER, ENTITY_TABLES
from huntonce.models.state.verdicts import keep_verdict
from huntonce.models.state.work import Work

E = TypeVar("E", bound=Entity)


class EntityRepository(Generic[E]):
    """The stored things of one kind, in one unit of work."""

    def __init__(self, work: Work, log: TransitionLog, kind: Kind, of: type[E]) -> None:
        if not issubclass(of, TYPES[kind]):
            raise StateError(f"{of.__name__} is not what {kind} stands for")
        self._work = work
        self._log = log
        self._kind = kind
        self._of = of
        self._table = ENTITY_TABLES[kind]
        self._versions: dict[str, int] = {}

    def add(self, entity: E, *, actor: str, why: str) -> E:
        """Store a new thing and give it its short id; if the key is known, the stored one as is."""
        known = self.by_key(entity.key)
        if known is not None:
            return known
        connection = self._work.write()
        # The lock is held now: what another unit stored while we waited is seen, and the number
        # is not taken in vain.
        known = self.by_key(entity.key)
        if known is not None:
            return known
        number = next_number(connection, self._kind.value)
        short_id = f"{self._kind.value}-{number}"
        doc = encode(entity, id=short_id)
        stored = decode(self._of, doc)
        now = self._work.clock()
        written = insert_once(
            connection,
            self._table,
            number=number,
            id=short_id,
            key=stored_key(entity.key),
            state=stored.state.value,
            parent=_parent(stored),
            created_at=now,
            updated_at=now,
            version=1,
            doc=doc,
        )
        if not written:  # by a writer that does not keep to the lock
            return self._taken(entity.key)
        self._versions[short_id] = 1
        self._proven(stored)
        self._append(short_id, before="", after=stored.state, actor=actor, why=why, doc=doc)
        return stored

    def save(self, entity: E, *, actor: str, why: str, logged: bool = False) -> E:
        """Replace the stored document of a thing that has an id.

        What this unit read of it last must still be what is stored; a thing that this unit has
        not read is replaced as it stands, so read it here before changing it. ``logged`` writes
        the change into the transition log though the state stays the same.

        Raises:
            StateError: It is not stored, or was changed by someone else since it was read.
            DomainError: Its state machine has no such step, or it became something else (its key).
        """
        connection = self._work.write()
        table = self._table
        row = connection.execute(select(table).where(table.c.id == clean(entity.id))).one_or_none()
        if row is None:
            raise StateError(f"{entity.id or 'a thing without id'} is not stored", hint="add it")
        if self._versions.get(row.id, row.version) != row.version:
            raise StateError(
                f"{row.id} was changed by someone else", hint="read it again and repeat the change"
            )
        if stored_key(entity.key) != row.key:
            raise DomainError(f"{row.id} would become another thing: its key changed")
        check_step(self._kind, row.id, row.state, entity.state)
        _check_proof(entity, row.state)
        doc = encode(entity)
        self._versions[row.id] = row.version
        if doc == row.doc:
            return entity
        self._proven(entity)
        changed = connection.execute(
            update(table)
            .where(table.c.number == row.number, table.c.version == row.version)
            .values(
                state=entity.state.value,
                parent=_parent(entity),
                updated_at=self._work.clock(),
                version=row.version + 1,
                doc=doc,
            )
        )
        if changed.rowcount == 0:
            raise StateError(f"{row.id} was changed by someone else", hint="read it again")
        self._versions[row.id] = row.version + 1
        if logged or entity.state.value != row.state:
            self._append(
                row.id, before=row.state, after=entity.state, actor=actor, why=why, doc=doc
            )
        return decode(self._of, doc)

    def get(self, entity_id: str) -> E | None:
        """The thing with a short id ("GAP-3")."""
        return self._first(select(self._table).where(self._table.c.id == clean(entity_id)))

    def by_key(self, key: str) -> E | None:
        """The thing with a natural key."""
        return self._first(select(self._table).where(self._table.c.key == stored_key(key)))

    def list(self, *states: str) -> tuple[E, ...]:
        """All, or those in the given states, in the order of their ids' numbers."""
        query = select(self._table).order_by(self._table.c.number)
        if states:
            query = query.where(self._table.c.state.in_([str(state) for state in states]))
        return tuple(self._read(row) for row in self._work.connection().execute(query))

    def _first(self, query: Select[tuple[object, ...]]) -> E | None:
        row = self._work.connection().execute(query).one_or_none()
        return None if row is None else self._read(row)

    def _proven(self, entity: E) -> None:
        """A hunt's verdict also goes where the database checks it."""
        if isinstance(entity, HuntRun):
            keep_verdict(self._work, entity)

    def _read(self, row: Row[tuple[object, ...]]) -> E:
        self._versions[row.id] = row.version
        return decode(self._of, row.doc)

    def _taken(self, key: str) -> E:
        known = self.by_key(key)
        if known is None:
            raise StateError(f"a {self._of.__name__} could neither be stored nor found")
        return known

    def _append(
        self, subject: str, *, before: str, after: StrEnum, actor: str, why: str, doc: str
    ) -> None:
        self._log.append(
            kind=self._kind,
            subject=subject,
            before=before,
            after=after.value,
            actor=actor,
            why=why,
            doc=sha256(doc),
        )


def next_number(connection: Connection, kind: str) -> int:
    """The next number of a counter, from 1; given back if the transaction is."""
    statement = (
        insert(connection, COUNTER)
        .values(kind=kind, last=1)
        .on_conflict_do_update(index_elements=[COUNTER.c.kind], set_={"last": COUNTER.c.last + 1})
        .returning(COUNTER.c.last)
    )
    number: int = connection.execute(statement).scalar_one()
    return number


def check_step(kind: Kind, subject: str, before: str, after: StrEnum) -> None:
    """Nothing, where the state machine of a kind has the step (staying is always one).

    Raises:
        DomainError: It has not.
    """
    if before == after.value:
        return
    match kind:
        case Kind.HYPOTHESIS:
            allowed = after in hypothesis.TRANSITIONS[HypothesisState(before)]
        case Kind.GAP:
            allowed = after in gap.TRANSITIONS[GapState(before)]
        case Kind.DETECTION:
            allowed = after in detection.TRANSITIONS[DetectionState(before)]
        case _:
            allowed = True
    if not allowed:
        raise DomainError(f"{subject} cannot go from {before} to {after.value}")


def _check_proof(entity: Entity, before: str) -> None:
    """Nothing, where a detection claims no more than its certificate carries.

    Raises:
        DomainError: It would rise without one.
    """
    if not isinstance(entity, Detection):
        return
    if not detection.rises(DetectionState(before), entity.state):
        return
    proof = entity.certificate
    if proof is None or not proof.holds or detection.rises(proof.allows, entity.state):
        raise DomainError(
            f"{entity.id} cannot become {entity.state.value} without a certificate that carries it"
        )


def _parent(entity: Entity) -> str | None:
    match entity:
        case HuntRun() | Finding() | Detection() | Case():
            return stored_key(entity.hypothesis_key)
        case Alert():
            return entity.rule_id
        case _:
            return None
