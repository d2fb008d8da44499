"""Questions: the analytics that a hunt definition can name, each a pure function over records.

An analytic takes the records and returns, for those that it fires on, their index and the facts
its sentence needs. It never scores: weights are the hunt's, and combination is the finding's.
"""

from collections.abc import Mapping, Sequence

from huntonce.models.analytics.accounts import is_builtin, is_local_system, is_person, same_account
from huntonce.models.analytics.asking import (
    LARGEST,
    Analytic,
    Fired,
    Setting,
    fact_name,
    first,
    holds,
    strings,
    texts,
)
from huntonce.models.analytics.forms import name as file_name
from huntonce.models.analytics.records import Record, pattern
from huntonce.models.analytics.sequences import many, sequence
from huntonce.models.analytics.stacking import burst, common, first_seen, rare, rare_pair, stack
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import AnalyticSpec
from huntonce.models.profile import Profile, matches_account


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
    steps = spec.options.get("steps", ())
    for options in (spec.options, *(steps if isinstance(steps, (list, tuple)) else ())):
        _check_patterns(options)
    ask((), spec, Setting(profile=Profile(), population=LARGEST, before=()))


def _check_patterns(options: object) -> None:
    if isinstance(options, Mapping):
        for part in ("all", "any", "none"):
            for value in strings(options, part).values():
                for text in texts(value):
                    pattern(text)


def facts_named(spec: AnalyticSpec) -> frozenset[str]:
    """Names of the facts that a spec's options read."""
    named: set[str] = set()
    steps = spec.options.get("steps", ())
    for options in (spec.options, *(steps if isinstance(steps, (list, tuple)) else ())):
        if isinstance(options, Mapping):
            for part in ("all", "any", "none"):
                named.update(strings(options, part))
    for option in ("key", "by", "left", "right", "fact", "value"):
        value = spec.options.get(option)
        named.update(texts(value) if value else ())
    return frozenset(named)


def matches(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """Facts that match.

    ``all`` maps each fact to patterns of which one must occur in it, ``none`` to patterns of
    which none may; of the facts of ``any`` one must match. In a fact of several lines each line is
    looked at by itself.
    """
    wanted = strings(spec.options, "all")
    either = strings(spec.options, "any")
    barred = strings(spec.options, "none")
    if not (wanted or either or barred):
        raise DomainError("options must hold all, any or none")
    fired: Fired = {}
    for index, record in enumerate(records):
        if not holds(record, wanted, barred):
            continue
        hits = {name: first(record.fact(name), texts(value)) for name, value in wanted.items()}
        found = {name: first(record.fact(name), texts(value)) for name, value in either.items()}
        if either and not any(found.values()):
            continue
        shown = {name: hit for name, hit in found.items() if hit}
        fired[index] = {f"hit_{name}": hit for name, hit in {**hits, **shown}.items()}
        if shown:
            fired[index]["hit"] = next(iter(shown.values()))
    return fired


def system_by_user(records: Sequence[Record], spec: AnalyticSpec, setting: Setting) -> Fired:
    """Runs as LocalSystem, registered by a person; ``privileged`` says which persons are meant.

    ``unprivileged``: not one of the profile's privileged or task-authoring accounts (needs them
    to be declared). ``unknown``: nobody declared who is privileged. ``fact``: which account runs
    it, ``run_as`` (what the definition says) unless told.
    """
    runs_as = fact_name(spec, "fact") if "fact" in spec.options else "run_as"
    known = setting.profile.privileged_accounts + setting.profile.task_authors
    want_unknown = spec.options.get("privileged") == "unknown"
    if want_unknown == bool(setting.profile.privileged_accounts):
        return {}
    return {
        index: {}
        for index, record in enumerate(records)
        if is_local_system(record.fact(runs_as))
        and is_person(record.actor, record.actor_sid)
        and not matches_account(record.actor, known)
    }


def account_mismatch(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """Two facts that should name one account name two; empty ones do not count."""
    left, right = fact_name(spec, "left"), fact_name(spec, "right")
    return {
        index: {}
        for index, record in enumerate(records)
        if record.fact(left)
        and record.fact(right)
        and is_person(record.fact(right), record.actor_sid)
        and not same_account(record.fact(left), record.fact(right))
    }


def by_person(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """Registered by a person, and the facts match as for ``matches``."""
    inner = matches(records, spec, _setting)
    return {
        index: facts
        for index, facts in inner.items()
        if is_person(records[index].actor, records[index].actor_sid)
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
        and is_person(record.actor, record.actor_sid)
        and not _for_oneself(record)
    }


def _for_oneself(record: Record) -> bool:
    """Whether a task runs as the account that registered it."""
    run_as = record.fact("run_as")
    return bool(run_as) and (run_as == record.actor_sid or same_account(run_as, record.actor))


def no_business(records: Sequence[Record], _spec: AnalyticSpec, setting: Setting) -> Fired:
    """Registered for another account by a person who is neither privileged nor a task author."""
    known = setting.profile.privileged_accounts + setting.profile.task_authors
    if not setting.profile.task_authors:
        return {}
    return {
        index: {}
        for index, record in enumerate(records)
        if is_person(record.actor, record.actor_sid)
        and not matches_account(record.actor, known)
        and record.fact("run_as")
        and not _for_oneself(record)
    }


def known_author(records: Sequence[Record], _spec: AnalyticSpec, setting: Setting) -> Fired:
    """Registered by an account whose business it is, in a change window if any is declared."""
    profile = setting.profile
    return {
        index: {}
        for index, record in enumerate(records)
        if matches_account(record.actor, profile.task_authors)
        and profile.in_change_window(record.time) is not False
    }


def privileged_author(records: Sequence[Record], _spec: AnalyticSpec, setting: Setting) -> Fired:
    """Registered by an account that administers hosts."""
    return {
        index: {}
        for index, record in enumerate(records)
        if matches_account(record.actor, setting.profile.privileged_accounts)
    }


def built_in_author(records: Sequence[Record], _spec: AnalyticSpec, _setting: Setting) -> Fired:
    """Registered by the system itself (LocalSystem, a service, the computer)."""
    return {
        index: {}
        for index, record in enumerate(records)
        if is_builtin(record.actor) or record.actor_sid in {"S-1-5-18", "S-1-5-19", "S-1-5-20"}
    }


def no_deployments(records: Sequence[Record], _spec: AnalyticSpec, setting: Setting) -> Fired:
    """On a host that no known task author ever deployed to, while others are deployed to."""
    authors = setting.profile.task_authors
    deployed = {record.host for record in records if matches_account(record.actor, authors)}
    if not deployed:
        return {}
    return {
        index: {}
        for index, record in enumerate(records)
        if record.host not in deployed and is_person(record.actor, record.actor_sid)
    }


def present(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """A fact is known at all."""
    name = fact_name(spec, "fact")
    return {index: {} for index, record in enumerate(records) if record.fact(name)}


def renamed(records: Sequence[Record], spec: AnalyticSpec, _setting: Setting) -> Fired:
    """A program whose file name is not the one that it was built with.

    ``left`` (image_name) and ``right`` (original) name the facts; ``only`` limits it to originals
    that match. Extensions and resource suffixes (.mui) do not count.
    """
    left, right = fact_name(spec, "left"), fact_name(spec, "right")
    only = texts(spec.options.get("only", ("",)))
    fired: Fired = {}
    for index, record in enumerate(records):
        now, built = _stem(record.fact(left)), _stem(record.fact(right))
        wanted = only == ("",) or bool(first(built, only))
        if now and built and now != built and wanted:
            fired[index] = {"renamed_from": built, "renamed_to": now}
    return fired


def _stem(text: str) -> str:
    return file_name(text).removesuffix(".mui").rpartition(".")[0] or file_name(text)


def unprivileged(records: Sequence[Record], _spec: AnalyticSpec, setting: Setting) -> Fired:
    """Done by a person who is not one of the accounts that administer hosts, if any is declared."""
    known = setting.profile.privileged_accounts
    if not known:
        return {}
    return {
        index: {}
        for index, record in enumerate(records)
        if is_person(record.actor, record.actor_sid) and not matches_account(record.actor, known)
    }


ANALYTICS: dict[str, Analytic] = {
    "account_mismatch": account_mismatch,
    "built_in_author": built_in_author,
    "burst": burst,
    "by_person": by_person,
    "common": common,
    "first_seen": first_seen,
    "known_author": known_author,
    "many": many,
    "matches": matches,
    "no_business": no_business,
    "no_deployments": no_deployments,
    "outside_change_window": outside_change_window,
    "present": present,
    "privileged_author": privileged_author,
    "rare": rare,
    "rare_pair": rare_pair,
    "renamed": renamed,
    "sequence": sequence,
    "stack": stack,
    "system_by_user": system_by_user,
    "unprivileged": unprivileged,
}
"""Types of analytics, by the name that a hunt gives."""
