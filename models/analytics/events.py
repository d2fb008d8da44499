"""Event records: one for each thing that a hunt's searches show, whatever channels showed it.

A row becomes a record by its search's view. Rows that a view (within one search) or the hunt's
``merge`` (across its searches) declare to be one thing are one record: a process told by Sysmon 1
and by Security 4688, a service told by System 7045, Security 4697 and the registry.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa

from huntonce.models.analytics.forms import form
from huntonce.models.analytics.records import Record, Row, host_of, pattern, ref_of, rows, time_of
from huntonce.models.analytics.views import View, view
from huntonce.models.huntdef import FactRule, HuntDefinition, HuntSearch, Merge

MAX_FACT = 4_000
"""Longest fact that is kept; scripts and XML may be megabytes."""
MAX_GATHERED = 40
"""Most values that a gathered fact holds, one a line."""
MAX_REFS = 200
"""Most events that one record points at."""
OCCURRENCE = "occurrence"
"""Role of an event that shows the thing itself."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A search, ready to read rows."""

    search: HuntSearch
    view: View
    rules: Mapping[str, FactRule]


def build(tables: Mapping[str, pa.Table], definition: HuntDefinition) -> list[Record]:
    """Records of a hunt's searches, oldest first."""
    records: list[Record] = []
    for search in definition.searches:
        table = tables.get(search.name)
        if table is None:
            continue
        base = view(search.view or "event")
        source = _Source(search, base, {**base.facts, **search.facts})
        made = [_record(row, source) for row in rows(table)]
        joined = merged(made, Merge(by=base.by, within=base.within)) if base.by else made
        records += joined
    records.sort(key=_order)
    for join in definition.merge:
        records = merged(records, join)
    for record in records:
        record.entity = _entity(record, definition.entity)
    return records


def fields_of(search: HuntSearch) -> tuple[str, ...]:
    """Every event field that a search's view and facts read, and those it names itself."""
    base = view(search.view or "event")
    own = (name for rule in search.facts.values() for name in rule.fields)
    return tuple(dict.fromkeys([*search.fields, *base.fields, *own]))


def facts_of(search: HuntSearch) -> frozenset[str]:
    """Names of the facts that a search's records may have."""
    return frozenset({*view(search.view or "event").facts, *search.facts, *_ALWAYS})


_ALWAYS = ("action", "channel", "count", "event", "search")


def _order(record: Record) -> tuple[object, ...]:
    return record.time, record.host, record.refs[0].uid if record.refs else ""


def occurrence(row: Row, search: HuntSearch) -> Record:
    """The record of one row of a search, not yet merged with others."""
    base = view(search.view or "event")
    return _record(row, _Source(search, base, {**base.facts, **search.facts}))


def _record(row: Row, source: _Source) -> Record:
    facts = {name: value for name, rule in source.rules.items() if (value := read(row, rule))}
    facts["event"] = str(row["event_id"])
    facts["channel"] = str(row["channel"])
    facts["search"] = source.search.name
    facts["count"] = "1"
    action = next((facts[name] for name in source.view.action if facts.get(name)), "")
    if action and "action" not in facts:
        facts["action"] = action
    host = host_of(row)
    return Record(
        entity="",
        host=host,
        time=time_of(row),
        facts=facts,
        refs=[ref_of(row, source.search.role or OCCURRENCE)],
        hosts={host},
    )


def read(row: Row, rule: FactRule) -> str:
    """A fact of a row, "" where the row does not tell it."""
    shaped = form(rule.form)
    if rule.joined:
        values = [str(row.get(name) or "").strip() for name in rule.fields]
        return shaped("\\".join(values))[:MAX_FACT] if values[-1] else ""
    for name in rule.fields:
        value = row.get(name)
        if value in (None, "", "-"):
            continue
        found = _matched(str(value), rule.match)
        if found:
            return shaped(found)[:MAX_FACT]
    return rule.text


def _matched(text: str, expression: str) -> str:
    if not expression:
        return text
    found = pattern(expression).search(text[:MAX_FACT])
    if found is None:
        return ""
    groups = [group for group in found.groups() if group is not None]
    return groups[0] if groups else found.group(0)


def _entity(record: Record, template: str) -> str:
    """The template with the record's facts; where none of them is known, what was done."""
    text = template
    known = False
    for name, value in record.facts.items():
        if "{" + name + "}" in text:
            known = True
            text = text.replace("{" + name + "}", value)
    if not known:
        return record.fact("action") or f"event {record.fact('event')}"
    return pattern(r"\{[a-z_]+\}").sub("?", text)[:MAX_FACT]


def merged(records: Iterable[Record], join: Merge) -> list[Record]:
    """Records that a merge declares to be one thing put together, in the order of time.

    Two records are one where every fact of ``by`` is known in both and, compared without case, the
    same, on the same host, and the later one is within ``within`` seconds of what is there.
    """
    span = timedelta(seconds=join.within)
    open_: dict[tuple[str, ...], tuple[Record, list[float]]] = {}
    kept: list[Record] = []
    for record in sorted(records, key=_order):
        values = tuple(record.fact(name).casefold() for name in join.by)
        key = (record.host, *values)
        there = open_.get(key) if all(values) else None
        if there is not None and record.time.timestamp() - there[1][0] <= span.total_seconds():
            _add(there[0], record, join.gather)
            there[1][0] = record.time.timestamp()
            continue
        kept.append(record)
        for name in join.gather:
            _count(record, name)
        if all(values):
            open_[key] = (record, [record.time.timestamp()])
    return kept


def _add(into: Record, record: Record, gather: Sequence[str]) -> None:
    for name, value in record.facts.items():
        if name in gather:
            lines = into.fact(name).split("\n") if into.fact(name) else []
            if value not in lines and len(lines) < MAX_GATHERED:
                into.facts[name] = "\n".join([*lines, value])
            _count(into, name)
        elif name == "count":
            into.facts["count"] = str(int(into.fact("count") or "1") + int(value))
        else:
            into.facts.setdefault(name, value)
    into.refs += record.refs[: max(0, MAX_REFS - len(into.refs))]
    into.hosts |= record.hosts


def _count(record: Record, name: str) -> None:
    """How many different values a gathered fact holds, as a fact ``n_...``."""
    if record.fact(name):
        record.facts[f"n_{name}"] = str(len(record.fact(name).split("\n")))
