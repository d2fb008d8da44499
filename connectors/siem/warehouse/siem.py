"""Windows events in PostgreSQL as a SIEM: the server narrows down, our predicate decides."""

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

import orjson
import psycopg
import pyarrow as pa
from psycopg import sql
from sigma.rule import SigmaRule
from typing_extensions import override

from huntonce.connectors.siem.candidates import Part, Task, held, merged, task_of
from huntonce.connectors.siem.engine import fill_of
from huntonce.connectors.siem.lake import columns as lake
from huntonce.connectors.siem.lake.event import short_host
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.searching import SearchingSiem
from huntonce.connectors.siem.session import Limits, open_session, terminal, view_of
from huntonce.connectors.siem.verifying import PageVerifier
from huntonce.connectors.siem.warehouse.database import Database, Row
from huntonce.connectors.siem.warehouse.narrowing import Columns, candidates
from huntonce.connectors.siem.warehouse.presence import may_have
from huntonce.connectors.siem.warehouse.settings import PostgresSettings
from huntonce.connectors.siem.warehouse.statements import FOLDED, Statements
from huntonce.connectors.sigma.channels import canonical_channel
from huntonce.connectors.sigma.ir import fields_of
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.errors import TerminalError, UnsupportedError
from huntonce.models.finding import EventRef
from huntonce.models.query import (
    FILL_SCHEMA,
    INVENTORY_SCHEMA,
    FieldWant,
    SearchResult,
    SiemCapabilities,
    sum_fill,
)
from huntonce.models.windows import Window

_LOG = logging.getLogger(__name__)
_LIMITS = Limits(memory="1GB", threads=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)
_NEWEST = 200
_AT_ONCE = 500
_NOTES = {
    "verification": "what the server finds is decided by the lake's own predicate",
    "field_fill": "events of the wanted ids are read whole: their shape is not known to the server",
}


class PostgresSiem(SearchingSiem):
    """Windows events in a table of PostgreSQL.

    Calls may run side by side.

    Args:
        settings: Of the server and the table.
        name: Registered name.
    """

    def __init__(self, settings: PostgresSettings, name: str = "postgresql") -> None:
        super().__init__(name)
        self._settings = settings
        self._sql = Statements(settings)
        self._database = Database(name, settings)

    @override
    def capabilities(self) -> SiemCapabilities:
        return SiemCapabilities(query_language="PostgreSQL SQL", notes=_NOTES)

    # ------------------------------------------------------------ what arrived

    @override
    def extent(self) -> Window | None:
        table = self._sql
        ((first, last),) = self._database.rows(
            sql.SQL("SELECT min({0}), max({0}) FROM {1}").format(table.time, table.name)
        )
        return None if first is None else Window(_utc(first), _utc(last) + _MOMENT)

    @override
    def hosts(self) -> frozenset[str]:
        table = self._sql
        query = sql.SQL("SELECT DISTINCT {0} FROM {1} WHERE {0} IS NOT NULL")
        found = self._database.rows(query.format(table.computer, table.name))
        return frozenset(short_host(str(computer)) for (computer,) in found)

    @override
    def inventory(self, window: Window) -> pa.Table:
        counted: dict[tuple[str, str, int, datetime], tuple[int, datetime, datetime]] = {}
        for computer, channel, number, hour, events, first, last in self._database.rows(
            self._sql.inventory(window)
        ):
            key = (short_host(computer), canonical_channel(channel), int(number), _utc(hour))
            known = counted.get(key, (0, first, last))
            counted[key] = (known[0] + events, min(known[1], first), max(known[2], last))
        names = INVENTORY_SCHEMA.names
        rows = [dict(zip(names, (*key, *counted[key]), strict=True)) for key in sorted(counted)]
        return pa.Table.from_pylist(rows, INVENTORY_SCHEMA)

    @override
    def field_fill(self, window: Window, wants: Sequence[FieldWant]) -> pa.Table:
        channels: dict[str, list[FieldWant]] = {}
        for want in wants:
            channels.setdefault(want.channel, []).append(want)
        tables = [FILL_SCHEMA.empty_table()]
        for channel, wanted in channels.items():
            ids = tuple(sorted({int(want.event_id) for want in wanted}))
            scope = self._sql.scope(Variant(channel=channel, event_ids=ids), window)
            with (
                self._database.session() as connection,
                open_session(self._name, _LIMITS, ()) as session,
                closing(self._events(connection, self._sql.select(scope))) as pages,
            ):
                for rows in pages:
                    view = view_of(session, lake.table(rows), channel)
                    tables.append(fill_of(session, view, wanted, window))
        return sum_fill(pa.concat_tables(tables))

    # ------------------------------------------------------------ search

    @override
    def originals(self, refs: Sequence[EventRef]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(refs), _AT_ONCE):
            some = refs[start : start + _AT_ONCE]
            uids, table = {ref.uid for ref in some}, self._sql
            query = sql.SQL("SELECT {} FROM {} WHERE {} = ANY({}) AND {} = ANY({})").format(
                self._sql.text,
                table.name,
                table.time,
                sql.Literal([ref.time for ref in some]),
                table.event_id,
                sql.Literal([ref.event_id for ref in some]),
            )
            for (text,) in self._database.rows(query):
                try:
                    uid = normalise(orjson.loads(text)).uid
                except (NotAnEventError, orjson.JSONDecodeError):
                    continue
                if uid in uids:
                    found[uid] = text
        return found

    # ------------------------------------------------------------ inside

    @override
    def _search(
        self, rule: SigmaRule, window: Window, fields: Sequence[str], limit: int
    ) -> SearchResult:
        task = task_of(self._name, rule, window, fields, limit)
        parts: list[Part] = []
        with self._database.session() as connection:
            for place in task.places:
                part = self._place(connection, task, place)
                if part is not None:
                    parts.append(part)
        return merged(parts, task)

    def _place(
        self, connection: psycopg.Connection[Row], task: Task, place: Variant
    ) -> Part | None:
        scope = self._sql.scope(place, task.window)
        present = self._present(connection, scope, place, fields_of(task.condition))
        if present is None:
            return None
        narrow = candidates(task.condition, place, Columns(FOLDED, self._sql.event_id))
        table = PageVerifier.schema(task.fields).empty_table()
        if narrow is False:
            return Part("none: no event can match", table, present)
        query = self._sql.select(scope, None if narrow is True else narrow)
        with (
            open_session(self._name, _LIMITS, ()) as session,
            closing(self._events(connection, query, str(task.rule.title))) as pages,
        ):
            verifier = PageVerifier(session, task.rule, task.window, task.fields)
            for rows in pages:
                with terminal(self._name, str(task.rule.title)):
                    verifier.add(rows)
                if verifier.found > task.limit:
                    break
            table = verifier.table()
        return Part(query.as_string(connection), table, present)

    def _events(
        self, connection: psycopg.Connection[Row], query: sql.Composed, subject: str = ""
    ) -> Generator[list[lake.Row]]:
        """The events that a query gives, a page at a time.

        Raises:
            UnsupportedError: They are more than was agreed.
        """
        seen = 0
        with closing(self._database.pages(connection, query)) as pages:
            for page in pages:
                seen += len(page)
                if seen > self._settings.max_examined:
                    raise UnsupportedError(
                        f"{subject or 'probing'}: more than {self._settings.max_examined} events"
                        " would have to be read",
                        connector=self._name,
                        hint="ask for a shorter window, or raise max_examined in the settings",
                    )
                if rows := self._rows(page):
                    yield rows

    def _rows(self, found: Sequence[Row]) -> list[lake.Row]:
        return [row for one in found if (row := self._row(one)) is not None]

    def _row(self, found: Row) -> lake.Row | None:
        """An event in the lake's shape at the time that its column says; None for no event."""
        moment, text = found
        try:
            event = normalise(orjson.loads(text))
        except (NotAnEventError, orjson.JSONDecodeError, TypeError) as error:
            _LOG.warning("%s: a row of %s is left out: %s", self._name, moment, error)
            return None
        time = (_utc(moment) - _EPOCH) // _MOMENT
        return lake.Row(event, time, "utc", self._settings.table, text)

    def _present(
        self,
        connection: psycopg.Connection[Row],
        scope: sql.Composed,
        place: Variant,
        named: Sequence[str],
    ) -> frozenset[str] | None:
        """Those of some fields that events of a scope have; None where there is no event.

        The newest events are looked at first; for a field that none of them has, every event in
        whose text the name stands.
        """
        found = connection.execute(self._sql.newest(scope, _NEWEST)).fetchall()
        if not found:
            return None
        present = held(self._rows(found), place, named)
        missing = [field for field in named if field not in present]
        if len(found) < _NEWEST or not missing:
            return frozenset(present)
        tests = {field: may_have(place, field, FOLDED) for field in missing}
        asked = sql.SQL(", ").join(sql.SQL("bool_or({})").format(test) for test in tests.values())
        query = sql.SQL("SELECT {} FROM {}").format(asked, self._sql.narrowing(scope))
        possible = connection.execute(query).fetchone() or ()
        for field in (f for f, may in zip(missing, possible, strict=True) if may):
            query = self._sql.select(scope, tests[field])
            with closing(self._events(connection, query, field)) as pages:
                if any(held(page, place, [field]) for page in pages):
                    present.add(field)
        return frozenset(present)


def _utc(moment: object) -> datetime:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise TerminalError(
            "the time column is no timestamptz",
            connector="postgresql",
            hint="name one that is in the settings",
        )
    return moment.astimezone(UTC)
