"""What a hunt asks of a SIEM, and the tables that come back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from huntonce.models.windows import Window

TIME = pa.timestamp("us", tz="UTC")
EVENT_COLUMNS: tuple[tuple[str, pa.DataType], ...] = (
    ("uid", pa.string()),
    ("time", TIME),
    ("host", pa.string()),
    ("channel", pa.string()),
    ("event_id", pa.int64()),
    ("record_id", pa.int64()),
)
"""Columns that every search result starts with; the projected fields follow, all strings."""

INVENTORY_SCHEMA = pa.schema(
    [
        ("host", pa.string()),
        ("channel", pa.string()),
        ("event_id", pa.int64()),
        ("hour", TIME),
        ("events", pa.int64()),
        ("first", TIME),
        ("last", TIME),
    ]
)
"""One row a host, channel, event id and clock hour with events."""

FILL_SCHEMA = pa.schema(
    [
        ("host", pa.string()),
        ("channel", pa.string()),
        ("event_id", pa.int64()),
        ("field", pa.string()),
        ("filled", pa.int64()),
        ("events", pa.int64()),
    ]
)
"""One row a host, channel, event id and wanted field: events in which it is not empty, of all.

``filled`` is null where events carry the field but the SIEM has no mapping for it: it is stored and
cannot be searched.
"""

COUNT_SCHEMA = pa.schema([("host", pa.string()), ("hour", TIME), ("events", pa.int64())])
"""One row a host and clock hour with events that a search matches."""

MOST_COUNTED = 1_000_000
"""Most events that are fetched in order to be counted, where a SIEM cannot count by itself."""

LAG_SCHEMA = pa.schema(
    [
        ("host", pa.string()),
        ("channel", pa.string()),
        ("events", pa.int64()),
        ("p95", pa.float64()),
    ]
)
"""One row a host and channel whose events say when they were taken in: how many do, and the 95th
percentile of the seconds from happening to being taken in (never negative)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldWant:
    """Fields whose fill is asked for, on the events of one channel and id."""

    channel: str
    event_id: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SigmaSearch:
    """A search written as Sigma, so that it means the same on every SIEM.

    Attributes:
        name: What the check is called in reports.
        logsource: Sigma log source: category, product, service.
        detection: Sigma detection section: named selections and ``condition``.
        fields: Event fields to project, by the names Sigma rules use for that log source.
        limit: Most rows to return; a result that was cut says so.
    """

    name: str
    logsource: Mapping[str, str]
    detection: Mapping[str, object]
    fields: tuple[str, ...] = ()
    limit: int = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Rows and how they were got.

    Attributes:
        table: ``EVENT_COLUMNS``, then one string column a projected field, sorted by time, uid.
        queries: Text as sent.
        absent_fields: Fields the rule names which no event of that log source has.
        absent_source: True where the SIEM holds no event of that log source at all in the
            window: nothing was searched, and nothing can be concluded from the empty table.
        truncated: More rows matched than ``limit``.
        unmapped_fields: Those of the absent fields that events do carry: the SIEM stores them and
            cannot search them, so that nothing can be concluded from the table.
    """

    table: pa.Table
    queries: tuple[str, ...]
    absent_fields: tuple[str, ...] = ()
    absent_source: bool = False
    truncated: bool = False
    unmapped_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a SIEM holds of a span, named by its content.

    Attributes:
        span: Part of the time line; the revisions of one answer do not overlap.
        mark: Changes whenever an event of the span is added, changed or dropped, late ones too.
    """

    span: Window
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiemCapabilities:
    """What a SIEM connector can do.

    Attributes:
        retention_days: Days for which events are kept, as the SIEM is set up; None: not known, or
            kept for ever.
        channel_retention_days: The same for single channels that differ.
        query_language: Name of the language that queries are sent in.
        max_window_days: Longest window of one search; None for any.
        scheduled_rules: Deployed rules run there by themselves.
    """

    query_language: str
    max_window_days: int | None = None
    aggregation: bool = True
    scheduled_rules: bool = False
    retention_days: int | None = None
    channel_retention_days: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


def sum_fill(parts: pa.Table) -> pa.Table:
    """Parts of an answer of ``FILL_SCHEMA`` added up, in the order of its keys.

    Stored and not searchable in one part (null) is so in all of them.
    """
    keys = ["host", "channel", "event_id", "field"]
    strict = pc.ScalarAggregateOptions(skip_nulls=False)
    summed = parts.group_by(keys).aggregate([("filled", "sum", strict), ("events", "sum")])
    whole = summed.rename_columns(FILL_SCHEMA.names).cast(FILL_SCHEMA)
    return whole.sort_by([(key, "ascending") for key in keys])


def sum_counts(parts: pa.Table) -> pa.Table:
    """Parts of an answer of ``COUNT_SCHEMA`` added up, in the order of its keys."""
    summed = parts.group_by(["host", "hour"]).aggregate([("events", "sum")])
    whole = summed.rename_columns(COUNT_SCHEMA.names).cast(COUNT_SCHEMA)
    return whole.sort_by([("host", "ascending"), ("hour", "ascending")])


def count_by_hour(result: SearchResult) -> pa.Table:
    """A search's events as ``COUNT_SCHEMA``, in the order of its keys."""
    table = result.table.select(["host", "time"])
    hours = pc.floor_temporal(table.column("time"), unit="hour")
    ones = pa.array([1]).take(pa.array([0] * len(table), pa.int64()))
    columns = [table.column("host"), hours, ones]
    return sum_counts(pa.table(columns, names=COUNT_SCHEMA.names).cast(COUNT_SCHEMA))
