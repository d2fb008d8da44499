"""Where the TAXII server keeps its objects: SQLAlchemy, SQLite by default.

``date_added`` rises strictly from object to object, in the order of commits: whoever adds holds
the clock's row until the transaction ends. A reader that has seen everything up to some
``date_added`` therefore never misses an object that got an earlier one, and a page never ends
between two objects of the same one.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import orjson
import sqlalchemy as sa

from huntonce.connectors.intel.forms import is_time, time_key
from huntonce.connectors.intel.taxii_server.query import ObjectQuery, encode_next, micros_to_stamp
from huntonce.models.errors import ConfigError

MAX_PAGE_BYTES = 32 * 1024 * 1024
_CHUNK = 400  # below the 999 bound parameters of old SQLite builds

_metadata = sa.MetaData()
_clock = sa.Table(
    "taxii_clock",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
)
_objects = sa.Table(
    "taxii_object",
    _metadata,
    sa.Column("collection", sa.String(36), primary_key=True),
    sa.Column("added", sa.String(27), primary_key=True),
    sa.Column("object_id", sa.String(300), nullable=False),
    sa.Column("object_type", sa.String(250), nullable=False),
    sa.Column("spec_version", sa.String(20), nullable=False),
    sa.Column("version", sa.String(40), nullable=False),
    sa.Column("version_key", sa.String(40), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("collection", "object_id", "version_key"),
)
_statuses = sa.Table(
    "taxii_status",
    _metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("user_name", sa.String(200), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """An object on its way in.

    Attributes:
        version: ``modified``, else ``created``; "" for an object that has neither.
    """

    id: str
    type: str
    spec_version: str
    version: str
    body: bytes
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of one incoming object; ``fault`` is "" where it is held now."""

    id: str
    version: str
    fault: str = ""
    already: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One held version of one object."""

    id: str
    added: str
    version: str
    spec_version: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows in the order they were added; ``next`` is "" on the last page."""

    rows: tuple[Row, ...]
    next: str


def incoming(content: Mapping[str, object], body: bytes) -> Incoming:
    """An object as it is kept, valid or not: what cannot be read is left empty."""
    version = content.get("modified") or content.get("created")
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return Incoming(
        id=str(content.get("id", "")),
        type=str(content.get("type", "")),
        spec_version=str(content.get("spec_version", "2.1")),
        version=str(version) if is_time(version) else "",
        body=body,
        digest=hashlib.sha256(canonical).hexdigest(),
    )


class TaxiiStore:
    """The objects and status resources of one server."""

    def __init__(self, db_url: str) -> None:
        """Open the store and make its tables.

        Raises:
            ConfigError: The database cannot be opened.
        """
        try:
            self._engine = _engine(db_url)
            _metadata.create_all(self._engine)
            with self._engine.begin() as connection:
                if connection.scalar(sa.select(_clock.c.last)) is None:
                    connection.execute(_clock.insert().values(id=1, last=0))
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            raise ConfigError(
                f"the TAXII server's database cannot be opened ({type(error).__name__})",
                hint="check the database address in the settings, and that its folder exists",
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def add(self, collection: str, objects: Sequence[Incoming]) -> list[Added]:
        """Keep the objects, in one transaction; an answer for each, in their order."""
        with self._engine.begin() as connection:
            # The first statement takes the clock's row; a second writer waits here.
            connection.execute(_clock.update().values(last=_clock.c.last))
            last = max(connection.scalar(sa.select(_clock.c.last)) or 0, time.time_ns() // 1000 - 1)
            held = _held(connection, collection, {one.id for one in objects})
            answers, fresh = [], []
            for one in objects:
                key = (one.id, time_key(one.version) if one.version else "")
                if key in held:
                    answers.append(_already(one, *held[key]))
                    continue
                last += 1
                added = micros_to_stamp(last)
                version = one.version or added
                held[key] = (version, one.digest)
                fresh.append(_values(collection, one, added, version, key[1]))
                answers.append(Added(id=one.id, version=version))
            if fresh:
                connection.execute(_objects.insert(), fresh)
            connection.execute(_clock.update().values(last=last))
        return answers

    def page(self, collection: str, query: ObjectQuery) -> Page:
        """One page of what the query asks for, oldest first."""
        wanted = (
            sa.select(
                _objects.c.object_id,
                _objects.c.added,
                _objects.c.version,
                _objects.c.spec_version,
                _objects.c.body,
            )
            .where(*_conditions(collection, query))
            .order_by(_objects.c.added)
            .limit(query.limit + 1)
        )
        rows: list[Row] = []
        size = 0
        with self._engine.connect() as connection:
            for found in connection.execute(wanted.execution_options(yield_per=100)):
                full = len(rows) == query.limit or size + len(found.body) > MAX_PAGE_BYTES
                if rows and full:
                    return Page(rows=tuple(rows), next=encode_next(rows[-1].added))
                size += len(found.body)
                rows.append(Row(**dict(zip(("id", *_REST), found, strict=True))))
        return Page(rows=tuple(rows), next="")

    def holds(self, collection: str, object_id: str) -> bool:
        """Whether any version of an object is there."""
        with self._engine.connect() as connection:
            return bool(_held(connection, collection, {object_id}))

    def delete(self, collection: str, object_id: str) -> bool:
        """Remove every version of an object; False where there was none."""
        with self._engine.begin() as connection:
            done = connection.execute(
                _objects.delete().where(
                    _objects.c.collection == collection, _objects.c.object_id == object_id
                )
            )
        return done.rowcount > 0

    def put_status(self, status_id: str, user: str, body: bytes) -> None:
        """Keep a status resource for the user who caused it."""
        with self._engine.begin() as connection:
            connection.execute(_statuses.insert().values(id=status_id, user_name=user, body=body))

    def status(self, status_id: str, user: str) -> bytes | None:
        """A status resource; None where there is none of this user's."""
        with self._engine.connect() as connection:
            return connection.scalar(
                sa.select(_statuses.c.body).where(
                    _statuses.c.id == status_id, _statuses.c.user_name == user
                )
            )


_REST = ("added", "version", "spec_version", "body")


def _engine(db_url: str) -> sa.Engine:
    url = sa.make_url(db_url)
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_size=20, pool_pre_ping=True)
    if not url.database or url.database == ":memory:":
        raise ConfigError(
            "the TAXII server cannot share a database in memory between its threads",
            hint="give SQLite a file: sqlite:///taxii.db",
        )
    engine = sa.create_engine(url, connect_args={"timeout": 30}, pool_size=20)

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("pragma journal_mode=wal")
        cursor.execute("pragma synchronous=normal")
        cursor.close()

    return engine


def _held(
    connection: sa.Connection, collection: str, ids: Iterable[str]
) -> dict[tuple[str, str], tuple[str, str]]:
    """(id, version key) to the version as shown and the content's digest."""
    held = {}
    for chunk in _chunks(sorted(ids)):
        for row in connection.execute(
            sa.select(
                _objects.c.object_id, _objects.c.version_key, _objects.c.version, _objects.c.digest
            ).where(_objects.c.collection == collection, _objects.c.object_id.in_(chunk))
        ):
            held[row.object_id, row.version_key] = (row.version, row.digest)
    return held


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    left = iter(ids)
    while chunk := list(islice(left, _CHUNK)):
        yield chunk


def _already(one: Incoming, version: str, digest: str) -> Added:
    if digest == one.digest:
        return Added(id=one.id, version=version, already=True)
    fault = "this version is already here with different content; change modified"
    return Added(id=one.id, version=version, fault=fault)


def _values(
    collection: str, one: Incoming, added: str, version: str, version_key: str
) -> dict[str, object]:
    return {
        "collection": collection,
        "added": added,
        "object_id": one.id,
        "object_type": one.type,
        "spec_version": one.spec_version,
        "version": version,
        "version_key": version_key,
        "digest": one.digest,
        "body": one.body,
    }


def _conditions(collection: str, query: ObjectQuery) -> list[sa.ColumnElement[bool]]:
    found = [_objects.c.collection == collection]
    if query.after:
        found.append(_objects.c.added > query.after)
    for column, values in (
        (_objects.c.object_id, query.ids),
        (_objects.c.object_type, query.types),
        (_objects.c.spec_version, query.spec_versions),
    ):
        if values:
            found.append(column.in_(values))
    if "all" not in query.versions:
        found.append(sa.or_(*(_version_condition(one) for one in query.versions)))
    return found


def _version_condition(version: str) -> sa.ColumnElement[bool]:
    if version not in {"last", "first"}:
        return _objects.c.version_key == version
    other = _objects.alias()
    key = other.c.version_key
    edge = (
        sa.select(sa.func.max(key) if version == "last" else sa.func.min(key))
        .where(
            other.c.collection == _objects.c.collection, other.c.object_id == _objects.c.object_id
        )
        .scalar_subquery()
    )
    return _objects.c.version_key == edge
