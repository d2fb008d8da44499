"""A SIEM that remembers what it was asked about old hours, for as long as they stay as they were.

Only probing is remembered (inventory, fill, counts, lags): sums by hour or span, never events. An
answer is kept under the *content* of its span, as the SIEM names it (``Siem.revisions``): late
events change the name, so that the span is asked for again, and nothing has to be invalidated. A
SIEM that does not name its content is asked each time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from huntonce.connectors.siem.answers import Memory, packed
from huntonce.models.errors import ConnectorError
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

_MAX_ENDS = 1000
_FORMAT = 2
_HELD = b"held"
"""In the metadata of a kept fill: the event ids and fields that were asked for."""
_ALL_TIME = Window(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
_EXTENT = pa.schema([("start", TIME), ("end", TIME)])


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question that is answered by the hour: its key and the answer's shape."""

    key: tuple[object, ...]
    schema: pa.Schema


_AskMany = Callable[[Sequence[int], Window], Sequence[pa.Table | ConnectorError]]
"""Asks some of several questions, by their numbers."""
_Parts = list[list[pa.Table] | ConnectorError]


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
        return self._answer(_INVENTORY, self._siem.inventory, window)

    @override
    def counts(self, query: SigmaSearch, window: Window) -> pa.Table:
        return self._answer(_counts(query), lambda span: self._siem.counts(query, span), window)

    @override
    def counts_of(
        self, queries: Sequence[SigmaSearch], window: Window
    ) -> Sequence[pa.Table | ConnectorError]:
        def ask(numbers: Sequence[int], span: Window) -> Sequence[pa.Table | ConnectorError]:
            return self._siem.counts_of([queries[number] for number in numbers], span)

        return self._answers([_counts(query) for query in queries], ask, window)

    @override
    def field_fill(self, window: Window, wants: Sequence[FieldWant]) -> pa.Table:
        revisions = self._siem.revisions(window)
        if not revisions:
            return self._siem.field_fill(window, wants)
        whole, edges = self._split(revisions, window)
        channels: dict[str, list[FieldWant]] = {}
        for want in wants:
            channels.setdefault(want.channel, []).append(want)
        parts = [FILL_SCHEMA.empty_table(), *(self._siem.field_fill(e, wants) for e in edges)]
        for revision in whole:
            parts += [self._filled(revision, name, asked) for name, asked in channels.items()]
        return sum_fill(pa.concat_tables(part.cast(FILL_SCHEMA) for part in parts))

    @override
    def lags(self, window: Window) -> pa.Table:
        return self._by_content(("lags", str(window)), window, lambda: self._siem.lags(window))

    # ------------------------------------------------------------ inside

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
            return _plain(known)
        table = ask()
        if self._siem.revisions(window) == revisions:
            self._memory.put(name, table)
        return table

    def _answer(self, asked: _Asked, ask: Callable[[Window], pa.Table], window: Window) -> pa.Table:
        """The answer over a window: whole spans as remembered, what they do not fit to anew."""
        (answer,) = self._answers([asked], lambda _, span: [ask(span)], window)
        if isinstance(answer, ConnectorError):
            raise answer
        return answer

    def _answers(
        self, several: Sequence[_Asked], ask: _AskMany, window: Window
    ) -> list[pa.Table | ConnectorError]:
        """As ``_answer`` for questions that can be asked together; a fault is one's own."""
        everyone = range(len(several))
        revisions = self._siem.revisions(window)
        if not revisions:
            return list(ask(everyone, window))
        whole, edges = self._split(revisions, window)
        parts = self._spans(several, ask, whole)
        for edge in edges:
            _add(parts, several, everyone, ask(everyone, edge))
        return [
            found if isinstance(found, ConnectorError) else _together(found, asked.schema)
            for asked, found in zip(several, parts, strict=True)
        ]

    def _split(
        self, revisions: Sequence[Revision], window: Window
    ) -> tuple[list[Revision], list[Window]]:
        """Spans that lie in a window with all that they hold, and what it has of the others."""
        whole = [r for r in revisions if self._fits(r, window)]
        others = (r.span.overlap(window) for r in revisions if r not in whole)
        return whole, [part for part in others if part is not None]

    def _fits(self, revision: Revision, window: Window) -> bool:
        """Whether all that is held of a span lies in a window."""
        span = revision.span
        if window.start <= span.start and span.end <= window.end:
            return True
        if revision not in self._ends:
            if len(self._ends) >= _MAX_ENDS:
                self._ends.clear()
            inventory = self._inventory_of(revision)
            first, last = pc.min(inventory["first"]).as_py(), pc.max(inventory["last"]).as_py()
            self._ends[revision] = (first, last) if inventory.num_rows else None
        ends = self._ends[revision]
        return ends is None or (window.start <= ends[0] and ends[1] < window.end)

    def _inventory_of(self, revision: Revision) -> pa.Table:
        (found,) = self._spans([_INVENTORY], lambda _, s: [self._siem.inventory(s)], [revision])
        if isinstance(found, ConnectorError):
            raise found
        return _together(found, INVENTORY_SCHEMA)

    def _spans(
        self, several: Sequence[_Asked], ask: _AskMany, revisions: Sequence[Revision]
    ) -> _Parts:
        """The answers over whole spans; what is not known is asked in as few questions as can be.

        Questions of which the same is unknown are asked together.
        """
        found: _Parts = []
        unknown: dict[tuple[Revision, ...], list[int]] = {}
        for number, asked in enumerate(several):
            known = {r: self._memory.get(self._span_key(asked, r)) for r in revisions}
            found.append([table for table in known.values() if table is not None])
            if missing := tuple(r for r, table in known.items() if table is None):
                unknown.setdefault(missing, []).append(number)
        for missing, numbers in unknown.items():
            for run in _runs(missing):
                span = Window(run[0].span.start, run[-1].span.end)
                answers = ask(numbers, span)
                # Events that came in between are in the answer and not in the name it would have.
                after = set(self._siem.revisions(span))
                for number, tables in _add(found, several, numbers, answers):
                    for revision, part in zip(run, _by_span(tables, run), strict=True):
                        if revision in after:
                            self._memory.put(self._span_key(several[number], revision), part)
        if unknown:
            self._memory.prune()
        return found

    def _span_key(self, asked: _Asked, revision: Revision) -> str:
        return self._key(asked.key, str(revision.span), revision.mark)

    def _filled(self, revision: Revision, channel: str, wants: Sequence[FieldWant]) -> pa.Table:
        """The fill in a span of fields of one channel; what was never asked for is asked for."""
        key = self._key(("fill", channel), str(revision.span), revision.mark)
        known = self._memory.get(key)
        held = _held(known)
        if not held:
            known = None  # it does not tell what it is about
        fresh = [
            FieldWant(channel=channel, event_id=want.event_id, fields=lacking)
            for want in wants
            if (lacking := tuple(f for f in want.fields if (want.event_id, f) not in held))
        ]
        if known is None or fresh:
            table = self._siem.field_fill(revision.span, fresh).cast(FILL_SCHEMA)
            before = [] if known is None else [known.cast(FILL_SCHEMA)]
            held |= {(want.event_id, field) for want in fresh for field in want.fields}
            known = pa.concat_tables([*before, table]).replace_schema_metadata(
                {_HELD: orjson.dumps(sorted(held))}
            )
            if revision in self._siem.revisions(revision.span):
                self._memory.put(key, known)
        return _wanted(known, wants, held)


_INVENTORY = _Asked(("inventory",), INVENTORY_SCHEMA)


def _counts(query: SigmaSearch) -> _Asked:
    meant = {name: value for name, value in asdict(query).items() if name != "name"}
    return _Asked(("counts", meant), COUNT_SCHEMA)


def _add(
    found: _Parts,
    several: Sequence[_Asked],
    numbers: Sequence[int],
    answers: Sequence[pa.Table | ConnectorError],
) -> list[tuple[int, pa.Table]]:
    """Put answers to the others, a fault in place of all; the answers as they are kept."""
    packed_: list[tuple[int, pa.Table]] = []
    for number, answer in zip(numbers, answers, strict=True):
        before = found[number]
        if isinstance(answer, ConnectorError):
            found[number] = answer
        elif not isinstance(before, ConnectorError):
            table = packed(answer.cast(several[number].schema))
            before.append(table)
            packed_.append((number, table))
    return packed_


def _together(parts: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(parts).cast(schema) if parts else schema.empty_table()


def _plain(table: pa.Table) -> pa.Table:
    """The same with texts as texts."""
    schema = pa.schema(
        [
            (f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type)
            for f in table.schema
        ]
    )
    return table.cast(schema)


def _held(known: pa.Table | None) -> set[tuple[int, str]]:
    """Event ids and fields that a kept answer is about; one that does not tell is about none."""
    if known is None:
        return set()
    try:
        return {
            (int(event_id), str(name))
            for event_id, name in orjson.loads((known.schema.metadata or {})[_HELD])
        }
    except (KeyError, ValueError, TypeError):
        return set()


def _wanted(table: pa.Table, wants: Sequence[FieldWant], held: set[tuple[int, str]]) -> pa.Table:
    """The rows of the event ids and fields wanted."""
    wanted = {(want.event_id, field) for want in wants for field in want.fields}
    if wanted == held:
        return table
    kept = np.zeros(len(table), np.bool_)
    ids = table.column("event_id").to_numpy()
    for want in wants:
        here = pc.is_in(table.column("field").cast(pa.string()), pa.array(want.fields))
        kept |= (ids == want.event_id) & here.to_numpy()
    return table.filter(pa.array(kept))


def _runs(revisions: Iterable[Revision]) -> list[list[Revision]]:
    """Spans that follow each other without a hole, together."""
    ordered = sorted(revisions, key=lambda r: r.span)
    starts: list[datetime] = []
    for before, now in zip([None, *ordered], ordered, strict=False):
        joined = before is not None and before.span.end == now.span.start
        starts.append(starts[-1] if joined else now.span.start)
    paired = zip(starts, ordered, strict=True)
    return [[r for _, r in group] for _, group in groupby(paired, key=lambda item: item[0])]


def _by_span(table: pa.Table, run: Sequence[Revision]) -> list[pa.Table]:
    """An answer by the hour cut at the ends of spans that follow each other."""
    if len(run) == 1:
        return [table]
    ends = pa.array([revision.span.end for revision in run], TIME).cast(pa.int64()).to_numpy()
    span = np.searchsorted(ends, table.column("hour").cast(pa.int64()).to_numpy(), side="right")
    order = np.argsort(span, kind="stable")
    sorted_ = table.take(pa.array(order))
    cuts = np.searchsorted(span[order], np.arange(len(run) + 1)).tolist()
    return [sorted_.slice(start, end - start).combine_chunks() for start, end in pairwise(cuts)]
