"""Stacking: how often, how widely and how lately a value occurs; the same thing many times over."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from huntonce.models.analytics.accounts import is_person
from huntonce.models.analytics.asking import Fired, Setting, fact_name, number, texts, values
from huntonce.models.analytics.records import Record
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import AnalyticSpec
from huntonce.models.profile import matches_account


def burst(records: Sequence[Record], spec: AnalyticSpec, setting: Setting) -> Fired:
    """The same thing by a person on at least ``hosts`` hosts within ``minutes``.

    ``key`` names the facts that make it the same. Known task authors inside a change window are
    left out: that is what deployment looks like. With ``people: false`` whoever did it counts.
    """
    key = texts(spec.options.get("key", ("task", "action")))
    least = number(spec.options, "hosts", 3)
    span = timedelta(minutes=number(spec.options, "minutes", 60))
    anyone = spec.options.get("people", True) is False
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, record in enumerate(records):
        told = tuple(record.fact(name).casefold() for name in key)
        if not all(told) or _deploys(record, setting):
            continue
        if anyone or is_person(record.actor, record.actor_sid):
            groups.setdefault(told, []).append(index)
    fired: Fired = {}
    for indices in groups.values():
        fired.update(_within(records, sorted(indices, key=lambda i: records[i].time), least, span))
    return fired


def _deploys(record: Record, setting: Setting) -> bool:
    """By an account whose business it is, in a change window if any is declared."""
    profile = setting.profile
    return (
        matches_account(record.actor, profile.task_authors)
        and profile.in_change_window(record.time) is not False
    )


def _within(
    records: Sequence[Record], ordered: Sequence[int], least: float, span: timedelta
) -> Fired:
    """Indices that lie in some window of ``span`` with at least ``least`` distinct hosts."""
    fired: Fired = {}
    left = 0
    counts: dict[str, int] = {}
    for right, index in enumerate(ordered):
        counts[records[index].host] = counts.get(records[index].host, 0) + 1
        while records[index].time - records[ordered[left]].time > span:
            gone = records[ordered[left]].host
            counts[gone] -= 1
            if not counts[gone]:
                del counts[gone]
            left += 1
        if len(counts) >= least:
            took = records[index].time - records[ordered[left]].time
            facts = {
                "burst_hosts": str(len(counts)),
                "burst_minutes": f"{max(1, round(took.total_seconds() / 60))}",
            }
            for member in ordered[left : right + 1]:
                fired[member] = facts
    return fired


def rare(records: Sequence[Record], spec: AnalyticSpec, setting: Setting) -> Fired:
    """A value on at most ``hosts`` hosts of a population of at least ``population``."""
    key = texts(spec.options.get("key", ("action",)))
    most = number(spec.options, "hosts", 2)
    if setting.population < number(spec.options, "population", 20):
        return {}
    spread = _spread(records, key)
    return {
        index: {"rare_hosts": str(len(spread[have]))}
        for index, record in enumerate(records)
        if all(have := values(record, key)) and len(spread[have]) <= most
    }


def common(records: Sequence[Record], spec: AnalyticSpec, setting: Setting) -> Fired:
    """A value that many hosts have, come to over days: what a fleet's software looks like."""
    key = texts(spec.options.get("key", ("action",)))
    share = number(spec.options, "share", 0.05)
    days = timedelta(days=number(spec.options, "days", 2))
    least = max(number(spec.options, "hosts", 5), share * setting.population)
    spread = _spread(records, key)
    times: dict[tuple[str, ...], list[int]] = {}
    for index, record in enumerate(records):
        times.setdefault(values(record, key), []).append(index)
    fired: Fired = {}
    for have, indices in times.items():
        if not all(have) or len(spread[have]) < least:
            continue
        moments = [records[index].time for index in indices]
        if max(moments) - min(moments) >= days:
            facts = {"common_hosts": str(len(spread[have]))}
            fired.update(dict.fromkeys(indices, facts))
    return fired


def _spread(records: Sequence[Record], key: tuple[str, ...]) -> dict[tuple[str, ...], set[str]]:
    spread: dict[tuple[str, ...], set[str]] = {}
    for record in records:
        spread.setdefault(values(record, key), set()).add(record.host)
    return spread


_OVER: Mapping[str, Callable[[Record], str]] = {
    "account": lambda record: record.actor.casefold(),
    "day": lambda record: f"{record.time:%Y-%m-%d}",
    "host": lambda record: record.host,
}


def stack(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """A value with few accounts, days or hosts, where the records show many of them.

    ``key`` names the facts; ``over`` is account, day or host; the value occurs with at most
    ``most`` of them, while all records together show at least ``least``. Without that floor every
    value of a quiet source would be rare.
    """
    key = texts(spec.options.get("key", ("action",)))
    over = str(spec.options.get("over", "host"))
    if over not in _OVER:
        raise DomainError(f"option 'over' must be one of {', '.join(_OVER)}, got {over!r}")
    most, least = number(spec.options, "most", 1), number(spec.options, "least", 10)
    whole = {shown for record in records if (shown := _OVER[over](record))}
    if len(whole) < least:
        return {}
    held: dict[tuple[str, ...], set[str]] = {}
    for record in records:
        held.setdefault(values(record, key), set()).add(_OVER[over](record))
    return {
        index: {"stack_count": str(len(held[have])), "stack_of": str(len(whole))}
        for index, record in enumerate(records)
        if all(have := values(record, key)) and len(held[have]) <= most
    }


def first_seen(records: Sequence[Record], spec: AnalyticSpec, setting: Setting) -> Fired:
    """A value that the baseline window does not show; says nothing where there is no baseline.

    ``key`` names the facts; with ``on: host`` the value must be new on that host, else anywhere.
    """
    if setting.before is None:
        return {}
    key = texts(spec.options.get("key", ("action",)))
    own = spec.options.get("on") == "host"

    def seen(record: Record) -> tuple[str, ...]:
        return (record.host if own else "", *values(record, key))

    known = {seen(record) for record in setting.before}
    return {
        index: {"baseline": setting.baseline}
        for index, record in enumerate(records)
        if all(values(record, key)) and seen(record) not in known
    }


def rare_pair(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """Of what a common ``left`` (a parent) comes with, a ``right`` (a child) that is a rarity.

    ``left`` occurs at least ``least`` times, and with that right in at most ``share`` of them.
    """
    left, right = fact_name(spec, "left"), fact_name(spec, "right")
    share, least = number(spec.options, "share", 0.02), number(spec.options, "least", 50)
    lefts: dict[str, int] = {}
    pairs: dict[tuple[str, ...], int] = {}
    for record in records:
        pair = values(record, (left, right))
        if all(pair):
            lefts[pair[0]] = lefts.get(pair[0], 0) + 1
            pairs[pair] = pairs.get(pair, 0) + 1
    return {
        index: {"pair_count": str(pairs[pair]), "pair_of": str(lefts[pair[0]])}
        for index, record in enumerate(records)
        if all(pair := values(record, (left, right)))
        and lefts[pair[0]] >= least
        and pairs[pair] <= share * lefts[pair[0]]
    }
