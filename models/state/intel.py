"""Intel objects: every version whole, the feeds that delivered it, and where each feed stands."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import orjson
from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from huntonce.models.errors import StateError
from huntonce.models.intel import AddCounts, IntelObject, StixDict, claim_key
from huntonce.models.state.codec import sha256
from huntonce.models.state.columns import clean
from huntonce.models.state.engine import insert
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
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z")
_FORM_LIMIT = 80

OBJECTS = INTEL_OBJECT.c
"""Columns of the table of objects."""


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


@dataclass(slots=True)
class _Held:
    number: int
    content_sha256: str


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
            plan = _plan(self._work.connection(), chunk, feed=feed)
            if not plan.writes:
                return plan.counts
        # Another may have written since: looked up again, now that nobody else can.
        connection = self._work.write()
        plan = _plan(connection, chunk, feed=feed)
        _write(connection, plan, feed=feed, at=at)
        return plan.counts

    def latest(self, *types: str) -> Iterator[IntelObject]:
        """The newest version of each object, revoked ones left out; of the given types or all.

        Read in pages, so that the unit may write in between.
        """
        last = 0
        while True:
            query = _newest().where(OBJECTS.revoked.is_(False), OBJECTS.number > last)
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


@dataclass(slots=True)
class _Plan:
    """What a chunk would change."""

    counts: AddCounts
    fresh: list[tuple[IntelObject, _Held, str, str]]
    links: list[int]
    conflicts: dict[int, bytes]

    @property
    def writes(self) -> bool:
        return bool(self.fresh or self.links or self.conflicts)


def _plan(connection: Connection, chunk: list[IntelObject], *, feed: str) -> _Plan:
    held, linked = _held(connection, {clean(item.id) for item in chunk}, feed)
    ids = {object_id for object_id, _ in held}
    number = connection.execute(select(func.max(OBJECTS.number))).scalar() or 0
    plan = _Plan(AddCounts(), [], [], {})
    new = updated = 0
    for item in chunk:
        object_id, content = clean(item.id), content_sha256(item)
        moment = normal_time(item.version)
        revision = moment or f"sha256:{content}"
        known = held.get((object_id, revision))
        if known is None:
            number += 1
            held[object_id, revision] = known = _Held(number, content)
            new += object_id not in ids
            updated += object_id in ids
            ids.add(object_id)
            plan.fresh.append((item, known, revision, moment))
        elif known.content_sha256 != content:
            plan.conflicts.setdefault(known.number, item.body)
        if known.number not in linked:
            linked.add(known.number)
            plan.links.append(known.number)
    if plan.conflicts:
        kept = INTEL_CONFLICT.c
        query = select(kept.object_number).where(
            kept.feed == feed, kept.object_number.in_(sorted(plan.conflicts))
        )
        for known_number in connection.execute(query).scalars():
            del plan.conflicts[known_number]
    plan.counts = AddCounts(new=new, updated=updated, duplicate=len(chunk) - new - updated)
    return plan


def _held(
    connection: Connection, wanted: set[str], feed: str
) -> tuple[dict[tuple[str, str], _Held], set[int]]:
    """The versions held of the given objects, and the numbers of those that the feed delivered."""
    link = INTEL_FEED_OBJECT.c
    query = (
        select(
            OBJECTS.number,
            OBJECTS.object_id,
            OBJECTS.revision,
            OBJECTS.content_sha256,
            link.object_number,
        )
        .join_from(
            INTEL_OBJECT,
            INTEL_FEED_OBJECT,
            and_(link.object_number == OBJECTS.number, link.feed == feed),
            isouter=True,
        )
        .where(OBJECTS.object_id.in_(sorted(wanted)))
    )
    held: dict[tuple[str, str], _Held] = {}
    linked: set[int] = set()
    for number, object_id, revision, content, delivered in connection.execute(query):
        held[object_id, revision] = _Held(number, content)
        if delivered is not None:
            linked.add(number)
    return held, linked


def _row(
    item: IntelObject, held: _Held, *, revision: str, moment: str, at: datetime
) -> dict[str, object]:
    return {
        "number": held.number,
        "object_id": item.id,
        "revision": revision,
        "moment": moment,
        "version": item.version,
        "type": item.type,
        "spec_version": item.spec_version,
        "created_by": item.created_by,
        "revoked": item.revoked,
        "tlp": item.tlp.value,
        "content_sha256": held.content_sha256,
        "added_at": at,
        "body": item.body,
    }


def _write(connection: Connection, plan: _Plan, *, feed: str, at: datetime) -> None:
    rows = [
        _row(item, held, revision=revision, moment=moment, at=at)
        for item, held, revision, moment in plan.fresh
    ]
    originals = [
        {"object_number": held.number, "body": item.original}
        for item, held, _, _ in plan.fresh
        if item.original
    ]
    claims = [
        {"object_number": held.number, "claim": claim}
        for item, held, _, _ in plan.fresh
        if item.type == "indicator" and (claim := claim_key(item.content))
    ]
    provenance = {"feed": feed, "first_at": at}
    links = [{"object_number": number, **provenance} for number in plan.links]
    others = [
        {"object_number": number, "body": body, **provenance}
        for number, body in plan.conflicts.items()
    ]
    for table, values in (
        (INTEL_OBJECT, rows),
        (INTEL_ORIGINAL, originals),
        (INTEL_CLAIM, claims),
        (INTEL_FEED_OBJECT, links),
        (INTEL_CONFLICT, others),
    ):
        if values:
            connection.execute(insert(connection, table).on_conflict_do_nothing(), values)


def normal_time(version: str) -> str:
    """A STIX timestamp in a form that sorts by time at any precision; "" for no version.

    "…:00Z", "…:00.0Z" and "…:00.000Z" are one instant and become one text; another text stays as
    it is.
    """
    match = _TIME.fullmatch(version)
    if match is None:
        return clean(version) if len(version) <= _FORM_LIMIT else f"text:{sha256(clean(version))}"
    seconds, fraction = match[1], (match[2] or "").rstrip("0")
    form = f"{seconds}.{fraction}" if fraction else seconds
    return form[:_FORM_LIMIT]


def content_sha256(item: IntelObject) -> str:
    """Hash of what an object says, whatever the order of its keys or its white space."""
    try:
        return sha256(orjson.dumps(item.content, option=orjson.OPT_SORT_KEYS))
    except orjson.JSONEncodeError:  # integers beyond 64 bits
        return sha256(item.body)


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
        content=_content(row.object_id, body),
    )


def _content(object_id: str, body: bytes) -> StixDict:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:  # integers beyond 64 bits
        content = json.loads(body)
    if not isinstance(content, dict):
        raise StateError(f"the stored body of {object_id} is not a JSON object")
    return content
