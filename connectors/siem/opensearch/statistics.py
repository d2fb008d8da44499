"""What arrived, counted by the cluster: composite aggregations, a page at a time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from huntonce.connectors.siem.lake.dotted import nested
from huntonce.connectors.siem.lake.event import short_host
from huntonce.connectors.siem.lake.fields import NotAnEventError, microseconds
from huntonce.connectors.siem.opensearch.cluster import Cluster
from huntonce.connectors.siem.opensearch.dsl import Query, all_, any_, indexed, not_
from huntonce.connectors.siem.opensearch.fields import CHANNEL, COMPUTER, TIME, PlaceFields
from huntonce.connectors.siem.opensearch.mapping import Indexed
from huntonce.connectors.siem.opensearch.paging import within
from huntonce.connectors.sigma.channels import canonical_channel
from huntonce.models.query import FILL_SCHEMA, INVENTORY_SCHEMA, FieldWant
from huntonce.models.windows import Window

BUCKETS = 1_000
"""Groups in one answer."""

FILL_BUCKETS = 100
"""Groups in one answer that brings samples of events with it."""

_SAMPLE = 50
_SAMPLE_A_HOST = 5
_DATA = ("winlog.event_data", "winlog.user_data")
_TIES = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = {"regexp": " *-? *"}


def extent(cluster: Cluster, indices: str) -> Window | None:
    """First to just after the last event."""
    ends = {"first": {"min": {"field": TIME}}, "last": {"max": {"field": TIME}}}
    found = cluster.search(indices, {"size": 0, "query": _EVENTS, "aggs": ends})["aggregations"]
    if found["first"]["value"] is None:
        return None
    first = _moments(cluster, indices, found["first"]["value"])
    last = _moments(cluster, indices, found["last"]["value"])
    return Window(min(first), max(last) + timedelta(microseconds=1))


def hosts(cluster: Cluster, indices: str) -> frozenset[str]:
    """Short names of every computer that sent anything."""
    sources = [{"host": {"terms": {"field": COMPUTER}}}]
    return frozenset(
        short_host(str(bucket["key"]["host"]))
        for bucket in _groups(cluster, indices, _EVENTS, sources, {})
    )


def inventory(cluster: Cluster, indices: str, event_id: str, window: Window) -> pa.Table:
    """Events by host, channel, id and clock hour; times as exact as they are indexed."""
    sources = [
        {"host": {"terms": {"field": COMPUTER}}},
        {"channel": {"terms": {"field": CHANNEL}}},
        {"event_id": {"terms": {"field": event_id}}},
        {"hour": {"date_histogram": {"field": TIME, "fixed_interval": "1h"}}},
    ]
    ends = {"first": {"min": {"field": TIME}}, "last": {"max": {"field": TIME}}}
    rows: dict[tuple[str, str, int, int], list[float]] = {}
    for bucket in _groups(cluster, indices, within(window), sources, ends):
        key, number = bucket["key"], _number(bucket["key"]["event_id"])
        if number is None:
            continue
        place = (short_host(str(key["host"])), canonical_channel(str(key["channel"])))
        counted = [bucket["doc_count"], bucket["first"]["value"], bucket["last"]["value"]]
        known = rows.setdefault((*place, number, int(key["hour"])), [0, *counted[1:]])
        known[0] += counted[0]
        known[1], known[2] = min(known[1], counted[1]), max(known[2], counted[2])
    return pa.Table.from_pylist(
        [
            {
                "host": host,
                "channel": channel,
                "event_id": number,
                "hour": _moment(hour),
                "events": int(rows[host, channel, number, hour][0]),
                "first": _moment(rows[host, channel, number, hour][1]),
                "last": _moment(rows[host, channel, number, hour][2]),
            }
            for host, channel, number, hour in sorted(rows)
        ],
        INVENTORY_SCHEMA,
    )


def field_fill(
    cluster: Cluster, indices: str, event_id: str, want: FieldWant, window: Window,
    place: PlaceFields,
) -> pa.Table:  # fmt: skip
    """Events in which each wanted field has a value that is more than a dash, by host.

    Where the field has no mapping, yet events carry it, the count is null: it is stored and cannot
    be searched.
    """
    scope = all_([within(window), on_channel(want.channel), with_ids(event_id, (want.event_id,))])
    found = {field: place.find(field) for field in want.fields}
    counts: dict[str, Any] = {}
    for at, field in enumerate(want.fields):
        counts[f"f{at}"] = {"filter": any_([_filled(one) for one in found[field].all])}
        if any(one.longest is not None and not one.noted for one in found[field].all):
            paths = [f"{part}.{name}" for part in _DATA for name in place.recorded_in(field)]
            sample = {"top_hits": {"size": _SAMPLE_A_HOST, "_source": paths}}
            rest = {"filter": not_(indexed(found[field])), "aggs": {"sample": sample}}
            counts[f"r{at}"] = rest
    totals: dict[str, list[int]] = {}
    sources = [{"host": {"terms": {"field": COMPUTER}}}]
    for bucket in _groups(cluster, indices, scope, sources, counts, FILL_BUCKETS):
        numbers = [bucket["doc_count"]]
        for at in range(len(want.fields)):
            others = bucket.get(f"r{at}")
            numbers.append(bucket[f"f{at}"]["doc_count"] + (_too_long(others) if others else 0))
        host = short_host(str(bucket["key"]["host"]))
        known = totals.setdefault(host, [0] * len(numbers))
        totals[host] = [one + other for one, other in zip(known, numbers, strict=True)]
    unmapped = {f: place.recorded_in(f) for f in want.fields if totals and not found[f].all}
    hidden = stored(cluster, indices, scope, unmapped)
    return pa.Table.from_pylist(
        [
            {
                "host": host,
                "channel": canonical_channel(want.channel),
                "event_id": want.event_id,
                "field": field,
                "filled": None if field in hidden else totals[host][1 + at],
                "events": totals[host][0],
            }
            for host in sorted(totals)
            for at, field in enumerate(want.fields)
        ],
        FILL_SCHEMA,
    )


def _too_long(rest: Mapping[str, Any]) -> int:
    """How many of the events without an indexed value have one, as far as a sample tells."""
    hits = rest["sample"]["hits"]["hits"]
    if not hits:
        return 0
    held = sum(bool(_held(hit)) for hit in hits)
    return round(int(rest["doc_count"]) * held / len(hits))


def stored(
    cluster: Cluster, indices: str, scope: Query, fields: Mapping[str, Sequence[str]]
) -> frozenset[str]:
    """Those of some fields that events carry though no value of them is indexed, by a sample.

    ``fields`` has each with the names of event data that it is read from.
    """
    if not fields:
        return frozenset()
    body = {"size": _SAMPLE, "query": scope, "sort": [{TIME: "desc"}], "_source": list(_DATA)}
    held: set[str] = set()
    for hit in cluster.search(indices, body)["hits"]["hits"]:
        held |= _held(hit)
    return frozenset(
        field for field, names in fields.items() if any(name.lower() in held for name in names)
    )


def _held(hit: Mapping[str, Any]) -> set[str]:
    """Names (lower case) of the event data of a hit that have a value."""
    log = nested(hit.get("_source") or {}).get("winlog") or {}
    return {
        name.lower()
        for part in ("event_data", "user_data")
        for name, value in (log.get(part) or {}).items()
        if value not in (None, "", "-")
    }


def on_channel(channel: str) -> Query:
    """The events of a channel, in any case of its name."""
    return {"term": {CHANNEL: {"value": channel, "case_insensitive": True}}}


def with_ids(field: str, event_ids: Sequence[int]) -> Query:
    """The events of some ids."""
    return {"terms": {field: [str(number) for number in event_ids]}}


_EVENTS: Query = {"exists": {"field": CHANNEL}}


def _filled(field: Indexed) -> Query:
    present: Query = {"exists": {"field": field.path}}
    if field.kind != "whole":
        return present
    return {
        "bool": {
            "filter": [present],
            "must_not": [{"regexp": {field.path: {"value": _NOTHING["regexp"]}}}],
        }
    }


def _groups(
    cluster: Cluster, indices: str, query: Query, sources: list[dict[str, Any]],
    counts: dict[str, Any], size: int = BUCKETS,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    composite: dict[str, Any] = {"size": size, "sources": sources}
    groups: dict[str, Any] = {"composite": composite}
    if counts:
        groups["aggs"] = counts
    body = {"size": 0, "query": query, "track_total_hits": False, "aggs": {"groups": groups}}
    while True:
        found = cluster.search(indices, body)["aggregations"]["groups"]
        yield from found["buckets"]
        after = found.get("after_key")
        if after is None or not found["buckets"]:
            return
        composite["after"] = after


def _moments(cluster: Cluster, indices: str, millis: float) -> list[datetime]:
    """The times, to the microsecond, of the events of one millisecond."""
    start = _moment(millis)
    window = Window(start, start + timedelta(milliseconds=1))
    query = all_([within(window), _EVENTS])
    body = {"size": _TIES, "query": query, "_source": [TIME, "winlog.time_created"]}
    found: list[datetime] = []
    for hit in cluster.search(indices, body)["hits"]["hits"]:
        source = hit.get("_source") or {}
        created = (source.get("winlog") or {}).get("time_created")
        try:
            recorded, _ = microseconds(created or source.get(TIME))
        except NotAnEventError:
            continue
        found.append(_EPOCH + timedelta(microseconds=recorded))
    return found or [start]


def _moment(millis: float) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(millis))


def _number(key: object) -> int | None:
    text = str(key)
    return int(text) if text.isascii() and text.isdigit() else None
