"""Intel objects: every version whole, the feeds that delivered it, and where each feed stands."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Row, Select, and_, func, or_, select

from huntonce.models.intel import AddCounts, IntelObject
from huntonce.models.state.codec import stix_content
from huntonce.models.state.columns import clean
from huntonce.models.state.engine import insert
from huntonce.models.state.intel_write import OBJECTS, plan_chunk, write_chunk
from huntonce.models.state.tables import (
    INTEL_CLAIM,
    INTEL_CONFLICT,
    INTEL_CURSOR,
    INTEL_FEED_OBJECT,
    INTEL_OBJECT,
    INTEL_ORIGINAL,
)
from huntonce.models.state.work import Work
from huntonce.models.tlp import Tlp

CHUNK = 5_000
"""Objects a round: below SQLite's limit of 32,766 parameters in the look-up of their ids."""
PAGE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IntelConflict:
    """A version that a feed delivered with other content than the one held.

    Attributes:
        body: What that feed sent, as received; the first such content of each feed is kept.
    """

    object_id: str
    version: str
    feed: str
    first_at: datetime
    body: bytes


class Intel:
    """The intel objects, in one unit of work."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def add(self, objects: Iterable[IntelObject], *, feed: str, at: datetime) -> AddCounts:
        """Store versions not yet held; the same version again only adds its feed.

        The same instant is the same version, however many zeros its text has. Objects without a
        version are the same when their content is. A version that comes with other content than
        the one held is a duplicate: the first stands, ``conflicts`` shows the other.

        Where nothing is to be written, nothing is: not even the write lock is taken.
        """
        counts = AddCounts()
        source = iter(objects)
        while chunk := list(islice(source, CHUNK)):
            counts += self._add(chunk, feed=clean(feed), at=at)
        return counts

    def _add(self, chunk: list[IntelObject], *, feed: str, at: datetime) -> AddCounts:
        if not self._work.writing:
            plan = plan_chunk(self._work.connection(), chunk, feed=feed)
            if not plan.writes:
                return plan.counts
        # Another may have written since: looked up again, now that nobody else can.
        connection = self._work.write()
        plan = plan_chunk(connection, chunk, feed=feed)
        write_chunk(connection, plan, feed=feed, at=at)
        return plan.counts

    def latest(self, *types: str, revoked: bool = False) -> Iterator[IntelObject]:
        """The newest version of each object, of the given types or all.

        Those that their makers have revoked are left out, unless ``revoked``. Read in pages, so
        that the unit may write in between.
        """
        last = 0
        while True:
            query = _newest().where(OBJECTS.number > last)
            if not revoked:
                query = query.where(OBJECTS.revoked.is_(False))
            if types:
                query = query.where(OBJECTS.type.in_(types))
            query = query.order_by(OBJECTS.number).limit(PAGE)
            rows = self._work.connection().execute(query).all()
            for row in rows:
                yield _object(row)
            if len(rows) < PAGE:
                return
            last = rows[-1].number

    def get(self, object_id: str) -> IntelObject | None:
        """The newest version, revoked or not."""
        query = _newest().where(OBJECTS.object_id == clean(object_id))
        row = self._work.connection().execute(query).one_or_none()
        return None if row is None else _object(row)

    def versions(self, object_id: str) -> tuple[IntelObject, ...]:
        """Every version held, oldest first."""
        query = (
            select(INTEL_OBJECT)
            .where(OBJECTS.object_id == clean(object_id))
            .order_by(OBJECTS.moment, OBJECTS.number)
        )
        return tuple(_object(row) for row in self._work.connection().execute(query))

    def feeds(self, object_id: str) -> tuple[str, ...]:
        """Feeds that delivered any version of it, sorted."""
        query = (
            select(INTEL_FEED_OBJECT.c.feed)
            .join(INTEL_OBJECT, OBJECTS.number == INTEL_FEED_OBJECT.c.object_number)
            .where(OBJECTS.object_id == clean(object_id))
            .distinct()
        )
        return tuple(sorted(self._work.connection().execute(query).scalars()))

    def feeds_of(self, object_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The same for many at once; an object that is not held has no entry."""
        link, wanted = INTEL_FEED_OBJECT.c, iter(sorted({clean(one) for one in object_ids}))
        found: dict[str, list[str]] = {}
        while chunk := list(islice(wanted, CHUNK)):
            query = (
                select(OBJECTS.object_id, link.feed)
                .join(INTEL_OBJECT, OBJECTS.number == link.object_number)
                .where(OBJECTS.object_id.in_(chunk))
                .distinct()
            )
            for object_id, feed in self._work.connection().execute(query):
                found.setdefault(object_id, []).append(feed)
        return {object_id: tuple(sorted(feeds)) for object_id, feeds in found.items()}

    def creators(self, object_ids: Iterable[str]) -> dict[str, str]:
        """Who made each object that is held: as its first version says, "" where it does not."""
        wanted = iter(sorted({clean(one) for one in object_ids}))
        found: dict[str, str] = {}
        while chunk := list(islice(wanted, CHUNK)):
            query = (
                select(OBJECTS.object_id, OBJECTS.created_by)
                .where(OBJECTS.object_id.in_(chunk))
                .order_by(OBJECTS.number)
            )
            for object_id, maker in self._work.connection().execute(query):
                found.setdefault(object_id, maker)
        return found

    def originals(self, object_id: str) -> dict[str, bytes]:
        """Version to the bytes as received, for the versions that were upgraded from STIX 2.0."""
        query = (
            select(OBJECTS.version, INTEL_ORIGINAL.c.body)
            .join(INTEL_OBJECT, OBJECTS.number == INTEL_ORIGINAL.c.object_number)
            .where(OBJECTS.object_id == clean(object_id))
            .order_by(OBJECTS.moment, OBJECTS.number)
        )
        rows = self._work.connection().execute(query)
        return {row.version: bytes(row.body) for row in rows}

    def claimants(self, object_id: str) -> tuple[str, ...]:
        """Feeds that make the same claim as an indicator, under whatever ids, sorted."""
        own = (
            select(INTEL_CLAIM.c.claim)
            .join(INTEL_OBJECT, OBJECTS.number == INTEL_CLAIM.c.object_number)
            .where(OBJECTS.object_id == clean(object_id))
        )
        query = (
            select(INTEL_FEED_OBJECT.c.feed)
            .join(INTEL_CLAIM, INTEL_CLAIM.c.object_number == INTEL_FEED_OBJECT.c.object_number)
            .where(INTEL_CLAIM.c.claim.in_(own))
            .distinct()
        )
        return tuple(sorted(self._work.connection().execute(query).scalars()))

    def conflicts(self) -> tuple[IntelConflict, ...]:
        """Versions that came with other content than the one held."""
        query = (
            select(
                OBJECTS.object_id,
                OBJECTS.version,
                INTEL_CONFLICT.c.feed,
                INTEL_CONFLICT.c.first_at,
                INTEL_CONFLICT.c.body,
            )
            .join(INTEL_OBJECT, OBJECTS.number == INTEL_CONFLICT.c.object_number)
            .order_by(OBJECTS.number, INTEL_CONFLICT.c.feed)
        )
        return tuple(
            IntelConflict(
                object_id=row.object_id,
                version=row.version,
                feed=row.feed,
                first_at=row.first_at,
                body=bytes(row.body),
            )
            for row in self._work.connection().execute(query)
        )

    def revision(self) -> int:
        """A number that grows with every version that is stored."""
        found = self._work.connection().execute(select(func.max(OBJECTS.number))).scalar()
        return int(found or 0)

    def cursor(self, feed: str) -> str | None:
        """Where the feed's next pull starts; None before its first."""
        query = select(INTEL_CURSOR.c.cursor).where(INTEL_CURSOR.c.feed == clean(feed))
        found: str | None = self._work.connection().execute(query).scalar_one_or_none()
        return found

    def set_cursor(self, feed: str, cursor: str) -> None:
        """Remember where the feed's next pull starts."""
        connection = self._work.write()
        values = {"cursor": cursor, "updated_at": self._work.clock()}
        connection.execute(
            insert(connection, INTEL_CURSOR)
            .values(feed=clean(feed), **values)
            .on_conflict_do_update(index_elements=[INTEL_CURSOR.c.feed], set_=values)
        )


def _newest() -> Select[tuple[object, ...]]:
    other = INTEL_OBJECT.alias("other")
    newer = and_(
        other.c.object_id == OBJECTS.object_id,
        or_(
            other.c.moment > OBJECTS.moment,
            and_(other.c.moment == OBJECTS.moment, other.c.number > OBJECTS.number),
        ),
    )
    return select(INTEL_OBJECT).where(~select(other.c.number).where(newer).exists())


def _object(row: Row[tuple[object, ...]]) -> IntelObject:
    body = bytes(row.body)
    return IntelObject(
        id=row.object_id,
        type=row.type,
        spec_version=row.spec_version,
        version=row.version,
        created_by=row.created_by,
        revoked=row.revoked,
        tlp=Tlp(row.tlp),
        body=body,
        content=stix_content(row.object_id, body),
    )
