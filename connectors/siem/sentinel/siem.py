"""Microsoft Sentinel as a SIEM: the workspace narrows down, our predicate decides."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta

import pyarrow as pa
from sigma.rule import SigmaRule
from typing_extensions import override

from huntonce.connectors.siem.candidates import Part, Task, held, merged, task_of
from huntonce.connectors.siem.engine import fill_of
from huntonce.connectors.siem.lake import columns as lake
from huntonce.connectors.siem.lake.taskfields import TASK_FIELDS
from huntonce.connectors.siem.searching import SearchingSiem
from huntonce.connectors.siem.sentinel import kql, statistics
from huntonce.connectors.siem.sentinel.reading import Reader
from huntonce.connectors.siem.sentinel.settings import SentinelSettings
from huntonce.connectors.siem.sentinel.shapes import Read, events_of
from huntonce.connectors.siem.sentinel.tables import SHAPES, Table, usable
from huntonce.connectors.siem.sentinel.workspace import UnresolvedError, Workspace
from huntonce.connectors.siem.session import Limits, open_session, terminal, view_of
from huntonce.connectors.siem.textual import Question, candidates
from huntonce.connectors.siem.verifying import PageVerifier
from huntonce.connectors.sigma.ir import fields_of
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.errors import TerminalError
from huntonce.models.finding import EventRef
from huntonce.models.query import (
    FILL_SCHEMA,
    FieldWant,
    SearchResult,
    SiemCapabilities,
    sum_fill,
)
from huntonce.models.windows import Window

MAX_QUERY = 100_000
"""Longest condition sent, in characters; for a longer one all events of its source are read."""

_LIMITS = Limits(memory="1GB", threads=1)
_NEWEST = 200
_AT_ONCE = 100
_MOMENT = timedelta(microseconds=1)
_TEXT = "huntonce_text"
_RECORD = frozenset(
    {
        *("channel", "provider_name", "computer", "computername", "hostname", "eventrecordid"),
        *("level", "task", "opcode", "version", "userid"),
    }
)
"""Fields (lower case) that are no part of the event's data: the condition on them decides here."""

_NOTES = {
    "verification": "what the workspace finds is decided by the lake's own predicate",
    "keywords": "searches that name no field read every event of their log source",
    "empty": "SecurityEvent keeps no difference between an empty field and none",
    "counts": "duplicates that the service keeps are counted by inventory and fill",
    "scheduling": "a detection becomes a scheduled rule, switched off, where it can be translated",
}


class SentinelSiem(SearchingSiem):
    """Windows events in a Log Analytics workspace.

    Calls may run side by side.

    Args:
        settings: Of the workspace.
        name: Registered name.
    """

    def __init__(self, settings: SentinelSettings, name: str = "sentinel") -> None:
        super().__init__(name)
        self._settings = settings
        self._workspace = Workspace(name, settings)
        self._lock = threading.Lock()
        self._known: tuple[Table, ...] | None = None

    def close(self) -> None:
        """Close the connections."""
        self._workspace.close()

    @override
    def capabilities(self) -> SiemCapabilities:
        return SiemCapabilities(query_language="KQL", notes=_NOTES)

    def tables(self) -> tuple[Table, ...]:
        """The tables of the settings with the columns that they have.

        Raises:
            TerminalError: One is not there or may not be read, or lacks a column.
        """
        with self._lock:
            if self._known is None:
                self._known = tuple(self._table(name) for name in self._settings.tables)
            return self._known

    # ------------------------------------------------------------ what arrived

    @override
    def extent(self) -> Window | None:
        return statistics.extent(self._workspace, self.tables())

    @override
    def hosts(self) -> frozenset[str]:
        return statistics.hosts(self._workspace, self.tables())

    @override
    def inventory(self, window: Window) -> pa.Table:
        return statistics.inventory(self._workspace, self.tables(), window)

    @override
    def field_fill(self, window: Window, wants: Sequence[FieldWant]) -> pa.Table:
        found = [FILL_SCHEMA.empty_table()]
        for want in wants:
            for table in self.tables():
                if statistics.countable(want):
                    found.append(statistics.field_fill(self._workspace, table, want, window))
                else:
                    found += self._fill_by_reading(table, want, window)
        together = pa.concat_tables(found)
        return sum_fill(together) if len(together) else together

    # ------------------------------------------------------------ search

    @override
    def originals(self, refs: Sequence[EventRef]) -> Mapping[str, str]:
        """The rows as evtx-rs would write them: the service does not keep the text it was sent."""
        found: dict[str, str] = {}
        groups: dict[str, list[EventRef]] = {}
        for ref in sorted(refs, key=lambda ref: ref.time):
            groups.setdefault(ref.channel, []).append(ref)
        for channel, wanted in groups.items():
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                uids = {ref.uid for ref in some}
                window = Window(some[0].time, some[-1].time + _MOMENT)
                ids = tuple(sorted({ref.event_id for ref in some}))
                times = [kql.inside(Window(ref.time, ref.time + _MOMENT)) for ref in some]
                for table in self.tables():
                    scope = [*table.scope(Variant(channel=channel, event_ids=ids))]
                    scope.append("(" + " or ".join(f"({one})" for one in times) + ")")
                    for read in self._events(table, scope, window, "the originals"):
                        for row in read.rows:
                            if row.event.uid in uids:
                                found[row.event.uid] = str(row.raw)
        return found

    # ------------------------------------------------------------ inside

    def _table(self, name: str) -> Table:
        try:
            rows = self._workspace.query(f"{name}\n| getschema")
        except UnresolvedError as error:
            raise TerminalError(
                f"the workspace has no table {name}, or it may not be read",
                connector=self._name,
                hint="connect the data, grant the role Log Analytics Reader, or take the table out"
                " of tables in the settings",
            ) from error
        table = Table(SHAPES[name], usable([str(row["ColumnName"]) for row in rows]))
        if table.missing:
            raise TerminalError(
                f"{name} has no column {', '.join(table.missing)}",
                connector=self._name,
                hint="take the table out of tables in the settings",
            )
        return table

    @override
    def _search(
        self, rule: SigmaRule, window: Window, fields: Sequence[str], limit: int
    ) -> SearchResult:
        task = task_of(self._name, rule, window, fields, limit)
        parts = [
            part
            for place in task.places
            for table in self.tables()
            if (part := self._place(task, place, table)) is not None
        ]
        return merged(parts, task)

    def _place(self, task: Task, place: Variant, table: Table) -> Part | None:
        scope = table.scope(place)
        present = self._present(table, place, scope, task)
        if present is None:
            return None
        there, unreadable = present
        named = frozenset(fields_of(task.condition))
        hidden = named - there if unreadable else frozenset[str]()
        asked = candidates(task.condition, _open(place), kql.pieces)
        empty = PageVerifier.schema(task.fields).empty_table()
        if asked is False:
            return Part("none: no event can match", empty, there, hidden)
        tests = self._tests(table, place, scope, asked, task)
        subject = str(task.rule.title)
        with (
            open_session(self._name, _LIMITS, ()) as session,
            closing(self._events(table, tests, task.window, subject)) as pages,
        ):
            verifier = PageVerifier(session, task.rule, task.window, task.fields)
            for read in pages:
                with terminal(self._name, subject):
                    verifier.add(read.rows)
                if verifier.found > task.limit:
                    break
            found = verifier.table()
        query = "\n| ".join((table.shape.table, f"where {kql.inside(task.window)}",
                             *_operators(tests)))  # fmt: skip
        return Part(query, found, there, hidden)

    def _tests(
        self, table: Table, place: Variant, scope: list[str], asked: Question, task: Task
    ) -> list[str]:
        """Operators and conditions that leave what may match."""
        if asked is True:
            return scope
        condition = kql.question(asked, _TEXT, "EventID")
        if len(condition) > MAX_QUERY:
            return scope
        if _TEXT in condition:
            text = table.text(place, fields_of(task.condition))
            return [*scope, f"extend {_TEXT} = {kql.folded(text)}", condition]
        return [*scope, condition]

    def _events(self, table: Table, tests: Sequence[str], window: Window, subject: str) -> "Pages":
        head = "\n".join((table.shape.table, *_operators(tests)))
        reader = Reader(self._workspace, subject)
        return Pages(self._name, table, reader.pages(head, window, f"project {table.projection}"))

    def _present(
        self, table: Table, place: Variant, scope: Sequence[str], task: Task
    ) -> tuple[frozenset[str], int] | None:
        """The rule's fields that events of a scope have; None where there is no event.

        The newest events are looked at first; for a field that none of them has, every event that
        names it. The number is of the newest whose data cannot be read.
        """
        named = fields_of(task.condition)
        head = "\n".join((table.shape.table, *_operators(scope)))
        reader = Reader(self._workspace, str(task.rule.title))
        newest = (f"top {_NEWEST} by {kql.TIME} desc", f"project {table.projection}")
        rows = reader.ask(head, task.window, *newest)
        if not rows:
            return None
        read = events_of(table, rows, self._name)
        present = held(read.rows, place, named)
        missing = [field for field in named if field not in present]
        if len(rows) < _NEWEST or not missing:
            return frozenset(present), read.unreadable
        asked = {
            field: table.has(place, "TaskContent" if field.lower() in TASK_FIELDS else field)
            for field in missing
        }
        counts = [f"f{at} = countif({test})" for at, test in enumerate(asked.values())]
        (found,) = reader.ask(head, task.window, f"summarize {', '.join(counts)}")
        for at, field in enumerate(missing):
            if not found[f"f{at}"]:
                continue
            tests = [*scope, asked[field]]
            with closing(self._events(table, tests, task.window, field)) as pages:
                if any(held(page.rows, place, [field]) for page in pages):
                    present.add(field)
        return frozenset(present), read.unreadable

    def _fill_by_reading(self, table: Table, want: FieldWant, window: Window) -> list[pa.Table]:
        scope = table.scope(Variant(channel=want.channel, event_ids=(want.event_id,)))
        found: list[pa.Table] = []
        with (
            open_session(self._name, _LIMITS, ()) as session,
            closing(self._events(table, scope, window, "probing")) as pages,
        ):
            for read in pages:
                if read.rows:
                    view = view_of(session, lake.table(read.rows), want.channel)
                    found.append(fill_of(session, view, [want], window))
        return found


class Pages:
    """Pages of a table's rows as events.

    Args:
        source: Registered name of the SIEM.
        table: Whose rows they are.
        pages: The rows; closed with this.
    """

    def __init__(
        self, source: str, table: Table, pages: "Iterator[list[dict[str, object]]]"
    ) -> None:
        self._source = source
        self._table = table
        self._pages = pages

    def __iter__(self) -> Iterator[Read]:
        for page in self._pages:
            yield events_of(self._table, page, self._source)

    def close(self) -> None:
        """Read no more."""
        close = getattr(self._pages, "close", None)
        if close is not None:
            close()


def _operators(tests: Sequence[str]) -> list[str]:
    return [one if one.startswith("extend ") else f"where {one}" for one in tests]


def _open(place: Variant) -> Variant:
    """The place with those fields that are no part of the event's data as ones of other values."""
    others = {name: dict[str, str]() for name in _RECORD}
    return Variant(
        channel=place.channel,
        event_ids=place.event_ids,
        renames=place.renames,
        values={**others, **place.values},
    )
