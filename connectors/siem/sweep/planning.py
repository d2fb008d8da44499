"""What to look for in a class of events: which rules can fire, and by which texts to find them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from huntonce.connectors.siem.lake.layout import channel_folder
from huntonce.connectors.siem.sweep.batch import ClassRows
from huntonce.connectors.siem.sweep.catalog import EventClass
from huntonce.connectors.siem.sweep.folding import (
    All,
    ClassContext,
    ColumnKey,
    Folded,
    Inverse,
    Outcome,
    Some,
    Test,
    blinded,
    fold,
)
from huntonce.connectors.siem.sweep.scanning import Scanner, scanner
from huntonce.connectors.sigma.logsource import Variant
from huntonce.connectors.sigma.pack import CompiledRule

ENGINE_VERSION = 1
"""Part of every key under which plans and hits are kept."""

_SAMPLE = 400
_TOO_COMMON = 0.25
_SHORTEST = 2

Needle = tuple[int, int]
"""Number of the column and of the text, in the plan."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule in a plan.

    Attributes:
        rule: Its position among the rules that were planned.
        place: Position of the place of its log source.
        needles: Texts of which one occurs in every event it matches; None where none are known,
            so that every event is looked at.
    """

    rule: int
    place: int
    needles: tuple[Needle, ...] | None


@dataclass(slots=True)
class Plan:
    """How the events of a class are searched."""

    columns: list[ColumnKey]
    needles: list[list[str]]
    entries: list[Entry]
    _scanners: dict[int, Scanner] = field(default_factory=dict)
    _by_needle: dict[int, dict[int, list[int]]] = field(default_factory=dict)

    def scanner(self, column: int) -> Scanner:
        """The search for a column's texts."""
        if column not in self._scanners:
            self._scanners[column] = scanner(tuple(self.needles[column]))
        return self._scanners[column]

    def entries_of(self, column: int) -> Mapping[int, Sequence[int]]:
        """Text number to the entries that wait for it."""
        if not self._by_needle:
            self._by_needle = {number: {} for number in range(len(self.columns))}
            for number, entry in enumerate(self.entries):
                for at, needle in entry.needles or ():
                    self._by_needle[at].setdefault(needle, []).append(number)
        return self._by_needle[column]


def texts_of(plans: Iterable[Plan]) -> dict[str, dict[str, None]]:
    """What some plans look for, by the column's name."""
    found: dict[str, dict[str, None]] = {}
    for plan in plans:
        for key, needles in zip(plan.columns, plan.needles, strict=True):
            found.setdefault(key.name, {}).update(dict.fromkeys(needles))
    return found


@dataclass(frozen=True, slots=True)
class Outlook:
    """Which rules can fire in a class.

    Attributes:
        live: (rule, place) of those that can.
        blind: (rule, place, fields) of those that cannot because the class lacks fields.
    """

    live: tuple[tuple[int, int], ...]
    blind: tuple[tuple[int, int, tuple[str, ...]], ...]


class RuleIndex:
    """The rules by the channels and event ids of their log sources."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self.rules = tuple(rules)
        self._channels: dict[str, list[tuple[int, int, Variant]]] = {}
        for position, rule in enumerate(rules):
            for number, place in enumerate(rule.places):
                folder = channel_folder(place.channel) if place.channel else ""
                self._channels.setdefault(folder, []).append((position, number, place))
        self.digest = hashlib.sha256(
            "\n".join([str(ENGINE_VERSION), *(rule.fingerprint for rule in rules)]).encode()
        ).hexdigest()[:32]

    def of_class(self, channel: str, event_id: int) -> Iterable[tuple[int, int, Variant]]:
        """Rules, with the place, whose log source holds a class."""
        for folder in ("", channel):
            for found in self._channels.get(folder, ()):
                if not found[2].event_ids or event_id in found[2].event_ids:
                    yield found

    def key(self, events: EventClass) -> str:
        """What a plan for a class depends on."""
        parts = (self.digest, events.channel, str(events.event_id), *events.columns)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


class Folder:
    """Folds rules over classes, each once."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self._rules = rules
        self._contexts: dict[tuple[str, int, int], tuple[Variant, ClassContext]] = {}
        self._folded: dict[tuple[str, int, int, int], Outcome] = {}

    def context(self, events: EventClass, place: Variant) -> ClassContext:
        """A class as a place of a log source names its fields."""
        key = (events.channel, events.event_id, id(place))
        if key not in self._contexts:
            context = ClassContext(place, events.event_id, events.columns)
            self._contexts[key] = (place, context)
        return self._contexts[key][1]

    def fold(self, events: EventClass, rule: int, place: int) -> Outcome:
        """The rule's condition over a class."""
        key = (events.channel, events.event_id, rule, place)
        if key not in self._folded:
            held = self._rules[rule]
            context = self.context(events, held.places[place])
            self._folded[key] = fold(held.condition, context)
        return self._folded[key]


def outlook(events: EventClass, index: RuleIndex, folder: Folder) -> Outlook:
    """Which rules can fire in a class, and which lack fields there."""
    live: list[tuple[int, int]] = []
    blind: list[tuple[int, int, tuple[str, ...]]] = []
    for rule, number, place in index.of_class(events.channel, events.event_id):
        context = folder.context(events, place)
        context.absent.clear()
        outcome = folder.fold(events, rule, number)
        if outcome is not False:
            live.append((rule, number))
        elif context.absent and blinded(index.rules[rule].condition, context):
            blind.append((rule, number, tuple(context.absent)))
    return Outlook(tuple(live), tuple(blind))


def make_plan(
    live: Iterable[tuple[int, int]], fold_rule: Callable[[int, int], Outcome], rows: ClassRows
) -> Plan:
    """A plan for rules that can fire, by a sample of the events."""
    folded = {key: fold_rule(*key) for key in live}
    asked: dict[ColumnKey, dict[str, None]] = {}
    for outcome in folded.values():
        if not isinstance(outcome, bool):
            _gather(outcome, asked)
    rows.batch.prefetch(key.name for key in asked)
    shares = {key: _shares(key, list(needles), rows) for key, needles in asked.items()}
    plan = Plan([], [], [])
    numbers: dict[Any, int] = {}
    for (rule, place), outcome in folded.items():
        if outcome is False:
            continue
        chosen = None if outcome is True else _cheapest(outcome, shares)[1]
        needles = None if chosen is None else tuple(_number(plan, numbers, item) for item in chosen)
        plan.entries.append(Entry(rule, place, needles))
    return plan


def _number(plan: Plan, numbers: dict[Any, int], chosen: tuple[ColumnKey, str]) -> Needle:
    key, needle = chosen
    if key not in numbers:
        numbers[key] = len(plan.columns)
        plan.columns.append(key)
        plan.needles.append([])
    column = numbers[key]
    if chosen not in numbers:
        numbers[chosen] = len(plan.needles[column])
        plan.needles[column].append(needle)
    return column, numbers[chosen]


def _gather(folded: Folded, asked: dict[ColumnKey, dict[str, None]]) -> None:
    """Every text that could be looked for."""
    match folded:
        case Test(key, predicate):
            asked.setdefault(key, {}).update(dict.fromkeys(predicate.needles() or ()))
        case All(items) | Some(items):
            for item in items:
                _gather(item, asked)
        case _:
            pass


def _shares(key: ColumnKey, needles: list[str], rows: ClassRows) -> dict[str, float]:
    """For each text about which share of the rows holds it."""
    counts = np.zeros(len(needles))
    if needles and len(rows):
        column = rows.column(key)
        picked = np.random.default_rng(1).integers(0, len(rows), min(_SAMPLE, len(rows)))
        codes, weights = np.unique(column.codes[picked], return_counts=True)
        codes, weights = codes[codes >= 0], weights[codes >= 0]
        if len(codes):
            found, values = scanner(tuple(needles)).scan(column.low.take(pa.array(codes)))
            np.add.at(counts, found, weights[values])
    size = max(min(_SAMPLE, len(rows)), 1)
    return {
        needle: count / size + (0.02 + 0.3 / len(needle) ** 2) / _SAMPLE
        for needle, count in zip(needles, counts.tolist(), strict=True)
    }


_NOTHING: tuple[float, None] = (1.0, None)
Choice = tuple[float, tuple[tuple[ColumnKey, str], ...] | None]


def _cheapest(folded: Folded, shares: Mapping[ColumnKey, Mapping[str, float]]) -> Choice:
    """The rarest set of texts of which one must occur, and the share of rows it leaves."""
    match folded:
        case Test(key, predicate):
            return _of_test(key, predicate.needles(), shares)
        case All(items):
            choices = [_cheapest(item, shares) for item in items]
            known = [choice for choice in choices if choice[1] is not None]
            return min(known, key=lambda choice: choice[0], default=_NOTHING)
        case Some(items):
            choices = [_cheapest(item, shares) for item in items]
            share = sum(choice[0] for choice in choices)
            texts: list[tuple[ColumnKey, str]] = []
            for _, needles in choices:
                if needles is None or share > _TOO_COMMON:
                    return _NOTHING
                texts += needles
            return share, tuple(dict.fromkeys(texts))
        case Inverse():
            return _NOTHING
        case _:
            return _NOTHING


def _of_test(
    key: ColumnKey,
    needles: tuple[str, ...] | None,
    shares: Mapping[ColumnKey, Mapping[str, float]],
) -> Choice:
    if not needles or min(len(needle.encode()) for needle in needles) < _SHORTEST:
        return _NOTHING
    share = sum(shares[key][needle] for needle in needles)
    return (share, tuple((key, needle) for needle in needles)) if share <= _TOO_COMMON else _NOTHING


def encode_plan(plan: Plan) -> bytes:
    """The plan as JSON."""
    columns = [[key.name, list(key.meanings)] for key in plan.columns]
    entries = [[entry.rule, entry.place, entry.needles] for entry in plan.entries]
    return orjson.dumps([columns, plan.needles, entries])


def decode_plan(body: bytes) -> Plan:
    """The plan of ``encode_plan``."""
    columns, needles, entries = orjson.loads(body)
    return Plan(
        [
            ColumnKey(name, tuple((recorded, meant) for recorded, meant in meanings))
            for name, meanings in columns
        ],
        needles,
        [
            Entry(rule, place, None if found is None else tuple(map(tuple, found)))
            for rule, place, found in entries
        ],
    )


def encode_outlook(found: Outlook) -> bytes:
    """The outlook as JSON."""
    return orjson.dumps([found.live, found.blind])


def decode_outlook(body: bytes) -> Outlook:
    """The outlook of ``encode_outlook``."""
    live, blind = orjson.loads(body)
    return Outlook(
        tuple((rule, place) for rule, place in live),
        tuple((rule, place, tuple(fields)) for rule, place, fields in blind),
    )
