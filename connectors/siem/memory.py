"""A SIEM in memory that can refuse, stall and cut: for tests, and for trying hunts by hand."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import orjson
from typing_extensions import override

from huntonce.connectors.siem.engine import DuckDBSiem
from huntonce.connectors.siem.lake.clock import Clock
from huntonce.connectors.siem.lake.columns import Row, table
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.session import Limits, View, view_of
from huntonce.models.errors import DomainError, TerminalError, TransientError
from huntonce.models.query import SearchResult, SigmaSearch
from huntonce.models.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa


class MemorySiem(DuckDBSiem):
    """Events that stand in memory, searched as the lake is.

    Args:
        events: In any shape that the lake loads, as parsed JSON; the same event twice is one.

    Attributes:
        refuse: Every call fails for good: no permission.
        time_out: So many calls fail from now on, and may work when repeated.
        cut: Most rows that a search gives; the result then says that it was cut.
    """

    def __init__(self, events: Iterable[Mapping[str, Any]] = (), *, name: str = "memory") -> None:
        super().__init__(name, Limits(memory="1GB", threads=1))
        self.refuse = False
        self.time_out = 0
        self.cut: int | None = None
        self._rows: dict[str, Row] = {}
        self._table: pa.Table | None = None
        self.add(events)

    def add(self, events: Iterable[Mapping[str, Any]]) -> int:
        """Hold more events; how many of them were new.

        Raises:
            DomainError: One is no event.
        """
        before = len(self._rows)
        for document in events:
            row = _row(document)
            self._rows.setdefault(row.event.uid, row)
        self._table = table(list(self._rows.values())) if self._rows else None
        return len(self._rows) - before

    @override
    def search(self, query: SigmaSearch, window: Window) -> SearchResult:
        return self._short(super().search(query, window))

    @override
    def search_rule(self, rule: str, window: Window, fields: Sequence[str] = ()) -> SearchResult:
        return self._short(super().search_rule(rule, window, fields))

    @override
    def _view(
        self, session: duckdb.DuckDBPyConnection, channel: str, window: Window | None
    ) -> View | None:
        if self._table is None:
            return None
        return view_of(session, self._table, channel)

    @override
    def _before(self) -> None:
        if self.refuse:
            raise TerminalError(
                "not allowed to search", connector=self.name, hint="ask for read permission"
            )
        if self.time_out > 0:
            self.time_out -= 1
            raise TransientError("no answer in time", connector=self.name, hint="repeat")

    def _short(self, result: SearchResult) -> SearchResult:
        if self.cut is None or len(result.table) <= self.cut:
            return result
        return SearchResult(
            table=result.table.slice(0, self.cut),
            queries=result.queries,
            absent_fields=result.absent_fields,
            absent_source=result.absent_source,
            truncated=True,
        )


def _row(document: Mapping[str, Any]) -> Row:
    try:
        event = normalise(dict(document))
    except NotAnEventError as error:
        raise DomainError(str(error)) from error
    time, note = event.recorded, "utc"
    if event.local:
        time, note = Clock().correct(event.host, event.recorded, event.hint)
    return Row(event, time, note, "memory", orjson.dumps(document))
