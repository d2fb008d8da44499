"""What arrived, counted by Splunk: ``tstats`` where the index knows, ``stats`` over events else.

Times are Splunk's own (``_time``), but for those of the extent.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from huntonce.connectors.siem.candidates import held
from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.lake.event import short_host
from huntonce.connectors.siem.lake.taskfields import TASK_FIELDS
from huntonce.connectors.siem.splunk import jobs, reading, spl
from huntonce.connectors.siem.splunk.client import Splunk
from huntonce.connectors.siem.splunk.jobs import Result, Span
from huntonce.connectors.siem.splunk.reading import number
from huntonce.connectors.siem.splunk.spl import CHANNEL, COMPUTER, ID
from huntonce.connectors.sigma.channels import canonical_channel
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.query import FILL_SCHEMA, INVENTORY_SCHEMA, LAG_SCHEMA, FieldWant
from huntonce.models.windows import Window

GROUPS = 500_000
"""Most groups of one answer; more of them is an error, never a part."""

SAMPLE = 200
"""Events that are read to see whether they have a field."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)
_TASK_CONTENT = ("TaskContent", "TaskContentNew")


def extent(splunk: Splunk) -> Window | None:
    """First to just after the last event; as the events say, where they can be read."""
    source = spl.source(splunk.settings, command="where")
    command = f"| tstats min(_time) AS first, max(_time) AS last {source}"
    found = jobs.results(splunk, command, None, 1)
    if not found or not number(found[0].get("last")):
        return None
    first, last = (_moment(found[0][name]) for name in ("first", "last"))
    times = [_own(row) for end in (first, last) for row in _around(splunk, end)]
    return Window(min([*times] or [first]), max([*times] or [last]) + _MOMENT)


def hosts(splunk: Splunk) -> frozenset[str]:
    """Short names of every computer that sent anything."""
    if splunk.settings.host_is_computer:
        source = spl.source(splunk.settings, command="where")
        name, command = "host", f"| tstats count AS events {source} BY host"
    else:
        counted = f"stats count AS events BY {COMPUTER}"
        name, command = COMPUTER, spl.piped(spl.events(splunk.settings), counted)
    found = jobs.results(splunk, command, None, GROUPS)
    return frozenset(short_host(str(one[name])) for one in found)


def inventory(splunk: Splunk, window: Window) -> pa.Table:
    """Events by host, channel, id and clock hour."""
    counted: dict[tuple[str, str, int, datetime], tuple[int, datetime, datetime]] = {}
    command = spl.piped(
        spl.events(splunk.settings),
        f"where {reading.within(window, 0)}",
        "eval huntonce_hour=floor(_time/3600)*3600",
        "stats count AS events, min(_time) AS first, max(_time) AS last"
        f" BY {COMPUTER}, {CHANNEL}, {ID}, huntonce_hour",
    )
    for one in jobs.results(splunk, command, reading.padded(window, 0), GROUPS):
        host, channel = _place(one)
        key = (host, channel, int(number(one[ID])), _moment(one["huntonce_hour"]))
        events, first, last = (
            int(number(one["events"])),
            _moment(one["first"]),
            _moment(one["last"]),
        )
        known = counted.get(key, (0, first, last))
        counted[key] = (known[0] + events, min(known[1], first), max(known[2], last))
    names = INVENTORY_SCHEMA.names
    rows = [dict(zip(names, (*key, *counted[key]), strict=True)) for key in sorted(counted)]
    return pa.Table.from_pylist(rows, INVENTORY_SCHEMA)


def lags(splunk: Splunk, window: Window) -> pa.Table:
    """Seconds from an event's ``_time`` to its being indexed, by host and channel."""
    command = spl.piped(
        spl.events(splunk.settings),
        f"where {reading.within(window, 0)} AND isnotnull({ID})",
        "eval huntonce_late=if(_indextime>_time, _indextime-_time, 0)",
        f"stats count AS events, perc95(huntonce_late) AS late BY {COMPUTER}, {CHANNEL}",
    )
    counted: dict[tuple[str, str], tuple[int, float]] = {}
    for one in jobs.results(splunk, command, reading.padded(window, 0), GROUPS):
        known = counted.get(_place(one), (0, 0.0))
        # Two spellings of one host: the later of the two says enough.
        late = max(known[1], number(one["late"]))
        counted[_place(one)] = (known[0] + int(number(one["events"])), late)
    rows = [
        dict(zip(LAG_SCHEMA.names, (*key, *counted[key]), strict=True)) for key in sorted(counted)
    ]
    return pa.Table.from_pylist(rows, LAG_SCHEMA)


def field_fill(splunk: Splunk, window: Window, want: FieldWant) -> pa.Table:
    """Events in which each wanted field has a value that is more than a dash, by host.

    Where the field is not found by its name, yet events carry it, the count is null.
    """
    place = Variant(channel=want.channel, event_ids=(int(want.event_id),))
    span = reading.padded(window, 0)
    scope = (
        spl.events(splunk.settings, place.event_ids),
        f"where {reading.within(window, 0)} AND {spl.in_place(place)}",
    )
    reads, tests = _reads(splunk, want.fields)
    counts = [f"count(eval({test})) AS f{at}" for at, test in tests.items()]
    command = spl.piped(
        *scope, *reads, f"stats {', '.join(['count AS events', *counts])} BY {COMPUTER}"
    )
    totals: dict[str, list[int]] = {}
    for one in jobs.results(splunk, command, span, GROUPS):
        numbers = [int(number(one["events"]))]
        numbers += [int(number(one.get(f"f{at}"))) for at in range(len(want.fields))]
        known = totals.setdefault(short_host(str(one[COMPUTER])), [0] * len(numbers))
        known[:] = [a + b for a, b in zip(known, numbers, strict=True)]
    empty = [
        field
        for at, field in enumerate(want.fields)
        if totals and not any(counted[1 + at] for counted in totals.values())
    ]
    hidden = _filled(present_in(splunk, scope, span, place, empty, filled=True), empty)
    return pa.Table.from_pylist(
        [
            {
                "host": host,
                "channel": canonical_channel(want.channel),
                "event_id": int(want.event_id),
                "field": field,
                "filled": None if field in hidden else totals[host][1 + at],
                "events": totals[host][0],
            }
            for host in sorted(totals)
            for at, field in enumerate(want.fields)
        ],
        FILL_SCHEMA,
    )


def present_in(
    splunk: Splunk,
    scope: Sequence[str],
    span: Span,
    place: Variant,
    named: Sequence[str],
    *,
    filled: bool = False,
) -> frozenset[str]:
    """Those of some fields that events of a scope have, by samples of those that name them.

    Where ``filled``, only those that some event has with more than a dash.
    """
    found: set[str] = set()
    tests = {field: spl.may_have(splunk.settings, place, field) for field in named}
    groups = [list(tests), *([field] for field in tests if len(tests) > 1)]
    for group in groups:
        asked = [field for field in group if field not in found]
        if asked:
            any_of = " OR ".join(dict.fromkeys(tests[field] for field in asked))
            steps = (*scope, spl.folding(splunk.settings.format), f"where {any_of}")
            rows = reading.newest(splunk, steps, span, SAMPLE)
            found |= held(_more_than_a_dash(rows) if filled else rows, place, asked)
    return frozenset(found)


def _reads(splunk: Splunk, fields: Sequence[str]) -> tuple[list[str], dict[int, str]]:
    """The commands that read some fields, and by its position the test that one has a value."""
    reads: list[str] = []
    tests: dict[int, str] = {}
    for at, field in enumerate(fields):
        task = field.lower() in TASK_FIELDS and field not in _TASK_CONTENT
        names = _TASK_CONTENT if task else (field,)
        parts = []
        for number_of, name in enumerate(names):
            variable = f"huntonce_f{at}_{number_of}"
            command = spl.value_of(splunk.settings, name, variable)
            if command is not None:
                reads.append(command)
                parts.append(f'(isnotnull({variable}) AND NOT trim({variable}) IN ("", "-"))')
        tests[at] = " OR ".join(parts) or "false()"
    return reads, tests


def _more_than_a_dash(rows: Sequence[Row]) -> list[Row]:
    for row in rows:
        fields = row.event.fields
        for name in [name for name, value in fields.items() if value.strip() in {"", "-"}]:
            del fields[name]
    return list(rows)


def _filled(found: frozenset[str], asked: Sequence[str]) -> frozenset[str]:
    return found & frozenset(asked)


def _around(splunk: Splunk, end: datetime) -> list[Row]:
    slack = timedelta(seconds=max(splunk.settings.time_slack, 1))
    span = reading.padded(Window(end - slack, end + slack), splunk.settings.time_slack)
    return reading.newest(splunk, [spl.events(splunk.settings)], span, SAMPLE)


def _own(row: Row) -> datetime:
    return _EPOCH + timedelta(microseconds=row.time)


def _place(one: Result) -> tuple[str, str]:
    return short_host(str(one[COMPUTER])), canonical_channel(str(one[CHANNEL]))


def _moment(value: object) -> datetime:
    return _EPOCH + timedelta(microseconds=round(number(value) * 1_000_000))
