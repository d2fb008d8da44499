"""Questions: the analytics that a hunt definition can name, each a pure function over records.

An analytic takes the records and returns, for those that it fires on, their index and the facts
its sentence needs. It never scores: weights are the hunt's, and combination is the finding's.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from huntonce.models.analytics.accounts import is_builtin, is_local_system, is_person, same_account
from huntonce.models.analytics.records import Record
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import AnalyticSpec
from huntonce.models.profile import Profile, matches_account

Fired = dict[int, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What an analytic may know beside the records.

    Attributes:
        population: Number of hosts in scope.
    """

    profile: Profile
    population: int


Analytic = Callable[[Sequence[Record], AnalyticSpec, Setting], Fired]


def ask(records: Sequence[Record], spec: AnalyticSpec, setting: Setting) -> Fired:
    """Run the analytic that a spec names.

    Raises:
        DomainError: There is no analytic of that type, or its options are wrong.
    """
    analytic = ANALYTICS.get(spec.type)
    if analytic is None:
        known = ", ".join(sorted(ANALYTICS))
        raise DomainError(f"analytic {spec.name}: unknown type {spec.type!r}", hint=f"use {known}")
    return analytic(records, spec, setting)


def check(spec: AnalyticSpec) -> None:
    """Nothing, where a spec can be asked.

    Raises:
        DomainError: Its type is not known, or an option is wrong.
    """
    for part in ("all", "none"):
        for value in _strings(spec.options, part).values():
            for text in _texts(value):
                pattern(text)
    ask((), spec, Setting(profile=Profile(), population=LARGEST))


@lru_cache(maxsize=512)
def pattern(text: str, *, lines: bool = False) -> re.Pattern[str]:
    """A compiled regular expression of a hunt definition, any case.

    ``lines``: ^ and $ stand for the ends of each line, for facts that hold one value a line (a
    task's actions). Never for what allows something: every line would have to match then.

    Raises:
        DomainError: It is not one.
    """
    try:
        return re.compile(text, re.IGNORECASE | (re.MULTILINE if lines else re.NOFLAG))
    except re.error as error:
        raise DomainError(f"not a regular expression: {text!r}: {error}") from error


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Sequence):
        return tuple(str(item) for item in value)
    raise DomainError(f"expected text or a list of texts, got {value!r}")


def _strings(options: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = options.get(name, {})
    if not isinstance(value, Mapping):
        raise DomainError(f"option {name!r} must map facts to regular expressions")
    return {str(key): item for key, item in value.items()}


def _fact_name(spec: AnalyticSpec, option: str) -> str:
    value = spec.options.get(option)
    if not isinstance(value, str) or not value:
        raise DomainError(f"option {option!r} must name a fact, got {value!r}")
    return value


LARGEST = 1_000_000
"""Of an option: no fleet, count of days or minutes is larger."""


def _number(options: Mapping[str, object], name: str, default: float) -> float:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DomainError(f"option {name!r} must be a number, got {value!r}")
    if not 0 <= value <= LARGEST:
        raise DomainError(f"option {name!r} must lie within 0 and {LARGEST}, got {value!r}")
    return value


def matches(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """Facts that match.

    ``all`` maps each fact to patterns of which one must occur in it, ``none`` to patterns of
    which none may. In a fact of several lines each line is looked at by itself.
    """
    wanted = _strings(spec.options, "all")
    barred = _strings(spec.options, "none")
    fired: Fired = {}
    for index, record in enumerate(records):
        hits = {name: _first(record.fact(name), _texts(value)) for name, value in wanted.items()}
        if not all(hits.values()):
            continue
        if any(_first(record.fact(name), _texts(value)) for name, value in barred.items()):
            continue
        fired[index] = {f"hit_{name}": hit for name, hit in hits.items()}
    return fired


def _first(text: str, patterns: tuple[str, ...]) -> str:
    for one in patterns:
        found = pattern(one, lines=True).search(text)
        if found and found.group(0):
            return found.group(0).strip()
    return ""


def system_by_user(records: Sequence[Record], spec: AnalyticSpec, setting: Setting) -> Fired:
    """Runs as LocalSystem, registered by a person; ``privileged`` says which persons are meant.

    ``unprivileged``: not one of the profile's privileged or task-authoring accounts (needs them
    to be declared). ``unknown``: nobody declared who is privileged.
    """
    known = setting.profile.privileged_accounts + setting.profile.task_authors
    want_unknown = spec.options.get("privileged") == "unknown"
    if want_unknown == bool(setting.profile.privileged_accounts):
        return {}
    return {
        index: {}
        for index, record in enumerate(records)
        if is_local_system(record.fact("run_as"))
        and is_person(record.fact("registered_by"), record.fact("registrar_sid"))
        and not matches_account(record.fact("registered_by"), known)
    }


def account_mismatch(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """Two facts that should name one account name two; empty ones do not count."""
    left, right = _fact_name(spec, "left"), _fact_name(spec, "right")
    return {
        index: {}
        for index, record in enumerate(records)
        if record.fact(left)
        and record.fact(right)
        and is_person(record.fact(right), record.fact("registrar_sid"))
        and not same_account(record.fact(left), record.fact(right))
    }


def by_person(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """Registered by a person, and the facts match as for ``matches``."""
    inner = matches(records, spec, _setting)
    return {
        index: facts
        for index, facts in inner.items()
        if is_person(records[index].fact("registered_by"), records[index].fact("registrar_sid"))
    }


def outside_change_window(
    records: Sequence[Record], _spec: AnalyticSpec, setting: Setting
) -> Fired:
    """Registered by a person for another account when no declared change window was open.

    What people register to run as themselves is no change of the system.
    """
    return {
        index: {"clock": f"{record.time:%a %H:%M} UTC"}
        for index, record in enumerate(records)
        if setting.profile.in_change_window(record.time) is False
        and is_person(record.fact("registered_by"), record.fact("registrar_sid"))
        and not _for_oneself(record)
    }


def _for_oneself(record: Record) -> bool:
    """Whether a task runs as the account that registered it."""
    run_as = record.fact("run_as")
    return bool(run_as) and (
        run_as == record.fact("registrar_sid") or same_account(run_as, record.fact("registered_by"))
    )


def no_business(records: Sequence[Record], _spec: AnalyticSpec, setting: Setting) -> Fired:
    """Registered for another account by a person who is neither privileged nor a task author."""
    known = setting.profile.privileged_accounts + setting.profile.task_authors
    if not setting.profile.task_authors:
        return {}
    return {
        index: {}
        for index, record in enumerate(records)
        if is_person(record.fact("registered_by"), record.fact("registrar_sid"))
        and not matches_account(record.fact("registered_by"), known)
        and record.fact("run_as")
        and not _for_oneself(record)
    }


def known_author(records: Sequence[Record], _spec: AnalyticSpec, setting: Setting) -> Fired:
    """Registered by an account whose business it is, in a change window if any is declared."""
    profile = setting.profile
    return {
        index: {}
        for index, record in enumerate(records)
        if matches_account(record.fact("registered_by"), profile.task_authors)
        and profile.in_change_window(record.time) is not False
    }


def privileged_author(records: Sequence[Record], _spec: AnalyticSpec, setting: Setting) -> Fired:
    """Registered by an account that administers hosts."""
    return {
        index: {}
        for index, record in enumerate(records)
        if matches_account(record.fact("registered_by"), setting.profile.privileged_accounts)
    }


def built_in_author(records: Sequence[Record], _spec: AnalyticSpec, _setting: Setting) -> Fired:
    """Registered by the system itself (LocalSystem, a service, the computer)."""
    return {
        index: {}
        for index, record in enumerate(records)
        if is_builtin(record.fact("registered_by"))
        or record.fact("registrar_sid") in {"S-1-5-18", "S-1-5-19", "S-1-5-20"}
    }


def no_deployments(records: Sequence[Record], _spec: AnalyticSpec, setting: Setting) -> Fired:
    """On a host that no known task author ever deployed to, while others are deployed to."""
    authors = setting.profile.task_authors
    deployed = {
        record.host for record in records if matches_account(record.fact("registered_by"), authors)
    }
    if not deployed:
        return {}
    return {
        index: {}
        for index, record in enumerate(records)
        if record.host not in deployed
        and is_person(record.fact("registered_by"), record.fact("registrar_sid"))
    }


def burst(records: Sequence[Record], spec: AnalyticSpec, setting: Setting) -> Fired:
    """The same thing by a person on at least ``hosts`` hosts within ``minutes``.

    ``key`` names the facts that make it the same. Known task authors inside a change window are
    left out: that is what deployment looks like.
    """
    key = _texts(spec.options.get("key", ("task", "action")))
    least = _number(spec.options, "hosts", 3)
    span = timedelta(minutes=_number(spec.options, "minutes", 60))
    expected = set(known_author(records, spec, setting))
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, record in enumerate(records):
        values = tuple(record.fact(name).casefold() for name in key)
        if not all(values) or index in expected:
            continue
        if is_person(record.fact("registered_by"), record.fact("registrar_sid")):
            groups.setdefault(values, []).append(index)
    fired: Fired = {}
    for indices in groups.values():
        fired.update(_within(records, sorted(indices, key=lambda i: records[i].time), least, span))
    return fired


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
    key = _texts(spec.options.get("key", ("action",)))
    most = _number(spec.options, "hosts", 2)
    if setting.population < _number(spec.options, "population", 20):
        return {}
    spread = _spread(records, key)
    return {
        index: {"rare_hosts": str(len(spread[values]))}
        for index, record in enumerate(records)
        if all(values := _values(record, key)) and len(spread[values]) <= most
    }


def common(records: Sequence[Record], spec: AnalyticSpec, setting: Setting) -> Fired:
    """A value that many hosts have, come to over days: what a fleet's software looks like."""
    key = _texts(spec.options.get("key", ("action",)))
    share = _number(spec.options, "share", 0.05)
    days = timedelta(days=_number(spec.options, "days", 2))
    least = max(_number(spec.options, "hosts", 5), share * setting.population)
    spread = _spread(records, key)
    times: dict[tuple[str, ...], list[int]] = {}
    for index, record in enumerate(records):
        times.setdefault(_values(record, key), []).append(index)
    fired: Fired = {}
    for values, indices in times.items():
        if not all(values) or len(spread[values]) < least:
            continue
        moments = [records[index].time for index in indices]
        if max(moments) - min(moments) >= days:
            facts = {"common_hosts": str(len(spread[values]))}
            fired.update(dict.fromkeys(indices, facts))
    return fired


def _values(record: Record, key: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(normal(record.fact(name)) for name in key)


def _spread(records: Sequence[Record], key: tuple[str, ...]) -> dict[tuple[str, ...], set[str]]:
    spread: dict[tuple[str, ...], set[str]] = {}
    for record in records:
        spread.setdefault(_values(record, key), set()).add(record.host)
    return spread


_SID = re.compile(r"s-1-5-21(?:-\d+)+")
_GUID = re.compile(r"\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?")
_PROFILE = re.compile(r"(?<=\\users\\)(?!public\\|default\\)[^\\\"]+")
_NUMBER = re.compile(r"\d+")


def normal(text: str) -> str:
    """A value without what differs from host to host: SIDs, GUIDs, user folders, numbers."""
    lowered = text.casefold().strip().strip('"')
    for expression, mark in ((_SID, "<sid>"), (_GUID, "<guid>"), (_PROFILE, "<user>")):
        lowered = expression.sub(mark, lowered)
    return _NUMBER.sub("#", lowered)


def present(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """A fact is known at all."""
    name = _fact_name(spec, "fact")
    return {index: {} for index, record in enumerate(records) if record.fact(name)}


ANALYTICS: dict[str, Analytic] = {
    "account_mismatch": account_mismatch,
    "built_in_author": built_in_author,
    "burst": burst,
    "by_person": by_person,
    "common": common,
    "known_author": known_author,
    "matches": matches,
    "no_business": no_business,
    "no_deployments": no_deployments,
    "outside_change_window": outside_change_window,
    "present": present,
    "privileged_author": privileged_author,
    "rare": rare,
    "system_by_user": system_by_user,
}
