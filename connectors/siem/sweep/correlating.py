"""Correlation rules over the hits of other rules."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
import pyarrow as pa

from huntonce.connectors.siem.sweep.hits import SCHEMA
from huntonce.connectors.siem.sweep.report import RuleHits
from huntonce.connectors.sigma.pack import CorrelationRule

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}
_GROWING = frozenset({"gt", "gte"})


@dataclass(frozen=True, slots=True)
class _Event:
    rule: str
    row: int
    uid: str
    time: datetime
    fields: Mapping[str, str | None]


def fields_needed(correlations: Sequence[CorrelationRule]) -> dict[str, tuple[str, ...]]:
    """Rule id to the fields of its events that correlations group by or count."""
    needed: dict[str, dict[str, None]] = {}
    for correlation in correlations:
        for rule in correlation.rules:
            wanted = needed.setdefault(rule, {})
            for name in (*correlation.group_by, *correlation.counted):
                wanted[_field(correlation, rule, name)] = None
    return {rule: tuple(sorted(fields)) for rule, fields in needed.items()}


def _field(correlation: CorrelationRule, rule: str, name: str) -> str:
    return correlation.aliases.get(name, {}).get(rule, name)


def correlate(correlation: CorrelationRule, hits: Mapping[str, RuleHits]) -> RuleHits | None:
    """The incidents of a correlation; None where there is none.

    An incident is a group's events within the time span, counted from its first event; the next
    one starts after it. An event that lacks a field to group by belongs to no group.
    """
    tables = [(rule, hits[rule].table) for rule in correlation.rules if rule in hits]
    groups = _groups(correlation, tables)
    numbered: list[tuple[int, _Event]] = []
    count = 0
    for key in sorted(groups):
        for incident in _incidents(correlation, groups[key]):
            count += 1
            numbered += [(count, event) for event in incident]
    if not count:
        return None
    titles = {rule: hits[rule].title for rule, _ in tables}
    return RuleHits(
        id=correlation.id,
        title=correlation.title,
        level=correlation.level,
        author=correlation.author,
        count=count,
        table=_table(dict(tables), numbered, titles),
    )


def _groups(
    correlation: CorrelationRule, tables: Sequence[tuple[str, pa.Table]]
) -> dict[tuple[str, ...], list[_Event]]:
    groups: dict[tuple[str, ...], list[_Event]] = {}
    for rule, table in tables:
        columns = (table.column(name).to_pylist() for name in ("uid", "time", "fields"))
        for row, (uid, time, text) in enumerate(zip(*columns, strict=True)):
            fields = orjson.loads(text) if text else {}
            own = {
                name: fields.get(_field(correlation, rule, name))
                for name in (*correlation.group_by, *correlation.counted)
            }
            values = [own[name] for name in correlation.group_by]
            if None not in values:
                key = tuple(str(value) for value in values)
                groups.setdefault(key, []).append(_Event(rule, row, uid, time, own))
    return groups


def _incidents(correlation: CorrelationRule, events: list[_Event]) -> Iterator[list[_Event]]:
    events.sort(key=lambda event: (event.time, event.uid))
    span = timedelta(seconds=correlation.seconds)
    at = end = 0
    while at < len(events):
        end = max(end, at)
        while end < len(events) and events[end].time - events[at].time <= span:
            end += 1
        found = _satisfied(correlation, events[at:end])
        if found:
            yield found
            at = end
        elif correlation.operator in _GROWING:
            at += 1
        else:
            at = end


def _satisfied(correlation: CorrelationRule, events: list[_Event]) -> list[_Event] | None:
    """The events of one time span that satisfy the correlation."""
    if correlation.kind == "temporal_ordered":
        return _in_order(correlation.rules, events)
    compare = _COMPARE[correlation.operator]
    return events if compare(_measure(correlation, events), correlation.count) else None


def _measure(correlation: CorrelationRule, events: list[_Event]) -> int:
    if correlation.kind == "temporal":
        return len({event.rule for event in events})
    if correlation.kind == "event_count":
        return len({event.uid for event in events})
    values = {tuple(event.fields[name] for name in correlation.counted) for event in events}
    return sum(None not in value for value in values)


def _in_order(rules: Sequence[str], events: list[_Event]) -> list[_Event] | None:
    """The first events that the rules match one after another."""
    chosen: list[_Event] = []
    used: set[str] = set()
    for event in events:
        if event.rule == rules[len(chosen)] and event.uid not in used:
            chosen.append(event)
            used.add(event.uid)
            if len(chosen) == len(rules):
                return chosen
    return None


def _table(
    tables: Mapping[str, pa.Table],
    numbered: Sequence[tuple[int, _Event]],
    titles: Mapping[str, str],
) -> pa.Table:
    parts = [SCHEMA.empty_table()]
    for rule, table in tables.items():
        own = [(number, event.row) for number, event in numbered if event.rule == rule]
        if own:
            taken = table.take(pa.array([row for _, row in own]))
            names = pa.array([f"{number}: {titles[rule]}" for number, _ in own])
            at = SCHEMA.get_field_index("branch")
            parts.append(taken.set_column(at, "branch", names.dictionary_encode()).cast(SCHEMA))
    return pa.concat_tables(parts).sort_by([("time", "ascending"), ("uid", "ascending")])
