"""Asking: a hunt's questions to the SIEM, each noted as a check, and the records of the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa

from huntonce.models import rulehunt
from huntonce.models.analytics import context, events, taskruns, tasks
from huntonce.models.analytics.records import Record
from huntonce.models.errors import ConnectorError, DomainError
from huntonce.models.hunt import Check
from huntonce.models.huntdef import Baseline, HuntDefinition
from huntonce.models.ports import Siem
from huntonce.models.query import SearchResult, SigmaSearch
from huntonce.models.rulelook import ask_rule
from huntonce.models.rules import RuleLook, RuleMatches, RuleUnseen
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.received import ReceivedRule, received_rules
from huntonce.models.windows import Window

BEFORE = timedelta(days=14)
"""Length of the baseline where a hunt names none."""
LEAST_BEFORE = timedelta(days=3)
"""A shorter span says little of what is usual."""
NAMED = 5
"""Rules that are named where many could not look."""
MOST_RECEIVED = 100
"""Received rules that are run for one technique, the most trusted: what others send has an end."""


def search(siem: Siem, query: SigmaSearch, window: Window, checks: list[Check]) -> pa.Table | None:
    """Run one search and note it as a check, executed or not; None where there is no answer."""
    try:
        result = siem.search(query, window)
    except ConnectorError as error:
        checks.append(_refused(query.name, str(error)))
        return None
    checks.append(_check(query.name, result))
    return None if result.absent_source else result.table


def _refused(name: str, why: str) -> Check:
    return Check(name=name, query="", events=0, executed=False, complete=False, why=why)


def _check(name: str, result: SearchResult) -> Check:
    why = ""
    if result.absent_source:
        why = "nothing of this log source arrived in the window"
    elif result.unmapped_fields:
        names = ", ".join(result.unmapped_fields)
        why = f"fields that events carry but the SIEM cannot search: {names}"
    elif result.absent_fields:
        why = f"fields that no event had: {', '.join(result.absent_fields)}"
    elif result.truncated:
        why = "more events matched than were fetched"
    return Check(
        name=name,
        query="\n".join(result.queries),
        events=result.table.num_rows,
        executed=not result.absent_source,
        complete=not (result.truncated or result.unmapped_fields),
        why=why,
    )


def records_for(
    kit: Kit, definition: HuntDefinition, technique_id: str, window: Window, checks: list[Check]
) -> list[Record]:
    """What a hunt's searches show in a window, as its kind of records."""
    if definition.records == rulehunt.RECORDS:
        return _by_rules(kit, technique_id, window, checks)
    tables: dict[str, pa.Table] = {}
    for one in definition.searches:
        query = SigmaSearch(
            name=one.name, logsource=one.logsource, detection=one.detection, fields=one.fields
        )
        table = search(kit.siem, query, window, checks)
        if table is not None:
            tables[one.name] = table
    if definition.records == "scheduled_task":
        return tasks.build(tables)
    return events.build(tables, definition)


def _by_rules(kit: Kit, technique_id: str, window: Window, checks: list[Check]) -> list[Record]:
    """By the rules of our folders, where no hunt is written, and by those that others sent."""
    written = kit.library.hunt_for(technique_id) is not None
    matches: list[RuleMatches] = []
    if not written and kit.rulebook is not None and kit.rulebook.version(technique_id):
        look = kit.rulebook.look(technique_id, kit.siem, window)
        checks += _rule_checks(look)
        matches += look.matches
    received = received_rules(kit, technique_id)
    for rule in received[:MOST_RECEIVED]:
        # Beside a written hunt, whose evidence says how much could be seen, a stranger's rule
        # that cannot look takes nothing from that; alone, its silence rules nothing out.
        answer, check = _by_received(kit.siem, rule, window, harmless=written)
        checks.append(check)
        if answer is not None and answer.table.num_rows:
            matches.append(answer)
    if len(received) > MOST_RECEIVED:
        left = _refused(
            f"{len(received) - MOST_RECEIVED} received rules",
            f"only the {MOST_RECEIVED} most trusted are run",
        )
        checks.append(replace(left, complete=written, origin="received"))
    return rulehunt.records_of(matches)


def _by_received(
    siem: Siem, rule: ReceivedRule, window: Window, *, harmless: bool
) -> tuple[RuleMatches | None, Check]:
    """What a received rule matches, and the check that tells of it, which names its indicator."""
    name = f"received rule: {rule.text.title} ({rule.origin.ids[0]})"
    words = rule.origin.words
    try:
        answer = ask_rule(siem, rule.text, window)
    except ConnectorError as error:
        return None, replace(_refused(name, str(error)), origin=words)
    if isinstance(answer, RuleUnseen):
        blind = _refused(name, answer.reason)
        return None, replace(blind, complete=harmless, origin=words)
    cut = "more events matched than were fetched" if answer.truncated else ""
    check = Check(
        name=name, query=answer.query, events=answer.table.num_rows,
        complete=not answer.truncated, why=cut, origin=words,
    )  # fmt: skip
    return replace(answer, origin=rule.origin), check


def _rule_checks(look: RuleLook) -> list[Check]:
    """A check for each rule that matched, one for those that did not, one a reason not to look."""
    checks = [
        Check(
            name=f"rule: {rule.title}", query=rule.query, events=rule.table.num_rows,
            complete=not rule.truncated,
            why="more events matched than were fetched" if rule.truncated else "",
        )
        for rule in look.matches
    ]  # fmt: skip
    if look.silent:
        checks.append(
            Check(
                name=f"{look.silent} of {look.rules} rules that matched nothing", query="", events=0
            )
        )
    reasons: dict[str, list[str]] = {}
    for rule in look.unseen:
        reasons.setdefault(rule.reason, []).append(rule.title)
    for reason, titles in reasons.items():
        more = f" and {len(titles) - NAMED} more" if len(titles) > NAMED else ""
        named = "; ".join(titles[:NAMED])
        checks.append(_refused(f"{len(titles)} blind rules", f"{reason}: {named}{more}"))
    return checks


# ------------------------------------------------------------------ what was before


def baseline_for(
    kit: Kit, definition: HuntDefinition, window: Window, today: date
) -> tuple[Window, str] | None:
    """The span that ``first_seen`` compares with, and its name in words; None where there is none.

    Raises:
        DomainError: The hunt names a baseline that nobody declared, or that has expired.
    """
    if not any(spec.type == "first_seen" for spec in definition.analytics):
        return None
    extent = kit.siem.extent()
    named = _named(kit, definition.baseline, today) if definition.baseline else None
    if named is not None and named.start and named.end:
        return Window(named.start, named.end), f"the baseline {named.name}"
    reach = timedelta(days=named.days) if named is not None else BEFORE
    start = window.start - reach
    if extent is not None:
        start = max(start, extent.start)
    least = min(LEAST_BEFORE, reach)
    if extent is None or window.start - start < least:
        return None
    return Window(start, window.start), f"the {(window.start - start).days} days before"


def _named(kit: Kit, name: str, today: date) -> Baseline:
    found = kit.library.baselines.get(name)
    if found is None:
        raise DomainError(
            f"no baseline is called {name!r}",
            hint="declare it in an allow/*.yml of a content folder, with owner and reason",
        )
    if found.expires and date.fromisoformat(found.expires) < today:
        raise DomainError(f"the baseline {name!r} expired on {found.expires}", hint="renew it")
    return found


# ------------------------------------------------------------------ what lies around it


def add_context(
    kit: Kit, definition: HuntDefinition, records: Sequence[Record], window: Window,
    checks: list[Check],
) -> None:  # fmt: skip
    """Ask for what lies around the records that stand out, and join it on."""
    if not records:
        return
    addresses = host_of_ip(kit)
    parts = definition.context
    if definition.records != "scheduled_task":
        asked = {
            query.name: table
            for query in context.searches(records, parts)
            if (table := search(kit.siem, query, window, checks)) is not None
        }
        context.join(records, asked)
        context.join_addresses(records, addresses)
    logons = context.logon_search(records) if _wants_logons(definition) else None
    if logons is not None:
        table = search(kit.siem, logons, window, checks)
        if table is not None:
            context.join_logons(records, table, addresses)
    if definition.records == "scheduled_task":
        _add_runs(kit, records, window, checks)


def _wants_logons(definition: HuntDefinition) -> bool:
    return definition.records == "scheduled_task" or "logon" in definition.context


def _add_runs(kit: Kit, records: Sequence[Record], window: Window, checks: list[Check]) -> None:
    found: dict[str, pa.Table] = {}
    for query in taskruns.execution_searches(records):
        table = search(kit.siem, query, window, checks)
        if table is not None:
            found[query.name] = table
    empty = pa.table({"host": pa.array([], pa.string())})
    taskruns.join_execution(
        records,
        found.get(taskruns.RUNS, empty),
        found.get(taskruns.CHILDREN, empty),
    )


def host_of_ip(kit: Kit) -> Mapping[str, str]:
    """Address to host name, from the asset list."""
    return {
        asset.ip: asset.host.split(".", 1)[0].upper() for asset in kit.profile.assets if asset.ip
    }
