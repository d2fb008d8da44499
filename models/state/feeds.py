"""How each feed of intel does: pulls, failures and what they brought, kept over restarts."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Row, and_, delete, exists, func, select, update

from huntonce.models.errors import StateError
from huntonce.models.intel import AddCounts, Fault, FeedFailure, FeedHealth
from huntonce.models.state.columns import clean
from huntonce.models.state.engine import insert
from huntonce.models.state.tables import (
    INTEL_CLAIM,
    INTEL_CURSOR,
    INTEL_DELIVERY,
    INTEL_FEED,
    INTEL_FEED_OBJECT,
    INTEL_OBJECT,
)
from huntonce.models.state.work import Work

_NEW = {
    "selection": "",
    "pulls": 0,
    "failures": 0,
    "fault": "",
    "error": "",
    "hint": "",
    **dict.fromkeys(("new", "updated", "duplicate", "set_aside", "skipped"), 0),
}
_TEXT_LIMIT = 2_000
_NAME_LIMIT = 256


class Feeds:
    """The health of the feeds, in one unit of work."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def began(self, feed: str, *, selection: str, at: datetime) -> None:
        """A pull begins.

        A feed that now selects something else (other filters, another address) loses its cursor:
        what it left out before lies behind it.
        """
        connection = self._work.write()
        name = _ready(connection, feed)
        row = INTEL_FEED.c
        held = connection.execute(select(row.selection, row.pulls).where(row.feed == name)).one()
        if held.pulls and held.selection != selection:
            connection.execute(delete(INTEL_CURSOR).where(INTEL_CURSOR.c.feed == name))
        self._set(connection, name, selection=selection, pulls=held.pulls + 1, pulled_at=at)

    def delivered(
        self, feed: str, counts: AddCounts, *, set_aside: int = 0, skipped: int = 0
    ) -> None:
        """Add what a batch brought to the totals."""
        more = {
            "new": counts.new,
            "updated": counts.updated,
            "duplicate": counts.duplicate,
            "set_aside": set_aside,
            "skipped": skipped,
        }
        if any(more.values()):
            connection = self._work.write()
            name = _ready(connection, feed)
            connection.execute(
                update(INTEL_FEED)
                .where(INTEL_FEED.c.feed == name)
                .values({key: INTEL_FEED.c[key] + value for key, value in more.items()})
            )

    def took_whole(self, feed: str, digest: str, *, objects: int, at: datetime) -> None:
        """A delivery with this hash passed whole: all of its objects are held."""
        connection = self._work.write()
        values = {"feed": clean(feed), "digest": digest, "objects": objects, "first_at": at}
        connection.execute(
            insert(connection, INTEL_DELIVERY).values(**values).on_conflict_do_nothing()
        )

    def whole(self, feed: str) -> dict[str, int]:
        """Hash to number of objects of the deliveries that passed whole."""
        kept = INTEL_DELIVERY.c
        query = select(kept.digest, kept.objects).where(kept.feed == clean(feed))
        return {row.digest: row.objects for row in self._work.connection().execute(query)}

    def ended(self, feed: str, *, at: datetime) -> None:
        """A pull came to its end."""
        connection = self._work.write()
        name = _ready(connection, feed)
        self._set(connection, name, succeeded_at=at, failures=0, fault="", error="", hint="")

    def failed(self, feed: str, failure: FeedFailure, *, at: datetime) -> None:
        """A pull ended early."""
        connection = self._work.write()
        name = _ready(connection, feed)
        self._set(
            connection,
            name,
            failed_at=at,
            failures=INTEL_FEED.c.failures + 1,
            fault=failure.fault.value,
            error=failure.error[:_TEXT_LIMIT],
            hint=failure.hint[:_TEXT_LIMIT],
        )

    def health(self) -> tuple[FeedHealth, ...]:
        """Every feed that was pulled or delivered anything, by name."""
        connection = self._work.connection()
        rows = {row.feed: row for row in connection.execute(select(INTEL_FEED))}
        cursors = {
            row.feed: row.cursor
            for row in connection.execute(select(INTEL_CURSOR.c.feed, INTEL_CURSOR.c.cursor))
        }
        held = _held(connection)
        indicators = _indicators(connection)
        claims = _claims(connection)
        shared = _claims(connection, shared=True)
        names = sorted({*rows, *cursors, *held})
        return tuple(
            replace(
                _kept(name, rows.get(name)),
                cursor=cursors.get(name),
                held=held.get(name, 0),
                indicators=indicators.get(name, 0),
                claims=claims.get(name, 0),
                shared_claims=shared.get(name, 0),
            )
            for name in names
        )

    @staticmethod
    def _set(connection: Connection, name: str, **values: object) -> None:
        connection.execute(update(INTEL_FEED).where(INTEL_FEED.c.feed == name).values(**values))


def _ready(connection: Connection, feed: str) -> str:
    """The feed's name as it is stored; its row is there afterwards."""
    name = clean(feed)
    if not 0 < len(name) <= _NAME_LIMIT:
        raise StateError(f"a feed's name has 1 to {_NAME_LIMIT} characters")
    connection.execute(
        insert(connection, INTEL_FEED).values(feed=name, **_NEW).on_conflict_do_nothing()
    )
    return name


def _kept(name: str, row: Row[tuple[object, ...]] | None) -> FeedHealth:
    if row is None:
        return FeedHealth(feed=name)
    failure = (
        FeedFailure(error=row.error, hint=row.hint, fault=Fault(row.fault)) if row.fault else None
    )
    return FeedHealth(
        feed=name,
        pulls=row.pulls,
        last_pull=row.pulled_at,
        last_success=row.succeeded_at,
        last_failure=row.failed_at,
        failures=row.failures,
        failure=failure,
        totals=AddCounts(new=row.new, updated=row.updated, duplicate=row.duplicate),
        set_aside=row.set_aside,
        skipped=row.skipped,
    )


def _held(connection: Connection) -> dict[str, int]:
    link = INTEL_FEED_OBJECT.c
    query = select(link.feed, func.count(link.object_number)).group_by(link.feed)
    return {row[0]: row[1] for row in connection.execute(query)}


def _indicators(connection: Connection) -> dict[str, int]:
    link, item = INTEL_FEED_OBJECT.c, INTEL_OBJECT.c
    query = (
        select(link.feed, func.count(item.object_id.distinct()))
        .join(INTEL_OBJECT, item.number == link.object_number)
        .where(item.type == "indicator")
        .group_by(link.feed)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _claims(connection: Connection, *, shared: bool = False) -> dict[str, int]:
    """Feed to how many distinct claims it makes; or only those that another feed makes, too."""
    link = INTEL_FEED_OBJECT
    query = (
        select(link.c.feed, func.count(INTEL_CLAIM.c.claim.distinct()))
        .join(INTEL_CLAIM, INTEL_CLAIM.c.object_number == link.c.object_number)
        .group_by(link.c.feed)
    )
    if shared:
        other, theirs = link.alias("other_link"), INTEL_CLAIM.alias("other_claim")
        query = query.where(
            exists(
                select(other.c.feed)
                .join(theirs, theirs.c.object_number == other.c.object_number)
                .where(and_(theirs.c.claim == INTEL_CLAIM.c.claim, other.c.feed != link.c.feed))
            )
        )
    return {row[0]: row[1] for row in connection.execute(query)}
