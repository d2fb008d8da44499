"""A SIEM that remembers what it was asked about old hours, for as long as they stay as they were.

Only probing is remembered (inventory, fill, counts, lags): sums by hour or span, never events. An
answer is kept under the *content* of its span, as the SIEM names it (``Siem.revisions``): late
events change the name, so that the span is asked for again, and nothing has to be invalidated. A
SIEM that does not name its content is asked each time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from huntonce.connectors.siem.answers import Memory, Part
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
_ALL_TIME = Window(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
_EXTENT = pa.schema([("start", TIME), ("end", TIME)])


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question that is answered span by span: its key, how to ask, and whether by the hour."""

    key: tuple[object, ...]
    ask: Callable[[Window], pa.Table] | None
    schema: pa.Schema
    hourly: bool


_AskMany = Callable[[Sequence[int], Window], Sequence[pa.Table | ConnectorError]]
"""Asks some of several questions, by their numbers."""


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
        asked = self._counts(query, lambda span: self._siem.counts(query, span))
        return self._answer(asked, window)

    @override
    def counts_of(
        self, queries: Sequence[SigmaSearch], window: Window
    ) -> Sequence[pa.Table | ConnectorError]:
        def ask(numbers: Sequence[int], span: Window) -> Sequence[pa.Table | ConnectorError]:
            return self._siem.counts_of([queries[number] for number in numbers], span)

        return self._answers([self._counts(query, None) for query in queries], ask, window)

    @staticmethod
    def _counts(query: SigmaSearch, ask: Callable[[Window], pa.Table] | None) -> "_Asked":
        meant = {name: value for name, value in asdict(query).items() if name != "name"}
        return _Asked(("counts", meant), ask, COUNT_SCHEMA, hourly=True)

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
        (answer,) = self._answers([asked], _alone(asked), window)
        if isinstance(answer, ConnectorError):
            raise answer
        return answer

    def _answers(
        self, several: Sequence[_Asked], ask: _AskMany, window: Window
    ) -> list[pa.Table | ConnectorError]:
        """As ``_answer`` for questions that can be asked together."""
        revisions = self._siem.revisions(window)
        everyone = list(range(len(several)))
        if not revisions:
            return list(ask(everyone, window))
        whole = [r for r in revisions if self._fits(r, window)]
        parts = self._spans(several, ask, whole)
        for revision in revisions:
            rest = None if revision in whole else revision.span.overlap(window)
            if rest is not None:
                _add(parts, everyone, ask(everyone, rest))
        answers: list[pa.Table | ConnectorError] = []
        for asked, found in zip(several, parts, strict=True):
            if isinstance(found, ConnectorError):
                answers.append(found)
                continue
            tables = [asked.schema.empty_table(), *found]
            together = pa.concat_tables(table.cast(asked.schema) for table in tables)
            answers.append(together.combine_chunks() if together.num_rows else tables[0])
        return answers

    def _fits(self, revision: Revision, window: Window) -> bool:
        """Whether all that is held of a span lies in a window."""
        span = revision.span
        if window.start <= span.start and span.end <= window.end:
            return True
        if revision not in self._ends:
            if len(self._ends) >= _MAX_ENDS:
                self._ends.clear()
            asked = self._inventory()
            (found,) = self._spans([asked], _alone(asked), [revision])
            if isinstance(found, ConnectorError):
                raise found
            inventory = pa.concat_tables([INVENTORY_SCHEMA.empty_table(), *found])
            first, last = pc.min(inventory["first"]).as_py(), pc.max(inventory["last"]).as_py()
            self._ends[revision] = (first, last) if inventory.num_rows else None
        ends = self._ends[revision]
        return ends is None or (window.start <= ends[0] and ends[1] < window.end)

    def _spans(
        self, several: Sequence[_Asked], ask: _AskMany, revisions: Sequence[Revision]
    ) -> list[list[pa.Table] | ConnectorError]:
        """The answers over whole spans; what is not known is asked in as few questions as can be.

        Questions of which the same is unknown are asked together.
        """
        keys = [self._key(asked.key) for asked in several]
        found: list[list[pa.Table] | ConnectorError] = []
        unknown: dict[tuple[Revision, ...], list[int]] = {}
        for number, asked in enumerate(several):
            parts = self._memory.parts(keys[number], revisions, asked.schema)
            found.append([part.table for part in parts])
            known = {revision for part in parts for revision in part.revisions}
            missing = tuple(r for r in revisions if r not in known)
            if missing:
                unknown.setdefault(missing, []).append(number)
        for missing, numbers in unknown.items():
            fresh: dict[int, list[Part]] = {number: [] for number in numbers}
            hourly = several[numbers[0]].hourly
            for run in _runs(missing) if hourly else [[r] for r in missing]:
                window = Window(run[0].span.start, run[-1].span.end)
                answers = ask(numbers, window)
                _add(found, numbers, answers)
                # Events that came in between are in the answer and not in the name it would have.
                after = set(self._siem.revisions(window))
                for number, table in zip(numbers, answers, strict=True):
                    if not isinstance(table, ConnectorError):
                        part = Part(tuple(run), table.cast(several[number].schema)).only(after)
                        fresh[number] += [part] if part is not None else []
            for number, parts in fresh.items():
                if parts:
                    self._memory.put_parts(keys[number], parts, several[number].schema)
        if unknown:
            self._memory.prune()
        return found


def _alone(asked: _Asked) -> _AskMany:
    """A question that is asked by itself; its faults are raised."""

    def ask(_: Sequence[int], window: Window) -> Sequence[pa.Table | ConnectorError]:
        if asked.ask is None:
            raise TypeError("it can only be asked with others")
        return [asked.ask(window)]

    return ask


def _add(
    found: list[list[pa.Table] | ConnectorError],
    numbers: Sequence[int],
    answers: Sequence[pa.Table | ConnectorError],
) -> None:
    """Put answers to the others; a fault stands for all of them."""
    for number, answer in zip(numbers, answers, strict=True):
        before = found[number]
        if isinstance(before, ConnectorError):
            continue
        if isinstance(answer, ConnectorError):
            found[number] = answer
        else:
            before.append(answer)


def _runs(revisions: Iterable[Revision]) -> list[list[Revision]]:
    """Spans that follow each other without a hole, together."""
    ordered = sorted(revisions, key=lambda r: r.span)
    starts: list[datetime] = []
    for before, now in zip([None, *ordered], ordered, strict=False):
        joined = before is not None and before.span.end == now.span.start
        starts.append(starts[-1] if joined else now.span.start)
    paired = zip(starts, ordered, strict=True)
    return [[r for _, r in group] for _, group in groupby(paired, key=lambda item: item[0])]
