"""A SIEM over DuckDB: what the lake and the in-memory SIEM have in common."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sigma.rule import SigmaRule
from typing_extensions import override

from huntonce.connectors.siem.columns import VariantColumns
from huntonce.connectors.siem.search import Search, run_count, run_search
from huntonce.connectors.siem.searching import DEFAULT_LIMIT, SearchingSiem
from huntonce.connectors.siem.session import (
    HOUR_OF,
    Limits,
    View,
    arrow,
    open_session,
    period,
    rows,
    shaped,
    terminal,
)
from huntonce.connectors.sigma.logsource import Variant
from huntonce.connectors.sigma.rules import search_rule
from huntonce.models.finding import EventRef
from huntonce.models.query import (
    EVENT_COLUMNS,
    FILL_SCHEMA,
    INVENTORY_SCHEMA,
    LAG_SCHEMA,
    FieldWant,
    SearchResult,
    SiemCapabilities,
    SigmaSearch,
)
from huntonce.models.windows import Window

_DAY = timedelta(days=1)
_REFS_A_QUERY = 1_000
_EMPTY = "('', '-')"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """What arrived on one channel.

    Attributes:
        event_ids: Id to number of events, in the order of the ids.
        hosts: Short names in order.
    """

    channel: str
    events: int
    event_ids: Mapping[int, int]
    hosts: tuple[str, ...]
    first: datetime
    last: datetime


class DuckDBSiem(SearchingSiem):
    """A SIEM whose events DuckDB can read as views.

    Each call has a session of its own, with access to nothing but the events: calls may run side
    by side.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        super().__init__(name)
        self._limits = limits

    @abstractmethod
    def _view(
        self, session: duckdb.DuckDBPyConnection, channel: str, window: Window | None
    ) -> View | None:
        """A view of a channel's events, "" for every channel; None where there are none.

        It holds at least the events of the window; None is all time.
        """

    def _folders(self) -> Sequence[str]:
        """Folders that sessions may read."""
        return ()

    def _before(self) -> None:
        """Called before each call that touches the events."""

    # ------------------------------------------------------------ what arrived

    @override
    def capabilities(self) -> SiemCapabilities:
        return SiemCapabilities(query_language="DuckDB SQL")

    @override
    def extent(self) -> Window | None:
        found = self._ask('SELECT min("@time"), max("@time") FROM {view}')
        if not found or found[0][0] is None:
            return None
        first, last = found[0]
        return Window(first.astimezone(UTC), last.astimezone(UTC) + timedelta(microseconds=1))

    @override
    def hosts(self) -> frozenset[str]:
        return frozenset(row[0] for row in self._ask('SELECT DISTINCT "@host" FROM {view}'))

    @override
    def inventory(self, window: Window) -> pa.Table:
        with self._session() as session:
            view = self._view(session, "", window)
            if view is None:
                return INVENTORY_SCHEMA.empty_table()
            query = (
                f'SELECT "@host", "@channel", "@event_id", {HOUR_OF} AS hour,'  # noqa: S608 - the name is quoted
                ' count(*), min("@time"), max("@time")'
                f" FROM {view.name} WHERE {period(window)} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
            )
            return shaped(arrow(session, query), INVENTORY_SCHEMA)

    @override
    def field_fill(self, window: Window, wants: Sequence[FieldWant]) -> pa.Table:
        """How well fields are filled; Windows writes "-" for nothing, which counts as empty."""
        tables = [FILL_SCHEMA.empty_table()]
        channels: dict[str, list[FieldWant]] = {}
        for want in wants:
            channels.setdefault(want.channel, []).append(want)
        with self._session() as session:
            for channel, wanted in channels.items():
                view = self._view(session, channel, window)
                if view is not None:
                    tables.append(fill_of(session, view, wanted, window))
        return pa.concat_tables(tables).combine_chunks()

    @override
    def lags(self, window: Window) -> pa.Table:
        """By the collector's own stamp, where a recording carries one."""
        with self._session() as session:
            view = self._view(session, "", window)
            if view is None or "@ingested" not in view.columns:
                return LAG_SCHEMA.empty_table()
            late = 'greatest(epoch_us("@ingested") - epoch_us("@time"), 0) / 1e6'
            query = (
                f'SELECT "@host", "@channel", count(*), quantile_cont({late}, 0.95)'  # noqa: S608 - the name is quoted
                f' FROM {view.name} WHERE {period(window)} AND "@ingested" IS NOT NULL'
                " GROUP BY 1, 2 ORDER BY 1, 2"
            )
            return shaped(arrow(session, query), LAG_SCHEMA)

    def sources(self) -> tuple[SourceRow, ...]:
        """What is held, a row a channel, in the order of the channels' names."""
        found = self._ask(
            'SELECT "@channel", "@event_id", count(*), list(DISTINCT "@host"),'
            ' min("@time"), max("@time") FROM {view} GROUP BY 1, 2 ORDER BY 1, 2'
        )
        channels: dict[str, list[tuple[Any, ...]]] = {}
        for channel, *rest in found:
            channels.setdefault(channel, []).append(tuple(rest))
        return tuple(_source(channel, rest) for channel, rest in channels.items())

    # ------------------------------------------------------------ search

    @override
    def counts(self, query: SigmaSearch, window: Window) -> pa.Table:
        with terminal(self._name, query.name):
            search = Search(search_rule(query), window, (), DEFAULT_LIMIT)
        with self._session() as session, terminal(self._name, query.name):
            return run_count(session, lambda name: self._view(session, name, window), search)

    @override
    def originals(self, refs: Sequence[EventRef]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        groups: dict[str, list[EventRef]] = {}
        for ref in refs:
            groups.setdefault(ref.channel, []).append(ref)
        with self._session() as session:
            for channel, wanted in groups.items():
                times = [ref.time for ref in wanted]
                view = self._view(session, channel, Window(min(times) - _DAY, max(times) + _DAY))
                if view is not None:
                    found.update(_originals(session, view, [ref.uid for ref in wanted]))
        return found

    # ------------------------------------------------------------ inside

    @contextmanager
    def _session(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self._before()
        with open_session(self._name, self._limits, self._folders()) as session:
            yield session

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query over all events; ``{view}`` stands for them."""
        with self._session() as session:
            view = self._view(session, "", None)
            return rows(session, query.format(view=view.name)) if view is not None else []

    @override
    def _search(
        self, rule: SigmaRule, window: Window, fields: Sequence[str], limit: int
    ) -> SearchResult:
        own = {name for name, _ in EVENT_COLUMNS}
        names = tuple(field for field in dict.fromkeys(fields) if field not in own)
        search = Search(rule, window, names, max(limit, 1))
        with self._session() as session, terminal(self._name, str(rule.title)):
            return run_search(session, lambda name: self._view(session, name, window), search)


def fill_of(
    session: duckdb.DuckDBPyConnection, view: View, wants: Sequence[FieldWant], window: Window
) -> pa.Table:
    """The fill of every field wanted of one channel, in one pass over its events."""
    columns = VariantColumns(Variant(channel=wants[0].channel), view.columns)
    fields = list(dict.fromkeys(field for want in wants for field in want.fields))
    ids = sorted({int(want.event_id) for want in wants})
    counts = "".join(
        f", count(*) FILTER (trim({columns.projection(field)}) NOT IN {_EMPTY})" for field in fields
    )
    query = (
        f'SELECT "@host", any_value("@channel"), "@event_id", count(*){counts} FROM {view.name}'  # noqa: S608 - all quoted
        f' WHERE {period(window)} AND "@event_id" IN ({", ".join(map(str, ids))})'
        ' GROUP BY "@host", "@event_id" ORDER BY "@event_id", "@host"'
    )
    found = arrow(session, query)
    host, channel, event_id, events = (found.column(number) for number in range(4))
    at = {field: 4 + number for number, field in enumerate(fields)}
    parts = [FILL_SCHEMA.empty_table()]
    for want in wants:
        chosen = pc.equal(event_id, int(want.event_id))
        for field in want.fields:
            name = pa.array([field] * len(found), pa.string())
            part = [host, channel, event_id, name, found.column(at[field]), events]
            parts.append(
                shaped(pa.table(part, names=FILL_SCHEMA.names).filter(chosen), FILL_SCHEMA)
            )
    return pa.concat_tables(parts)


def _originals(
    session: duckdb.DuckDBPyConnection, view: View, uids: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for start in range(0, len(uids), _REFS_A_QUERY):
        wanted = list(uids[start : start + _REFS_A_QUERY])
        query = f'SELECT "@uid", "@raw" FROM {view.name} WHERE list_contains(?, "@uid")'  # noqa: S608 - a quoted name
        yield from session.execute(query, [wanted]).fetchall()


def _source(channel: str, found: Sequence[tuple[Any, ...]]) -> SourceRow:
    return SourceRow(
        channel=channel,
        events=sum(row[1] for row in found),
        event_ids={row[0]: row[1] for row in found},
        hosts=tuple(sorted({host for row in found for host in row[2]})),
        first=min(row[3] for row in found).astimezone(UTC),
        last=max(row[4] for row in found).astimezone(UTC),
    )
