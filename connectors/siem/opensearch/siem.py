"""OpenSearch and Elasticsearch as a SIEM: the cluster narrows down, our predicate decides."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing

import orjson
import pyarrow as pa
from sigma.rule import SigmaRule
from typing_extensions import override

from huntonce.connectors.siem.candidates import Part, Task, merged, task_of
from huntonce.connectors.siem.opensearch import statistics
from huntonce.connectors.siem.opensearch.cluster import Cluster, TooManyError
from huntonce.connectors.siem.opensearch.documents import rows_of
from huntonce.connectors.siem.opensearch.dsl import (
    MANY,
    Bounds,
    Find,
    Query,
    all_,
    bounds,
    indexed,
)
from huntonce.connectors.siem.opensearch.fields import EVENT_IDS, PlaceFields, Resolved
from huntonce.connectors.siem.opensearch.held import originals_of
from huntonce.connectors.siem.opensearch.mapping import IndexMap, join
from huntonce.connectors.siem.opensearch.paging import pages, within
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.connectors.siem.searching import SearchingSiem
from huntonce.connectors.siem.session import Limits, open_session, terminal
from huntonce.connectors.siem.verifying import PageVerifier
from huntonce.connectors.sigma.compiling import compile_detections
from huntonce.connectors.sigma.ir import fields_of
from huntonce.connectors.sigma.logsource import Variant, variants
from huntonce.connectors.sigma.rules import logsource_of, parse_rule
from huntonce.models.errors import TerminalError
from huntonce.models.finding import EventRef
from huntonce.models.query import (
    FILL_SCHEMA,
    INVENTORY_SCHEMA,
    FieldWant,
    SearchResult,
    SiemCapabilities,
)
from huntonce.models.windows import Window

_MAPPING_AGE = 60.0
_LIMITS = Limits(memory="1GB", threads=1)
_NOTES = {
    "scheduling": "a deployed rule is stored as a query; only an alerting plugin would run it",
    "verification": "what the cluster finds is decided by the lake's own predicate",
    "keywords": "searches that name no field read every event of their log source",
}


class OpenSearchSiem(SearchingSiem):
    """Windows events in a cluster, as Winlogbeat or an ECS pipeline writes them.

    Calls may run side by side.

    Args:
        settings: Of the cluster.
        name: Registered name.
    """

    def __init__(self, settings: OpenSearchSettings, name: str = "opensearch") -> None:
        super().__init__(name)
        self._settings = settings
        self._cluster = Cluster(name, settings)
        self._lock = threading.Lock()
        self._maps: dict[str, tuple[float, IndexMap]] = {}

    def close(self) -> None:
        """Close the connections."""
        self._cluster.close()

    @override
    def capabilities(self) -> SiemCapabilities:
        return SiemCapabilities(query_language="Query DSL", notes=_NOTES)

    # ------------------------------------------------------------ what arrived

    @override
    def extent(self) -> Window | None:
        return statistics.extent(self._cluster, self._all())

    @override
    def hosts(self) -> frozenset[str]:
        return statistics.hosts(self._cluster, self._all())

    @override
    def inventory(self, window: Window) -> pa.Table:
        event_id = self._event_id(self._all())
        if not event_id:
            return INVENTORY_SCHEMA.empty_table()
        return statistics.inventory(self._cluster, self._all(), event_id, window)

    @override
    def field_fill(self, window: Window, wants: Sequence[FieldWant]) -> pa.Table:
        tables = [FILL_SCHEMA.empty_table()]
        for want in wants:
            indices = self._indices(want.channel)
            event_id = self._event_id(indices)
            if not event_id:
                continue
            place = PlaceFields.of_channel(self._map(indices), want.channel)
            tables.append(
                statistics.field_fill(self._cluster, indices, event_id, want, window, place)
            )
        return pa.concat_tables(tables).combine_chunks()

    # ------------------------------------------------------------ search

    @override
    def originals(self, refs: Sequence[EventRef]) -> Mapping[str, str]:
        groups: dict[str, list[EventRef]] = {}
        for ref in refs:
            groups.setdefault(ref.channel, []).append(ref)
        found: dict[str, str] = {}
        for channel, wanted in groups.items():
            indices = self._indices(channel)
            event_id = self._event_id(indices)
            if event_id:
                found |= originals_of(self._cluster, indices, event_id, channel, wanted)
        return found

    def translate(self, rule: str) -> tuple[tuple[str, Query, Bounds], ...]:
        """What a rule becomes in each place that records its log source.

        Returns:
            Indices, scope without a window, and the condition from above and from below.

        Raises:
            TerminalError: The rule cannot be run.
        """
        with terminal(self._name, "the rule"):
            parsed = parse_rule(rule)
            condition = compile_detections(parsed.detection, {})
            places = variants(logsource_of(parsed))
        found = []
        for place in places:
            indices = self._indices(place.channel)
            event_id = self._event_id(indices)
            if event_id:
                fields = PlaceFields(self._map(indices), place, parsed.logsource)
                scope = all_(_scope(place, event_id))
                found.append((indices, scope, bounds(condition, fields.find)))
        return tuple(found)

    # ------------------------------------------------------------ inside

    @override
    def _search(
        self, rule: SigmaRule, window: Window, fields: Sequence[str], limit: int
    ) -> SearchResult:
        task = task_of(self._name, rule, window, fields, limit)
        parts = [part for place in task.places if (part := self._place(task, place)) is not None]
        return merged(parts, task)

    def _place(self, task: Task, place: Variant) -> Part | None:
        indices = self._indices(place.channel)
        event_id = self._event_id(indices)
        if not event_id:
            return None
        fields = PlaceFields(self._map(indices), place, task.rule.logsource)
        scope = all_(_scope(place, event_id))
        counted = self._count(indices, scope, task, fields)
        if counted is None:
            return None
        present, hidden = counted

        def find(field: str) -> Resolved:
            return fields.find(field) if field in present else Resolved(())

        query, candidates = self._narrowed(indices, scope, task, find)
        table = PageVerifier.schema(task.fields).empty_table()
        if candidates:
            table = self._fetch(indices, query, task, fields)
        text = orjson.dumps({"index": indices, "query": all_([within(task.window), query])})
        return Part(text.decode(), table, present, hidden)

    def _count(
        self, indices: str, scope: Query, task: Task, fields: PlaceFields
    ) -> tuple[frozenset[str], frozenset[str]] | None:
        """The rule's fields that events have, and those that are only stored; None for no event.

        Of a field without a single indexed value a sample of events tells whether it is there,
        but too long to be indexed, or without a mapping.
        """
        named = fields_of(task.condition)
        where = {field: fields.find(field) for field in named}
        query = all_([within(task.window), scope])
        answer = self._cluster.search(
            indices,
            {
                "size": 0,
                "track_total_hits": True,
                "query": query,
                "aggs": {
                    f"f{at}": {"filter": indexed(where[field])} for at, field in enumerate(named)
                },
            }
            if named
            else {"size": 0, "track_total_hits": True, "query": query},
        )
        if not answer["hits"]["total"]["value"]:
            return None
        groups = answer.get("aggregations", {})
        present = {field for at, field in enumerate(named) if groups[f"f{at}"]["doc_count"]}
        stored = statistics.stored(
            self._cluster,
            indices,
            query,
            {field: fields.recorded_in(field) for field in named if field not in present},
        )
        hidden = frozenset(field for field in stored if not where[field].all)
        return frozenset(present | (stored - hidden)), hidden

    def _narrowed(self, indices: str, scope: Query, task: Task, find: Find) -> tuple[Query, int]:
        """The query for what may match, as narrow as the cluster takes it, and how much may.

        Raises:
            TerminalError: More events would have to be read than was agreed.
        """
        for many in MANY:
            query = all_([scope, bounds(task.condition, find, many).upper])
            try:
                return query, self._candidates(indices, query, task)
            except TooManyError:
                continue
        return scope, self._candidates(indices, scope, task)

    def _candidates(self, indices: str, query: Query, task: Task) -> int:
        most = self._settings.max_examined
        answer = self._cluster.search(
            indices,
            {
                "size": 0,
                "track_total_hits": most + 1,
                "query": all_([within(task.window), query]),
            },
        )
        found = int(answer["hits"]["total"]["value"])
        if found > most:
            raise TerminalError(
                f"{task.rule.title}: more than {most} events would have to be read",
                connector=self._name,
                hint="ask for a shorter window, or raise max_examined in the settings",
            )
        return found

    def _fetch(self, indices: str, query: Query, task: Task, fields: PlaceFields) -> pa.Table:
        size = self._settings.page_size
        with (
            open_session(self._name, _LIMITS, ()) as session,
            closing(pages(self._cluster, indices, query, task.window, size)) as stream,
        ):
            verifier = PageVerifier(session, task.rule, task.window, task.fields)
            for hits in stream:
                with terminal(self._name, str(task.rule.title)):
                    verifier.add(rows_of(hits, fields, task.wanted))
                if verifier.found > task.limit:
                    break
            return verifier.table()

    def _all(self) -> str:
        others = (pattern for found in self._settings.channels.values() for pattern in found)
        return join([*self._settings.indices, *others])

    def _indices(self, channel: str) -> str:
        for name, patterns in self._settings.channels.items():
            if channel and name.lower() == channel.lower():
                return join(patterns)
        return join(self._settings.indices) if channel else self._all()

    def _map(self, indices: str) -> IndexMap:
        """The mapping, read anew now and then: indices roll over and get new fields."""
        with self._lock:
            known = self._maps.get(indices)
        now = time.monotonic()
        if known is not None and now - known[0] < _MAPPING_AGE:
            return known[1]
        options = {"allow_no_indices": "false", "expand_wildcards": "open"}
        answer = self._cluster.ask("GET", f"/{indices}/_mapping", None, options)
        found = IndexMap(answer, noted=self._settings.kind == "elasticsearch")
        with self._lock:
            self._maps[indices] = (now, found)
        return found

    def _event_id(self, indices: str) -> str:
        """The field of the event id; empty where the indices hold nothing yet.

        Raises:
            TerminalError: They hold something else than Windows events.
        """
        index = self._map(indices)
        found = index.at(*EVENT_IDS)
        if found:
            return found[0].path
        if index.empty:
            return ""
        raise TerminalError(
            f"{indices} has neither {' nor '.join(EVENT_IDS)}: no Windows events are there",
            connector=self._name,
            hint="name the indices of Winlogbeat in the settings",
        )


def _scope(place: Variant, event_id: str) -> list[Query]:
    scope: list[Query] = []
    if place.channel:
        scope.append(statistics.on_channel(place.channel))
    if place.event_ids:
        scope.append(statistics.with_ids(event_id, place.event_ids))
    return scope
