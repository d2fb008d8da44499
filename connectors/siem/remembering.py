"""A SIEM that remembers what it was asked about old hours, for as long as they stay as they were.

Only probing is remembered (inventory, fill, counts, lags): sums by hour or span, never events. An
answer is kept under the *content* of its span, as the SIEM names it (``Siem.revisions``): late
events change the name, so that the span is asked for again, and nothing has to be invalidated. A
SIEM that does not name its content is asked each time.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from huntonce.models.finding import EventRef
from huntonce.models.ids import digest
from huntonce.models.ports import Siem
from huntonce.models.query import (
    COUNT_SCHEMA,
    FILL_SCHEMA,
    INVENTORY_SCHEMA,
    TIME,
    FieldWant,
    Revision,
    SearchResult,
    SiemCapabilities,
    SigmaSearch,
    sum_fill,
)
from huntonce.models.windows import Window

MAX_FILES = 20_000
MAX_BYTES = 512 * 1024**2
"""What the memory may take on disk; the answers used longest ago go first."""
_MAX_ENDS = 1000
_FORMAT = 1
_ALL_TIME = Window(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
_EXTENT = pa.schema([("start", TIME), ("end", TIME)])
_SUFFIX = ".arrow"


class Memory:
    """Tables by key in a folder, a file each; losing one, or the folder, costs only time."""

    def __init__(
        self, folder: Path, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._folder = folder
        self._max_files, self._max_bytes = max_files, max_bytes

    def get(self, key: str) -> pa.Table | None:
        """What was kept; None where nothing is, or it cannot be read."""
        path = self._folder / f"{key}{_SUFFIX}"
        try:
            with pa.OSFile(str(path)) as source:
                table: pa.Table = pa.ipc.open_file(source).read_all()
            os.utime(path)
        except (OSError, pa.ArrowException):
            return None
        return table

    def put(self, key: str, table: pa.Table) -> None:
        """Keep a table; where the folder cannot be written to, nothing is kept."""
        path = self._folder / f"{key}{_SUFFIX}"
        fresh = path.with_name(f".{key}.{secrets.token_hex(4)}")
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with pa.ipc.new_file(str(fresh), table.schema, options=options) as sink:
                sink.write_table(table)
            fresh.replace(path)
        except (OSError, pa.ArrowException):
            with suppress(OSError):
                fresh.unlink(missing_ok=True)

    def prune(self) -> None:
        """Drop what was used longest ago, where there is too much."""
        with suppress(OSError):
            found = [(e.stat(), e.path) for e in os.scandir(self._folder)]
            found.sort(key=lambda item: item[0].st_mtime, reverse=True)
            size = 0
            for number, (stat, path) in enumerate(found):
                size += stat.st_size
                if number >= self._max_files or size > self._max_bytes:
                    Path(path).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question that is answered span by span: its key, how to ask, and whether by the hour."""

    key: tuple[object, ...]
    ask: Callable[[Window], pa.Table]
    schema: pa.Schema
    hourly: bool


class RememberingSiem(Siem):
    """Another SIEM, with a memory of its probes."""

    def __init__(self, siem: Siem, folder: Path) -> None:
        self._siem = siem
        self._memory = Memory(folder)
        self._ends: dict[Revision, tuple[datetime, datetime] | None] = {}

    @property
    @override
    def name(self) -> str:
        return self._siem.name

    @override
    def capabilities(self) -> SiemCapabilities:
        return self._siem.capabilities()

    @override
    def extent(self) -> Window | None:
        def ask() -> pa.Table:
            found = self._siem.extent()
            ends = [] if found is None else [{"start": found.start, "end": found.end}]
            return pa.Table.from_pylist(ends, _EXTENT)

        ends = self._by_content(("extent",), _ALL_TIME, ask).to_pylist()
        return Window(ends[0]["start"], ends[0]["end"]) if ends else None

    @override
    def hosts(self) -> frozenset[str]:
        def ask() -> pa.Table:
            return pa.table({"host": pa.array(sorted(self._siem.hosts()), pa.string())})

        return frozenset(self._by_content(("hosts",), _ALL_TIME, ask).column("host").to_pylist())

    @override
    def search(self, query: SigmaSearch, window: Window) -> SearchResult:
        return self._siem.search(query, window)

    @override
    def search_rule(self, rule: str, window: Window, fields: Sequence[str] = ()) -> SearchResult:
        return self._siem.search_rule(rule, window, fields)

    @override
    def originals(self, refs: Sequence[EventRef]) -> Mapping[str, str]:
        return self._siem.originals(refs)

    @override
    def revisions(self, window: Window) -> Sequence[Revision]:
        return self._siem.revisions(window)

    # ------------------------------------------------------------ remembered

    @override
    def inventory(self, window: Window) -> pa.Table:
        return self._answer(self._inventory(), window)

    @override
    def counts(self, query: SigmaSearch, window: Window) -> pa.Table:
        meant = {name: value for name, value in asdict(query).items() if name != "name"}
        return self._answer(
            _Asked(
                ("counts", meant),
                lambda span: self._siem.counts(query, span),
                COUNT_SCHEMA,
                hourly=True,
            ),
            window,
        )

    @override
    def field_fill(self, window: Window, wants: Sequence[FieldWant]) -> pa.Table:
        asked = _Asked(
            ("fill", sorted((w.channel, w.event_id, sorted(w.fields)) for w in wants)),
            lambda span: self._siem.field_fill(span, wants),
            FILL_SCHEMA,
            hourly=False,
        )
        return sum_fill(self._answer(asked, window))

    @override
    def lags(self, window: Window) -> pa.Table:
        return self._by_content(("lags", str(window)), window, lambda: self._siem.lags(window))

    # ------------------------------------------------------------ inside

    def _inventory(self) -> _Asked:
        return _Asked(("inventory",), self._siem.inventory, INVENTORY_SCHEMA, hourly=True)

    def _key(self, *parts: object) -> str:
        return digest(_FORMAT, self._siem.name, *parts)[:40]

    def _by_content(
        self, key: tuple[object, ...], window: Window, ask: Callable[[], pa.Table]
    ) -> pa.Table:
        """An answer that is kept as long as nothing in a window changes."""
        revisions = self._siem.revisions(window)
        if not revisions:
            return ask()
        name = self._key(key, *((str(r.span), r.mark) for r in revisions))
        known = self._memory.get(name)
        if known is not None:
            return known
        table = ask()
        if self._siem.revisions(window) == revisions:
            self._memory.put(name, table)
        return table

    def _answer(self, asked: _Asked, window: Window) -> pa.Table:
        """The answer over a window: whole spans as remembered, what they do not fit to anew."""
        revisions = self._siem.revisions(window)
        if not revisions:
            return asked.ask(window)
        whole = [r for r in revisions if self._fits(r, window)]
        parts = [asked.schema.empty_table(), *self._spans(asked, whole)]
        for revision in revisions:
            part = None if revision in whole else revision.span.overlap(window)
            if part is not None:
                parts.append(asked.ask(part))
        return pa.concat_tables(part.cast(asked.schema) for part in parts).combine_chunks()

    def _fits(self, revision: Revision, window: Window) -> bool:
        """Whether all that is held of a span lies in a window."""
        span = revision.span
        if window.start <= span.start and span.end <= window.end:
            return True
        if revision not in self._ends:
            if len(self._ends) >= _MAX_ENDS:
                self._ends.clear()
            (inventory,) = self._spans(self._inventory(), [revision])
            first, last = pc.min(inventory["first"]).as_py(), pc.max(inventory["last"]).as_py()
            self._ends[revision] = (first, last) if inventory.num_rows else None
        ends = self._ends[revision]
        return ends is None or (window.start <= ends[0] and ends[1] < window.end)

    def _spans(self, asked: _Asked, revisions: Sequence[Revision]) -> list[pa.Table]:
        """The answer for each span; those not known are asked for in as few questions as can be."""
        keys = {r: self._key(asked.key, str(r.span), r.mark) for r in revisions}
        found = {r: self._memory.get(key) for r, key in keys.items()}
        missing = [r for r, table in found.items() if table is None]
        for run in _runs(missing) if asked.hourly else [[r] for r in missing]:
            window = Window(run[0].span.start, run[-1].span.end)
            table = asked.ask(window).cast(asked.schema)
            # Events that came in between are in the answer and not in the name it would have.
            after = set(self._siem.revisions(window))
            for revision in run:
                part = _within(table, revision.span) if asked.hourly else table
                found[revision] = part
                if revision in after:
                    self._memory.put(keys[revision], part)
        if missing:
            self._memory.prune()
        return [table for r in revisions if (table := found[r]) is not None]


def _runs(revisions: Iterable[Revision]) -> list[list[Revision]]:
    """Spans that follow each other without a hole, together."""
    ordered = sorted(revisions, key=lambda r: r.span)
    starts: list[datetime] = []
    for before, now in zip([None, *ordered], ordered, strict=False):
        joined = before is not None and before.span.end == now.span.start
        starts.append(starts[-1] if joined else now.span.start)
    paired = zip(starts, ordered, strict=True)
    return [[r for _, r in group] for _, group in groupby(paired, key=lambda item: item[0])]


def _within(table: pa.Table, span: Window) -> pa.Table:
    hour = table.column("hour")
    inside = pc.and_(
        pc.greater_equal(hour, pa.scalar(span.start, hour.type)),
        pc.less(hour, pa.scalar(span.end, hour.type)),
    )
    return table.filter(inside).combine_chunks()
