"""Sigma correlations, slowly and obviously; shares nothing with the product.

A hit is a mapping with rule, uid, time (seconds) and fields. Time spans start at a hit. Where more
hits can only help, a span is tried at every hit; where they can undo it, spans follow one another.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

Hit = Mapping[str, Any]


def incidents(correlation: Mapping[str, Any], hits: Sequence[Hit]) -> list[list[str]]:
    """The uids of the events of each incident, groups in order, then by time."""
    names = correlation.get("group-by", [])
    found: list[list[str]] = []
    keys = sorted({_key(hit, names) for hit in hits} - {None})  # type: ignore[type-var]
    for key in keys:
        mine = sorted(
            (hit for hit in hits if _key(hit, names) == key),
            key=lambda hit: (hit["time"], hit["uid"]),
        )
        found += _of_group(correlation, mine)
    return found


def _key(hit: Hit, names: Sequence[str]) -> tuple[str, ...] | None:
    values = tuple(hit["fields"].get(name) for name in names)
    return None if None in values else values


def _of_group(correlation: Mapping[str, Any], hits: Sequence[Hit]) -> list[list[str]]:
    found, start = [], 0
    while start < len(hits):
        limit = hits[start]["time"] + correlation["seconds"]
        window = [hit for hit in hits[start:] if hit["time"] <= limit]
        chosen = _choose(correlation, window)
        if chosen:
            found.append([hit["uid"] for hit in chosen])
        if chosen or not _growing(correlation):
            start += len(window)
        else:
            start += 1
    return found


def _growing(correlation: Mapping[str, Any]) -> bool:
    condition = correlation["condition"]
    if isinstance(condition, str):
        return " not " not in f" {condition} "
    return "gte" in condition or "gt" in condition


def _choose(correlation: Mapping[str, Any], window: Sequence[Hit]) -> Sequence[Hit] | None:
    condition, kind = correlation["condition"], correlation["type"]
    present = {hit["rule"] for hit in window}
    if isinstance(condition, str):
        if not eval(condition, {}, {rule: rule in present for rule in correlation["rules"]}):  # noqa: S307 - the tests' own text
            return None
        if kind == "temporal":
            return window
        words = condition.replace("(", " ").replace(")", " ").split()
        denied = {word for before, word in pairwise(words) if before == "not"}
        wanted = [rule for rule in correlation["rules"] if rule in present - denied]
        chain = _chain(wanted, window)
        return chain if len(chain) == len(wanted) else None
    if kind == "temporal_ordered":
        chain = _chain(correlation["rules"], window)
        if not _compare(len(chain), condition):
            return None
        return chain if _growing(correlation) else window
    measure = _measure(kind, condition, window)
    return window if measure is not None and _compare(measure, condition) else None


def _chain(rules: Sequence[str], window: Sequence[Hit]) -> Sequence[Hit]:
    """The longest choice of hits whose rules stand in the order of the rules."""
    for size in range(min(len(rules), len(window)), 0, -1):
        fitting = [
            choice
            for choice in combinations(window, size)
            if len({hit["uid"] for hit in choice}) == size
            and all(
                rules.index(one["rule"]) < rules.index(two["rule"]) for one, two in pairwise(choice)
            )
            if all(hit["rule"] in rules for hit in choice)
        ]
        if fitting:
            return min(fitting, key=lambda choice: (choice[-1]["time"], choice[-1]["uid"]))
    return []


def _compare(measure: Fraction | float, condition: Mapping[str, Any]) -> bool:
    for name, holds in (
        ("lt", lambda one, two: one < two),
        ("lte", lambda one, two: one <= two),
        ("gt", lambda one, two: one > two),
        ("gte", lambda one, two: one >= two),
        ("eq", lambda one, two: one == two),
        ("neq", lambda one, two: one != two),
    ):
        if name in condition:
            return holds(measure, condition[name])
    raise AssertionError(condition)


def _measure(  # noqa: PLR0911 - one kind after another
    kind: str, condition: Mapping[str, Any], window: Sequence[Hit]
) -> Fraction | float | None:
    if kind == "event_count":
        return len({hit["uid"] for hit in window})
    if kind == "temporal":
        return len({hit["rule"] for hit in window})
    values = [hit["fields"].get(condition["field"]) for hit in window]
    if kind == "value_count":
        return len(set(values) - {None})
    found = {(hit["uid"], hit["fields"].get(condition["field"])) for hit in window}
    numbers = sorted(Fraction(text) for _, text in found if text is not None and text[-1].isdigit())
    if not numbers:
        return None
    if kind == "value_sum":
        return sum(numbers)
    if kind == "value_avg":
        return sum(numbers) / len(numbers)
    share = Fraction(condition["percentile"] if kind == "value_percentile" else 50, 100)
    place = share * (len(numbers) - 1)
    low, rest = place.numerator // place.denominator, place % 1
    return numbers[low] if not rest else numbers[low] * (1 - rest) + numbers[low + 1] * rest
