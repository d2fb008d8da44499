"""Sequences: several things within a span of time that belong together."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from huntonce.models.analytics.asking import Fired, Setting, holds, number, strings, texts
from huntonce.models.analytics.records import Record
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import AnalyticSpec

Group = tuple[str, ...]


def _groups(
    records: Sequence[Record], by: Sequence[str], *, across: bool = False
) -> dict[Group, list[int]]:
    """Indices by host (unless ``across``) and the facts of ``by``, each in the order of time.

    A record that does not tell one of the facts is in no group: what is not known joins nothing.
    """
    groups: dict[Group, list[int]] = {}
    for index in sorted(range(len(records)), key=lambda i: records[i].time):
        record = records[index]
        told = tuple(record.fact(name).casefold() for name in by)
        if all(told):
            groups.setdefault(("" if across else record.host, *told), []).append(index)
    return groups


def many(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """At least ``least`` different values of a fact within ``minutes`` by the same actor.

    ``by`` names the facts that make it the same (on one host; with ``across: true`` on any),
    ``value`` the fact whose values are counted; without it, events are.
    """
    by = texts(spec.options.get("by", ("actor",)))
    value = str(spec.options.get("value", ""))
    least = number(spec.options, "least", 5)
    span = timedelta(minutes=number(spec.options, "minutes", 10))
    fired: Fired = {}
    for indices in _groups(records, by, across=bool(spec.options.get("across"))).values():
        left = 0
        for right, index in enumerate(indices):
            while records[index].time - records[indices[left]].time > span:
                left += 1
            inside = indices[left : right + 1]
            found = _amount([records[i] for i in inside], value)
            if found >= least:
                took = records[index].time - records[inside[0]].time
                facts = {
                    "many_count": str(found),
                    "many_minutes": f"{max(1, round(took.total_seconds() / 60))}",
                }
                fired.update(dict.fromkeys(inside, facts))
    return fired


def _amount(inside: Sequence[Record], value: str) -> int:
    if not value:
        return sum(int(record.fact("count") or "1") for record in inside)
    lines = (line for record in inside for line in record.fact(value).casefold().split("\n"))
    return len({line for line in lines if line})


def sequence(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """Every step occurs, in their order, within ``minutes`` on one host.

    ``steps`` is a list of ``{all: {fact: patterns}, none: {...}}``; ``by`` names facts that are
    the same in every step (logon_id, process_guid). With ``ordered: false`` any order will do.
    """
    steps = _steps(spec)
    by = texts(spec.options.get("by", ()))
    span = timedelta(minutes=number(spec.options, "minutes", 10))
    ordered = spec.options.get("ordered", True) is not False
    fired: Fired = {}
    for indices in _groups(records, by).values():
        kinds = {
            i: {n for n, (want, bar) in enumerate(steps) if holds(records[i], want, bar)}
            for i in indices
        }
        told = [i for i in indices if kinds[i]]
        for position, start in enumerate(told):
            near = [i for i in told[position:] if records[i].time - records[start].time <= span]
            chain = _chain(near, kinds, len(steps), ordered=ordered)
            if chain and chain[0] == start:
                took = records[chain[-1]].time - records[start].time
                facts = {
                    "steps": str(len(steps)),
                    "steps_seconds": f"{took.total_seconds():.0f}",
                }
                fired.update(dict.fromkeys(chain, facts))
    return fired


def _chain(
    near: Sequence[int], kinds: Mapping[int, set[int]], steps: int, *, ordered: bool
) -> list[int]:
    """The first records that make up the steps, one record a step; empty where one is lacking."""
    chain: list[int] = []
    left = list(range(steps))
    for index in near:
        due = left[:1] if ordered else left
        step = next((n for n in due if n in kinds[index]), None)
        if step is not None:
            left.remove(step)
            chain.append(index)
        if not left:
            return chain
    return []


def _steps(spec: AnalyticSpec) -> list[tuple[Mapping[str, object], Mapping[str, object]]]:
    told = spec.options.get("steps")
    if not isinstance(told, Sequence) or isinstance(told, str) or len(told) < 2:  # noqa: PLR2004 - one is none
        raise DomainError("option 'steps' must be a list of at least two")
    steps = []
    for step in told:
        if not isinstance(step, Mapping) or not step.get("all"):
            raise DomainError(f"a step says what must hold (all: ...), got {step!r}")
        steps.append((strings(step, "all"), strings(step, "none")))
    return steps
