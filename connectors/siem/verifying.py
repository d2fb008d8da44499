"""Events that another system found, decided by the predicate that the lake runs."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa
from sigma.rule import SigmaRule

from huntonce.connectors.siem.lake.columns import Row, table
from huntonce.connectors.siem.search import Search, result_schema, run_search
from huntonce.connectors.siem.session import View, view_of
from huntonce.models.windows import Window


class PageVerifier:
    """Keeps of each page of events those that a rule really matches, with the asked-for fields.

    Args:
        session: A database that reads nothing else.
        rule: What must match.
        window: In which the events' own times must lie.
        fields: To keep of each.
    """

    def __init__(
        self,
        session: duckdb.DuckDBPyConnection,
        rule: SigmaRule,
        window: Window,
        fields: tuple[str, ...],
    ) -> None:
        self._session = session
        self._rule = rule
        self._window = window
        self._fields = fields
        self._tables: list[pa.Table] = []
        self._uids: set[str] = set()

    @staticmethod
    def schema(fields: Sequence[str]) -> pa.Schema:
        """Of the rows that are kept."""
        return result_schema(fields)

    @property
    def found(self) -> int:
        """Events kept so far; one that came twice counts once.

        By this a reader sees whether there are more than the limit: by rows, what came twice
        would end the reading with fewer events than that, and the cut would not be told.
        """
        return len(self._uids)

    def add(self, rows: Sequence[Row]) -> None:
        """Decide a page.

        Raises:
            DomainError, TerminalError: The rule cannot be run.
        """
        if not rows:
            return
        page = table(rows)

        def view(channel: str) -> View:
            return view_of(self._session, page, channel)

        search = Search(self._rule, self._window, self._fields, len(rows))
        kept = run_search(self._session, view, search).table
        self._uids.update(kept.column("uid").to_pylist())
        self._tables.append(kept)

    def table(self) -> pa.Table:
        """All that was kept."""
        return pa.concat_tables([self.schema(self._fields).empty_table(), *self._tables])
