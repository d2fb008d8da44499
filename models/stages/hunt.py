"""Hunt: look for one hypothesis in one window, and judge what came back. Stores nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from huntonce.models.analytics import tasks
from huntonce.models.analytics.questions import Setting
from huntonce.models.analytics.records import Record
from huntonce.models.errors import ConnectorError, DomainError
from huntonce.models.gap import Gap
from huntonce.models.hunt import Check
from huntonce.models.huntdef import HuntDefinition
from huntonce.models.hunting import Looked, conclude, evaluate, interesting
from huntonce.models.hypothesis import Hypothesis, Verdict
from huntonce.models.outcome import decide
from huntonce.models.ports import Siem
from huntonce.models.query import SearchResult, SigmaSearch
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.probe import Sight, look
from huntonce.models.surfacing import Asking, surface
from huntonce.models.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntResult:
    """What a hunt saw and says, before it is settled in the store."""

    hypothesis: Hypothesis
    definition: HuntDefinition
    window: Window
    sight: Sight
    gaps: tuple[Gap, ...]
    checks: tuple[Check, ...]
    looked: Looked
    verdict: Verdict
    why: str


def prepare(kit: Kit, hypothesis: Hypothesis, window: Window) -> tuple[Sight, tuple[Gap, ...]]:
    """What can be seen, and the gaps in the way: known before a single query of the hunt runs.

    Raises:
        DomainError: No evidence model or hunt is known for the technique.
    """
    model = kit.library.evidence.get(hypothesis.technique_id)
    if model is None:
        raise DomainError(
            f"no evidence model for {hypothesis.technique_id}",
            hint=f"known: {', '.join(sorted(kit.library.evidence))}",
        )
    sight = look(kit.siem, model, window, kit.profile, max_lag=kit.policy.max_lag, now=kit.clock())
    return sight, gaps_of(kit, sight, hypothesis)


def gaps_of(kit: Kit, sight: Sight, hypothesis: Hypothesis) -> tuple[Gap, ...]:
    """The gaps that a hypothesis waits on, as far as a sight shows them."""
    asking = Asking(
        siem=kit.siem.name,
        hypothesis_key=hypothesis.key,
        behaviour=hypothesis.technique_id,
        window=sight.window,
        owner=kit.profile.gap_owner,
        owners=sight.estate.owners if sight.estate is not None else {},
        refused=sight.refused,
    )
    return surface(sight.model, sight.probes, asking)


def hunt(kit: Kit, hypothesis: Hypothesis, sight: Sight, gaps: tuple[Gap, ...]) -> HuntResult:
    """Run the curated hunt of a technique over the window that was probed.

    Raises:
        DomainError: No hunt definition is known for the technique.
    """
    definition = kit.library.hunt_for(hypothesis.technique_id)
    if definition is None:
        raise DomainError(f"no hunt for {hypothesis.technique_id}", hint="huntonce hunts list")
    window = sight.window
    checks: list[Check] = []
    tables = {
        search.name: _search(
            kit.siem,
            SigmaSearch(
                name=search.name,
                logsource=search.logsource,
                detection=search.detection,
                fields=search.fields,
            ),
            window,
            checks,
        )
        for search in definition.searches
    }
    records = tasks.build({name: table for name, table in tables.items() if table is not None})
    setting = Setting(profile=kit.profile, population=len(sight.population))
    today = kit.clock().date()
    evaluate(records, definition, setting, today)
    _add_context(kit, interesting(records, definition), window, checks)
    allowed = evaluate(records, definition, setting, today)
    looked = conclude(
        records,
        allowed,
        definition,
        hypothesis_key=hypothesis.key,
        technique_id=hypothesis.technique_id,
    )
    verdict, why = decide(sight.power, looked.findings, checks, floor=kit.policy.power_floor)
    return HuntResult(
        hypothesis=hypothesis,
        definition=definition,
        window=window,
        sight=sight,
        gaps=gaps,
        checks=tuple(checks),
        looked=looked,
        verdict=verdict,
        why=why,
    )


def _search(
    siem: Siem, search: SigmaSearch, window: Window, checks: list[Check]
) -> pa.Table | None:
    """Run one search and note it as a check, executed or not; None where there is no answer."""
    try:
        result = siem.search(search, window)
    except ConnectorError as error:
        checks.append(
            Check(
                name=search.name,
                query="",
                events=0,
                executed=False,
                complete=False,
                why=str(error),
            )
        )
        return None
    checks.append(_check(search.name, result))
    return None if result.absent_source else result.table


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


def _add_context(kit: Kit, records: list[Record], window: Window, checks: list[Check]) -> None:
    """Ask for the logons and runs of what stands out, and join them on."""
    logons = tasks.logon_search(records)
    if logons is not None:
        table = _search(kit.siem, logons, window, checks)
        if table is not None:
            tasks.join_logons(records, table, host_of_ip(kit))
    found: dict[str, pa.Table] = {}
    for search in tasks.execution_searches(records):
        table = _search(kit.siem, search, window, checks)
        if table is not None:
            found[search.name] = table
    empty = pa.table({"host": pa.array([], pa.string())})
    tasks.join_execution(
        records,
        found.get("runs by the task service", empty),
        found.get("children of the task service", empty),
    )


def host_of_ip(kit: Kit) -> Mapping[str, str]:
    """Address to host name, from the asset list."""
    return {
        asset.ip: asset.host.split(".", 1)[0].upper() for asset in kit.profile.assets if asset.ip
    }
