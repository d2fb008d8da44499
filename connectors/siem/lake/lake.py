"""The embedded SIEM: Parquet partitions read through DuckDB."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import override

from huntonce.connectors.siem.engine import DuckDBSiem
from huntonce.connectors.siem.lake.layout import (
    channel_folder,
    day_window,
    days_touched,
    events_folder,
    file_names,
    files,
    partitions,
)
from huntonce.connectors.siem.session import Limits, View
from huntonce.connectors.sigma.duckdb_backend import quote_name, quote_text
from huntonce.models.errors import ConfigError, TransientError
from huntonce.models.ids import digest
from huntonce.models.query import Revision
from huntonce.models.windows import Window

if TYPE_CHECKING:
    from datetime import date

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

    def _unreadable(self, name: str, error: Exception) -> TransientError:
        """What to say of a file that cannot be read; it may be there the next time."""
        hint = "repeat; if it stays, delete that file and load its source again"
        message = f"a file of the lake cannot be read: {name}: {error}"
        return TransientError(message, connector=self.name, hint=hint)
