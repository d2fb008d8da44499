"""The embedded SIEM: Parquet partitions read through DuckDB."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from huntonce.connectors.siem.engine import DuckDBSiem
from huntonce.connectors.siem.lake.filling import fill
from huntonce.connectors.siem.lake.layout import (
    INGESTED,
    channel_folder,
    day_window,
    days_touched,
    events_folder,
    file_names,
    files,
    partitions,
)
from huntonce.connectors.siem.lake.surveying import (
    SurveyFile,
    Surveyor,
    Unusual,
    inventory,
)
from huntonce.connectors.siem.session import Limits, View
from huntonce.connectors.siem.sweep.counting import Counted, count_all, countable
from huntonce.connectors.sigma.duckdb_backend import quote_name, quote_text
from huntonce.connectors.sigma.rules import search_rule
from huntonce.models.errors import ConfigError, ConnectorError, DomainError, TransientError
from huntonce.models.ids import digest
from huntonce.models.query import (
    FILL_SCHEMA,
    LAG_SCHEMA,
    FieldWant,
    Revision,
    SigmaSearch,
)
from huntonce.models.windows import Window

if TYPE_CHECKING:
    from datetime import date

_T = TypeVar("_T")
_GLOB = frozenset("*?[")
_MAX_SCHEMAS = 100_000


class Lake(DuckDBSiem):
    """The lake in a folder, which ``loader.load_paths`` fills; a missing one holds nothing.

    Args:
        root: The lake's folder.
        memory_limit: Of each call, as DuckDB writes sizes.
        threads: Of each call.

    Raises:
        ConfigError: The path holds a character that DuckDB takes for a wildcard.
    """

    def __init__(
        self, root: Path, *, name: str = "lake", memory_limit: str = "2GB", threads: int = 2
    ) -> None:
        super().__init__(name, Limits(memory=memory_limit, threads=threads))
        self._root = root.resolve()
        if _GLOB & set(str(self._root)):
            raise ConfigError(
                f"the lake's path holds one of * ? [ : {self._root}", hint="choose another folder"
            )
        self._schemas: dict[Path, tuple[str, ...]] = {}
        self._surveyor = Surveyor()

    @override
    def revisions(self, window: Window) -> Sequence[Revision]:
        """A day each: its files are named by the events in them, and never change."""
        first, last = days_touched(window)
        days: dict[date, list[str]] = {}
        for partition in partitions(self._root):
            if first <= partition.day <= last:
                held = days.setdefault(partition.day, [])
                held += [f"{partition.channel}/{n}" for n in file_names(self._root, partition)]
        return tuple(
            Revision(span=day_window(day), mark=digest(*sorted(held)))
            for day, held in sorted(days.items())
            if held
        )

    # ------------------------------------------------------------ what is summed without a query

    @override
    def extent(self) -> Window | None:
        def ask() -> Window | None:
            found = [file.classes for file in self._survey("", None)]
            if not found:
                return None
            first, last = min(one.first for one in found), max(one.last for one in found)
            return Window(_moment(first), _moment(last + 1))

        return self._summed(ask, super().extent)

    @override
    def hosts(self) -> frozenset[str]:
        def ask() -> frozenset[str]:
            found = [self._surveyor.hosts(file)[0] for file in self._survey("", None)]
            return frozenset[str]().union(*found)

        return self._summed(ask, super().hosts)

    @override
    def inventory(self, window: Window) -> pa.Table:
        return self._summed(
            lambda: inventory(self._surveyor, self._survey("", window), window),
            partial(super().inventory, window),
        )

    @override
    def field_fill(self, window: Window, wants: Sequence[FieldWant]) -> pa.Table:
        channels: dict[str, list[FieldWant]] = {}
        for want in wants:
            channels.setdefault(want.channel, []).append(want)

        def ask() -> pa.Table:
            tables = [FILL_SCHEMA.empty_table()]
            for channel, wanted in channels.items():
                files = self._survey(channel, window)
                tables.append(fill(self._surveyor, files, window, wanted))
            return pa.concat_tables(tables).combine_chunks()

        return self._summed(ask, partial(super().field_fill, window, wants))

    @override
    def lags(self, window: Window) -> pa.Table:
        def ask() -> pa.Table:
            for file in self._survey("", window):
                if any(INGESTED in run.columns for run in file.classes.runs):
                    raise Unusual
            return LAG_SCHEMA.empty_table()  # nothing says when it was taken in

        return self._summed(ask, partial(super().lags, window))

    @override
    def counts_of(
        self, queries: Sequence[SigmaSearch], window: Window
    ) -> Sequence[pa.Table | ConnectorError]:
        together: dict[int, Counted] = {}
        for number, query in enumerate(queries):
            with suppress(DomainError):
                counted = countable(search_rule(query))
                if counted is not None:
                    together[number] = counted

        def ask() -> dict[int, pa.Table | ConnectorError]:
            tables = count_all(
                self._surveyor,
                lambda channel: self._survey(channel, window),
                list(together.values()),
                window,
            )
            return dict(zip(together, tables, strict=True))

        found = self._summed(ask, dict[int, pa.Table | ConnectorError])
        alone = [number for number in range(len(queries)) if number not in found]
        answers = super().counts_of([queries[number] for number in alone], window)
        found.update(zip(alone, answers, strict=True))
        return [found[number] for number in range(len(queries))]

    def _summed(self, ask: Callable[[], _T], otherwise: Callable[[], _T]) -> _T:
        """An answer summed from the files, or from a query where they are unusual."""
        try:
            return ask()
        except Unusual:
            return otherwise()
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable("", error) from error

    def _survey(self, channel: str, window: Window | None) -> list[SurveyFile]:
        """The files of a channel, "" for every channel, of the days that a window touches."""
        found = []
        for path in self._files(channel, window):
            try:
                file = self._surveyor.file(path, path.parent.parent.name)
                if file.classes.runs:
                    found.append(file)
            except (pa.ArrowException, OSError) as error:
                raise self._unreadable(path.name, error) from error
        return found

    def _unreadable(self, name: str, error: Exception) -> TransientError:
        hint = "repeat; if it stays, delete that file and load its source again"
        message = f"a file of the lake cannot be read: {name}: {error}"
        return TransientError(message, connector=self.name, hint=hint)

    @override
    def _folders(self) -> Sequence[str]:
        return (str(events_folder(self._root)),)

    @override
    def _view(
        self, session: duckdb.DuckDBPyConnection, channel: str, window: Window | None
    ) -> View | None:
        paths = self._files(channel, window)
        if not paths:
            return None
        columns = self._columns(paths)
        listed = ", ".join(quote_text(str(path)) for path in paths)
        name = quote_name(channel or "events")
        session.execute(
            f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM"  # noqa: S608 - quoted parts
            f" read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
        )
        return View(name, columns)

    def _files(self, channel: str, window: Window | None) -> list[Path]:
        folder = channel_folder(channel) if channel else None
        days = days_touched(window) if window is not None else None
        return [
            path
            for partition in partitions(self._root, folder)
            if days is None or days[0] <= partition.day <= days[1]
            for path in files(self._root, partition)
        ]

    def _columns(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """Every column of the files, in its first spelling."""
        found: dict[str, str] = {}
        for path in paths:
            for name in self._schema(path):
                found.setdefault(name.lower(), name)
        return tuple(found.values())

    def _schema(self, path: Path) -> tuple[str, ...]:
        """A file's columns; a finished file never changes, so they are read once."""
        known = self._schemas.get(path)
        if known is None:
            try:
                known = tuple(pq.read_schema(path).names)
            except (pa.ArrowException, OSError) as error:
                raise self._unreadable(path.name, error) from error
            if len(self._schemas) >= _MAX_SCHEMAS:
                self._schemas.clear()
            self._schemas[path] = known
        return known


def _moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
