"""Correlation rules over the hits of other rules, and over each other.

An incident is a group's hits within the time span, counted from its first hit; the next one starts
after it. Where more hits can only help (at least, more than), a span starts at every hit; where
they can undo it (fewer than, exactly, not), spans follow one another without overlap.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

import orjson
import pyarrow as pa

from huntonce.connectors.siem.sweep.hits import SCHEMA
from huntonce.connectors.siem.sweep.report import RuleHits
from huntonce.connectors.siem.sweep.tallies import Tally, longest_chain, rules_of, tally_of
from huntonce.connectors.sigma.correlations import (
    CorrelationRule,
    Expression,
    demanded,
    has_not,
    true_for,
)

_COMPARE: dict[str, Callable[[float | Fraction, float], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}
_GROWING = frozenset({"gt", "gte"})

Names = Sequence[str]
Place = tuple[str, int]
"""A rule that is no correlation, and a row of its hits."""


@dataclass(frozen=True, slots=True)
class _Event:
    """A hit of a rule.

    Attributes:
        rule: That hit.
        places: The rows that it stands for.
    """

    rule: str
    row: int
    uid: str
    time: datetime
    fields: Mapping[str, str | None]

    @property
    def places(self) -> tuple[Place, ...]:
        return ((self.rule, self.row),)

    def values(self, names: Names) -> frozenset[tuple[str | None, ...]]:
        """The values of some fields: one tuple an event."""
        return frozenset({tuple(self.fields.get(name) for name in names)})


@dataclass(frozen=True, slots=True)
class _Incident:
    """What a correlation found, as another one sees it: it happens with its last event."""

    rule: str
    uid: str
    time: datetime
    places: tuple[Place, ...]
    members: tuple["_Hit", ...]
    correlation: CorrelationRule

    def values(self, names: Names) -> frozenset[tuple[str | None, ...]]:
        """The values of some fields, those of each of its events."""
        return frozenset[tuple[str | None, ...]]().union(
            *(member.values(_fields(self.correlation, member.rule, names))
              for member in self.members)
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Hit:
    """A hit or incident in a group, with its values there."""

    source: _Event | _Incident
    counted: tuple[str | None, ...]

    @property
    def rule(self) -> str:
        return self.source.rule

    @property
    def uid(self) -> str:
        return self.source.uid

    @property
    def time(self) -> datetime:
        return self.source.time

    def values(self, names: Names) -> frozenset[tuple[str | None, ...]]:
        """The values of some fields."""
        return self.source.values(names)


def fields_needed(correlations: Sequence[CorrelationRule]) -> dict[str, tuple[str, ...]]:
    """Rule id to the fields of its events that correlations group by, count or calculate with."""
    by_id = {correlation.id: correlation for correlation in correlations}
    needed: dict[str, set[str]] = {}

    def need(correlation: CorrelationRule, names: Names) -> None:
        for rule in correlation.rules:
            fields = _fields(correlation, rule, names)
            if rule in by_id:
                need(by_id[rule], fields)
            else:
                needed.setdefault(rule, set()).update(fields)

    for correlation in correlations:
        need(correlation, (*correlation.group_by, *correlation.counted))
    return {rule: tuple(sorted(fields)) for rule, fields in needed.items()}


def _fields(correlation: CorrelationRule, rule: str, names: Names) -> tuple[str, ...]:
    """Names as a rule's events have them."""
    return tuple(correlation.aliases.get(name, {}).get(rule, name) for name in names)


def correlate(
    correlations: Sequence[CorrelationRule], hits: Mapping[str, RuleHits]
) -> tuple[RuleHits, ...]:
    """The incidents of every correlation that has some.

    Args:
        correlations: One that others refer to stands before them.
        hits: Rule id to its hits.
    """
    found: dict[str, list[_Incident]] = {}
    reports = []
    events: dict[str, list[_Event]] = {}
    titles = {rule: held.title for rule, held in hits.items()}
    for correlation in correlations:
        sources: list[_Event | _Incident] = []
        for rule in correlation.rules:
            if rule in hits and rule not in events:
                events[rule] = _events(rule, hits[rule].table)
            sources += events.get(rule, [])
            sources += found.get(rule, [])
        incidents = list(_incidents_of(correlation, sources))
        if incidents:
            found[correlation.id] = incidents
            reports.append(_report(correlation, incidents, hits, titles))
    return tuple(reports)


def _events(rule: str, table: pa.Table) -> list[_Event]:
    columns = (table.column(name).to_pylist() for name in ("uid", "time", "fields"))
    return [
        _Event(rule, row, uid, time, orjson.loads(text) if text else {})
        for row, (uid, time, text) in enumerate(zip(*columns, strict=True))
    ]


def _incidents_of(
    correlation: CorrelationRule, sources: Sequence[_Event | _Incident]
) -> Iterator[_Incident]:
    groups: dict[tuple[str, ...], list[_Hit]] = {}
    by = len(correlation.group_by)
    names = (*correlation.group_by, *correlation.counted)
    for source in sources:
        for values in sorted(
            source.values(_fields(correlation, source.rule, names)),
            key=lambda found: [(text is None, text or "") for text in found],
        ):
            key, counted = values[:by], values[by:]
            if None not in key:  # what lacks a field to group by belongs to no group
                own = tuple(str(value) for value in key)
                groups.setdefault(own, []).append(_Hit(source, counted))
    number = 0
    for key in sorted(groups):
        for members in _spans(correlation, groups[key]):
            number += 1
            places = dict.fromkeys(place for hit in members for place in hit.source.places)
            yield _Incident(
                correlation.id,
                f"{correlation.id} {number}",
                members[-1].time,
                tuple(places),
                tuple(members),
                correlation,
            )


def _spans(correlation: CorrelationRule, hits: list[_Hit]) -> Iterator[list[_Hit]]:
    hits.sort(key=lambda hit: (hit.time, hit.uid))
    span = timedelta(seconds=correlation.seconds)
    growing = (
        not has_not(correlation.expression)
        if correlation.expression is not None
        else correlation.operator in _GROWING
    )
    tally = tally_of(correlation.kind, correlation.percentile)
    at = end = 0
    while at < len(hits):
        while end < len(hits) and (end <= at or hits[end].time - hits[at].time <= span):
            tally.add(hits[end])
            end += 1
        found = _satisfied(correlation, tally, hits, at, end)
        following = end if found or not growing else at + 1
        for left in range(at, following):
            tally.remove(hits[left])
        at = following
        if found:
            yield found


def _satisfied(
    correlation: CorrelationRule, tally: Tally, hits: Sequence[_Hit], at: int, end: int
) -> list[_Hit] | None:
    """The hits of one time span that satisfy the correlation."""
    if correlation.expression is not None:
        return _as_expressed(correlation, correlation.expression, rules_of(tally), hits[at:end])
    measured, compare = tally.value(), _COMPARE[correlation.operator]
    fits = measured is not None and compare(measured, correlation.count)
    if correlation.kind != "temporal_ordered":
        return list(hits[at:end]) if fits else None
    if not fits and correlation.operator in _GROWING:
        return None  # so many different rules did not even hit
    return _in_order(correlation.rules, hits[at:end], correlation.operator, correlation.count)


def _as_expressed(
    correlation: CorrelationRule,
    expression: Expression,
    rules: frozenset[str],
    hits: Sequence[_Hit],
) -> list[_Hit] | None:
    """The hits of a time span of which an expression over its rules holds."""
    if not true_for(expression, rules):
        return None
    if correlation.kind != "temporal_ordered":
        return list(hits)
    wanted = demanded(expression) & rules
    ordered = [rule for rule in correlation.rules if rule in wanted]
    return _in_order(ordered, hits, "gte", len(ordered))


def _in_order(
    rules: Sequence[str], hits: Sequence[_Hit], comparison: str, count: float
) -> list[_Hit] | None:
    """The hits that follow the rules' order, where there are so many (or few) of them."""
    chain = longest_chain(rules, hits)
    if not _COMPARE[comparison](len(chain), count):
        return None
    chosen = [hits[place] for place in chain] if comparison in _GROWING else list(hits)
    return chosen or None


def _report(
    correlation: CorrelationRule,
    incidents: Sequence[_Incident],
    hits: Mapping[str, RuleHits],
    titles: Mapping[str, str],
) -> RuleHits:
    numbered: dict[str, list[tuple[int, int]]] = {}
    for number, incident in enumerate(incidents, 1):
        for rule, row in incident.places:
            numbered.setdefault(rule, []).append((number, row))
    parts = [SCHEMA.empty_table()]
    at = SCHEMA.get_field_index("branch")
    for rule, own in numbered.items():
        taken = hits[rule].table.take(pa.array([row for _, row in own]))
        names = pa.array([f"{number}: {titles[rule]}" for number, _ in own])
        parts.append(taken.set_column(at, "branch", names.dictionary_encode()).cast(SCHEMA))
    order = [("time", "ascending"), ("uid", "ascending")]
    return RuleHits(
        id=correlation.id,
        title=correlation.title,
        level=correlation.level,
        author=correlation.author,
        count=len(incidents),
        table=pa.concat_tables(parts).sort_by(order),
    )
