"""One Sigma rule over every place where its log source is recorded, then merged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from sigma.rule import SigmaRule

from huntonce.connectors.siem.columns import VariantColumns
from huntonce.connectors.siem.session import HOUR_OF, View, arrow, period, rows, shaped
from huntonce.connectors.sigma.duckdb_backend import predicate
from huntonce.connectors.sigma.logsource import Variant, variants
from huntonce.connectors.sigma.rules import logsource_of
from huntonce.models.query import COUNT_SCHEMA, EVENT_COLUMNS, SearchResult, sum_counts
from huntonce.models.windows import Window

OpenView = Callable[[str], View | None]
"""The view of a channel's events ("" for every channel)."""

_EVENT = '"@uid", "@time", "@host", "@channel", "@event_id", "@record_id"'


@dataclass(frozen=True, slots=True)
class Search:
    """A rule, where in time, what to give back of each event and how many at most."""

    rule: SigmaRule
    window: Window
    fields: tuple[str, ...]
    limit: int


@dataclass(frozen=True, slots=True)
class _Part:
    query: str
    table: pa.Table
    named: frozenset[str]
    present: frozenset[str]


def run_search(
    session: duckdb.DuckDBPyConnection, open_view: OpenView, search: Search
) -> SearchResult:
    """What the rule matches.

    Raises:
        DomainError: The rule cannot be compiled, or its log source is not known.
        duckdb.Error: The query fails.
    """
    parts: list[_Part] = []
    for place in variants(logsource_of(search.rule)):
        view = open_view(place.channel)
        part = _search_place(session, view, place, search) if view is not None else None
        if part is not None:
            parts.append(part)
    if not parts:
        # A rule that cannot run is a fault even where there is nothing to run it over.
        predicate(search.rule, VariantColumns(Variant(), ()))
    return _merged(parts, search)


def run_count(session: duckdb.DuckDBPyConnection, open_view: OpenView, search: Search) -> pa.Table:
    """How many events the rule matches, by host and hour (``COUNT_SCHEMA``).

    Raises:
        DomainError, duckdb.Error: As ``run_search``.
    """
    parts = [COUNT_SCHEMA.empty_table()]
    for place in variants(logsource_of(search.rule)):
        view = open_view(place.channel)
        condition = predicate(search.rule, VariantColumns(place, view.columns if view else ()))
        if view is None:
            continue
        query = (
            f'SELECT "@host", {HOUR_OF}, count(*)'  # noqa: S608 - quoted by the compiler
            f" FROM {view.name} WHERE {_scope(place, search.window)} AND ({condition})"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        )
        parts.append(shaped(arrow(session, query), COUNT_SCHEMA))
    return sum_counts(pa.concat_tables(parts))


def _search_place(
    session: duckdb.DuckDBPyConnection, view: View, place: Variant, search: Search
) -> _Part | None:
    """The events of one place; None where it holds none in the window."""
    columns = VariantColumns(place, view.columns)
    condition = predicate(search.rule, columns)
    source = f"FROM {view.name} WHERE {_scope(place, search.window)}"
    present = _present(session, source, columns)
    if present is None:
        return None
    fields = "".join(
        f", {columns.projection(field)} AS f{number}" for number, field in enumerate(search.fields)
    )
    query = (
        f"SELECT {_EVENT}{fields} {source} AND ({condition})"
        f' ORDER BY "@time", "@uid" LIMIT {search.limit + 1}'
    )
    table = shaped(arrow(session, query), result_schema(search.fields))
    return _Part(query, table, frozenset(columns.named), present)


def _scope(place: Variant, window: Window) -> str:
    scope = period(window)
    if place.event_ids:
        scope += f' AND "@event_id" IN ({", ".join(map(str, place.event_ids))})'
    return scope


def _present(
    session: duckdb.DuckDBPyConnection, source: str, columns: VariantColumns
) -> frozenset[str] | None:
    """The rule's fields that some event has a value for; None where there is no event."""
    known = [field for field, column in columns.named.items() if column is not None]
    counted = "".join(f", count({columns.projection(field)})" for field in known)
    ((events, *filled),) = rows(session, f"SELECT count(*){counted} {source}")
    if events == 0:
        return None
    return frozenset(field for field, count in zip(known, filled, strict=True) if count)


def _merged(parts: Sequence[_Part], search: Search) -> SearchResult:
    schema = result_schema(search.fields)
    together = pa.concat_tables([schema.empty_table(), *(part.table for part in parts)])
    if len(parts) > 1:
        together = together.sort_by([("time", "ascending"), ("uid", "ascending")])
    named = frozenset[str]().union(*(part.named for part in parts))
    present = frozenset[str]().union(*(part.present for part in parts))
    return SearchResult(
        table=together.slice(0, search.limit).combine_chunks(),
        queries=tuple(part.query for part in parts),
        absent_fields=tuple(sorted(named - present)),
        absent_source=not parts,
        truncated=len(together) > search.limit,
    )


def result_schema(fields: Sequence[str]) -> pa.Schema:
    """Of a search's table, with the projected fields."""
    return pa.schema([*EVENT_COLUMNS, *((field, pa.string()) for field in fields)])
