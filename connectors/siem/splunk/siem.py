"""Windows events in Splunk as a SIEM: Splunk narrows down, our predicate decides."""

from collections.abc import Mapping, Sequence
from contextlib import closing

import pyarrow as pa
from sigma.rule import SigmaRule
from typing_extensions import override

from huntonce.connectors.siem.candidates import Part, Task, held, merged, task_of
from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.searching import SearchingSiem
from huntonce.connectors.siem.session import Limits, open_session, terminal
from huntonce.connectors.siem.splunk import jobs, reading, spl, statistics
from huntonce.connectors.siem.splunk.client import Splunk
from huntonce.connectors.siem.splunk.jobs import Span
from huntonce.connectors.siem.splunk.reading import number
from huntonce.connectors.siem.splunk.settings import SplunkSettings
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
)
from huntonce.models.windows import Window

_LIMITS = Limits(memory="1GB", threads=1)
_AT_ONCE = 200
_NOTES = {
    "verification": "what Splunk finds is decided by the lake's own predicate",
    "narrowing": "values are looked for in the events' text, whatever fields Splunk extracts",
    "counts": "matches are counted here, from the events: Splunk alone cannot decide them",
    "time": "the inventory, fill and lag go by _time, searches by the time in the event",
    "scheduling": "detections become saved searches, disabled, where rules_index names an app",
}


class SplunkSiem(SearchingSiem):
    """Windows events in indexes of Splunk.

    Calls may run side by side.

    Args:
        settings: Where, and in which form the events are.
        name: Registered name.
    """

    def __init__(self, settings: SplunkSettings, name: str = "splunk") -> None:
        super().__init__(name)
        self._settings = settings
        self._splunk = Splunk(name, settings)

    def close(self) -> None:
        """Close the connections."""
        self._splunk.close()

    @override
    def capabilities(self) -> SiemCapabilities:
        return SiemCapabilities(query_language="SPL", notes=_NOTES)

    # ------------------------------------------------------------ what arrived

    @override
    def extent(self) -> Window | None:
        return statistics.extent(self._splunk)

    @override
    def hosts(self) -> frozenset[str]:
        return statistics.hosts(self._splunk)

    @override
    def inventory(self, window: Window) -> pa.Table:
        return statistics.inventory(self._splunk, window)

    @override
    def lags(self, window: Window) -> pa.Table:
        return statistics.lags(self._splunk, window)

    @override
    def field_fill(self, window: Window, wants: Sequence[FieldWant]) -> pa.Table:
        tables = [FILL_SCHEMA.empty_table()]
        for want in wants:
            with terminal(self._name, want.channel):
                tables.append(statistics.field_fill(self._splunk, window, want))
        return pa.concat_tables(tables).combine_chunks()

    # ------------------------------------------------------------ search

    @override
    def originals(self, refs: Sequence[EventRef]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        ordered = sorted(refs, key=lambda ref: ref.time)
        for start in range(0, len(ordered), _AT_ONCE):
            some = ordered[start : start + _AT_ONCE]
            uids = {ref.uid for ref in some}
            ids = sorted({ref.event_id for ref in some})
            numbers = sorted({ref.record_id for ref in some if ref.record_id is not None})
            whole = all(ref.record_id is not None for ref in some)
            search = spl.events(self._settings, ids, numbers if whole else ())
            for span in self._spans(some):
                for rows in reading.events(self._splunk, [search], span, "the originals"):
                    for row in rows:
                        if row.event.uid in uids:
                            raw = row.raw
                            found[row.event.uid] = raw.decode() if isinstance(raw, bytes) else raw
        return found

    # ------------------------------------------------------------ inside

    def _spans(self, refs: Sequence[EventRef]) -> list[Span]:
        """Seconds in which some events are, joined where they touch."""
        spans: list[Span] = []
        for ref in refs:
            slack = self._settings.time_slack
            start, end = jobs.seconds(ref.time, slack), jobs.seconds(ref.time, slack, up=True) + 1
            if spans and start <= spans[-1].end:
                spans[-1] = Span(spans[-1].start, max(end, spans[-1].end))
            else:
                spans.append(Span(start, end))
        return spans

    @override
    def _search(
        self, rule: SigmaRule, window: Window, fields: Sequence[str], limit: int
    ) -> SearchResult:
        task = task_of(self._name, rule, window, fields, limit)
        parts = [part for place in task.places if (part := self._place(task, place)) is not None]
        return merged(parts, task)

    def _place(self, task: Task, place: Variant) -> Part | None:
        """What one place gives; None where it has no event of the log source in the window."""
        with terminal(self._name, str(task.rule.title)):
            scope = (
                spl.events(self._settings, place.event_ids),
                f"where {spl.in_place(place)}",
            )
            narrow = spl.candidates(task.condition, place)
        span = reading.padded(task.window, self._settings.time_slack)
        named = fields_of(task.condition)
        counted = self._count(task, place, span, narrow)
        empty = PageVerifier.schema(task.fields).empty_table()
        query = spl.piped(*scope, spl.folding(self._settings.format), f"where {narrow}")
        if counted["unread"] and not counted["events"]:
            # They are there, and in a form that nothing can be read from.
            return Part(query, empty, frozenset(), frozenset(named))
        if not counted["events"]:
            return None
        if counted["inside"]:
            certain = (*scope, f"where {self._within(task.window)}")
            present = statistics.present_in(self._splunk, certain, span, place, named)
        else:
            inside = self._inside(task, scope, span)
            if not inside:
                return None
            present = frozenset(held(inside, place, named))
        if not counted["candidates"]:
            return Part(query, empty, present)
        return Part(
            query,
            self._fetch(
                task, (*scope, spl.folding(self._settings.format), f"where {narrow}"), span
            ),
            present,
        )

    def _count(self, task: Task, place: Variant, span: Span, narrow: str) -> dict[str, int]:
        """Events of a place, those in the window for certain, those that may match, and others.

        Raises:
            TerminalError: More events would have to be read than was agreed.
        """
        mine = spl.in_place(place)
        tests = {
            "events": mine,
            "inside": f"{mine} AND {self._within(task.window)}",
            "candidates": f"{mine} AND {narrow}",
            "unread": f"isnull({spl.ID})",
        }
        command = spl.piped(
            spl.events(self._settings, place.event_ids),
            spl.folding(self._settings.format),
            "stats " + ", ".join(f"count(eval({test})) AS {name}" for name, test in tests.items()),
        )
        found = jobs.results(self._splunk, command, span, 1)
        if not found:
            raise TerminalError("a count came back empty", connector=self._name, hint="report it")
        counted = {name: int(number(found[0].get(name))) for name in tests}
        most = self._settings.max_examined
        if counted["candidates"] > most:
            raise TerminalError(
                f"{task.rule.title}: more than {most} events would have to be read",
                connector=self._name,
                hint="ask for a shorter window, or raise max_examined in the settings",
            )
        return counted

    def _within(self, window: Window) -> str:
        return reading.within(window, self._settings.time_slack)

    def _inside(self, task: Task, scope: Sequence[str], span: Span) -> list[Row]:
        """The events whose own time lies in a window, where only its edges have any."""
        start, end = (moment.timestamp() for moment in (task.window.start, task.window.end))
        found: list[Row] = []
        with closing(reading.events(self._splunk, scope, span, str(task.rule.title))) as pages:
            for rows in pages:
                found += [row for row in rows if round(start * 1e6) <= row.time < round(end * 1e6)][
                    : statistics.SAMPLE
                ]
        return found

    def _fetch(self, task: Task, found: Sequence[str], span: Span) -> pa.Table:
        title = str(task.rule.title)
        with (
            open_session(self._name, _LIMITS, ()) as session,
            closing(reading.events(self._splunk, found, span, title)) as pages,
        ):
            verifier = PageVerifier(session, task.rule, task.window, task.fields)
            for rows in pages:
                with terminal(self._name, title):
                    verifier.add(rows)
                if verifier.found > task.limit:
                    break
            return verifier.table()
