"""Sweep for indicators: what of them logs can show, on which hosts, and what was hit.

Each indicator ends in one of: hit, miss (looked for where its log sources arrive), could_not_look,
not_matchable, left_out. A miss says on how many hosts it was looked for; nothing is called a miss
that could not have been seen.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from huntonce.models.deriving.standing import Claim, NotInForce, claims
from huntonce.models.errors import ConnectorError, DomainError, TransientError
from huntonce.models.finding import EventRef, Observable
from huntonce.models.hunt import Check
from huntonce.models.indicators.matching import Tree, detection, fields, groupable, holds
from huntonce.models.indicators.patterns import Place, leaves
from huntonce.models.indicators.warninglists import Warninglists, spared
from huntonce.models.intel import IntelObject
from huntonce.models.query import EVENT_COLUMNS, SearchResult, SigmaSearch
from huntonce.models.stages.iocfindings import findings_of
from huntonce.models.stages.iocsettle import power_of, settle_sweep
from huntonce.models.stages.iocsight import Sight
from huntonce.models.stages.ioctypes import (
    EVENTS_KEPT,
    Languages,
    Pattern,
    Result,
    Status,
    Swept,
    Work,
)
from huntonce.models.stages.kit import Kit
from huntonce.models.windows import Window

ABOUT = ("sighting", "opinion", "relationship")
TOGETHER = 250
"""Indicators that share a search."""
ROWS = 20_000
_COLUMNS = frozenset(name for name, _ in EVENT_COLUMNS)


def sweep(
    kit: Kit, languages: Languages, lists: Warninglists, window: Window, *, store: bool = True
) -> Swept:
    """Look for every indicator in force over a window, and settle what came of it.

    With ``store``, the sweep is kept with its verdict and what became of each indicator, hits as
    findings, and evil goes to incident response.

    Raises:
        TransientError: The SIEM does not say what arrives: nothing could be called a miss.
    """
    started = kit.clock()
    found, dead = _stored_claims(kit)
    results = [_dead(item) for item in dead]
    works: list[Work] = []
    for claim in found:
        work, result = _prepare(kit, claim, languages, lists)
        works.extend([work] if work else [])
        results.extend([result] if result else [])
    sight = Sight(kit, window, works)
    checks: list[Check] = []
    _search_branches(kit, window, works, sight, checks)
    for work in works:
        if not work.branches:
            _search_rule(kit, window, work, sight, checks)
    population = len(sight.population)
    results += [_result(work, population) for work in works]
    order = list(Status)
    results.sort(key=lambda r: (order.index(r.status), -r.confidence, r.name, r.ids))
    hit = [work for work in works if work.events]
    found_now = findings_of(kit, hit)
    settled = None
    if store and works:
        settled = settle_sweep(
            kit,
            window,
            results,
            tuple(zip(hit, found_now, strict=True)),
            checks,
            power_of(works, sight.population, window),
            started=started,
        )
    return Swept(
        window=window,
        results=tuple(results),
        findings=settled.findings if settled else found_now,
        checks=tuple(checks),
        run=settled.run if settled else None,
        cases=settled.cases if settled else (),
    )


def _stored_claims(kit: Kit) -> tuple[tuple[Claim, ...], tuple[NotInForce, ...]]:
    with kit.open_unit() as unit:
        indicators = list(unit.intel.latest("indicator", revoked=True))
        about = [
            item
            for item in unit.intel.latest(*ABOUT)
            if item.type != "relationship" or _about_indicator(item)
        ]
        feeds = unit.intel.feeds_of(item.id for item in indicators)
    return claims([*indicators, *about], feeds, kit.clock())


def _about_indicator(item: IntelObject) -> bool:
    return str(item.content.get("source_ref", "")).startswith("indicator--")


def _prepare(
    kit: Kit, claim: Claim, languages: Languages, lists: Warninglists
) -> tuple[Work | None, Result | None]:
    """What to look for; else the answer at once."""
    try:
        match claim.pattern_type:
            case "stix":
                return _prepare_stix(claim, languages, lists)
            case "sigma":
                return _prepare_sigma(kit, claim, languages, lists)
            case kind:
                why = f"{kind or 'untyped'} patterns are not about events that a SIEM holds"
                return None, _answer(claim, Status.NOT_MATCHABLE, why)
    except DomainError as error:
        return None, _answer(claim, Status.NOT_MATCHABLE, str(error))


def _prepare_stix(
    claim: Claim, languages: Languages, lists: Warninglists
) -> tuple[Work | None, Result | None]:
    tree, reasons = spared(languages.parse_stix(claim.pattern), lists)
    if tree is None:
        return None, _answer(claim, Status.LEFT_OUT, "; ".join(reasons))
    compiled = languages.compile_stix(tree)
    if not compiled.branches:
        return None, _answer(claim, Status.NOT_MATCHABLE, "; ".join(compiled.unmatched))
    notes = [f"without {reason}" for reason in reasons if _dropped(tree, reason)]
    notes += [f"in part only: {reason}" for reason in compiled.unmatched]
    branches = tuple((branch.place, branch.tree) for branch in compiled.branches)
    return Work(claim, branches, notes=notes, values=_observables(tree)), None


def _dropped(tree: Pattern, reason: str) -> bool:
    """Whether a listed value is gone from the pattern, not just beside a telling one."""
    return not any(reason.startswith(f"{leaf.value}: ") for leaf in leaves(tree))


_OBSERVED = {"file:name": "file", "process:command_line": "command"}
_OBSERVED |= {"ipv4-addr:value": "ip", "ipv6-addr:value": "ip"}


def _observables(tree: Pattern) -> tuple[Observable, ...]:
    found = [
        Observable(
            type=_OBSERVED.get(leaf.path, "hash" if "hashes" in leaf.path else "indicator"),
            value=leaf.value,
        )
        for leaf in leaves(tree)
        if not leaf.negated
    ]
    return tuple(dict.fromkeys(found))[:20]


def _prepare_sigma(
    kit: Kit, claim: Claim, languages: Languages, lists: Warninglists
) -> tuple[Work | None, Result | None]:
    values = languages.rule_values(claim.pattern)
    if values is not None:
        left, reasons = spared(values, lists)
        if left is None:
            return None, _answer(claim, Status.LEFT_OUT, "; ".join(reasons))
    notes = [f"the rule has a fault: {fault}" for fault in kit.check_rule(claim.pattern)]
    return Work(claim, rule_place=languages.rule_place(claim.pattern), notes=notes), None


def _search_branches(
    kit: Kit, window: Window, works: Sequence[Work], sight: Sight, checks: list[Check]
) -> None:
    """Search place by place, many claims at a time."""
    by_place: dict[str, tuple[Place, list[tuple[Work, Tree]]]] = {}
    for work in works:
        for place, tree in work.branches:
            hosts = sight.hosts(place, tree)
            if place.arrivals and not hosts:
                work.blind.append(place.name)
                continue
            work.seen |= hosts
            by_place.setdefault(place.name, (place, []))[1].append((work, tree))
    for place, items in by_place.values():
        together = [item for item in items if groupable(item[1])]
        for start in range(0, len(together), TOGETHER):
            _search(kit, window, place, together[start : start + TOGETHER], checks)
        for item in items:
            if not groupable(item[1]):
                _search(kit, window, place, [item], checks)


def _search(
    kit: Kit,
    window: Window,
    place: Place,
    items: Sequence[tuple[Work, Tree]],
    checks: list[Check],
) -> None:
    trees = [tree for _, tree in items]
    query = SigmaSearch(
        name=f"indicators in {place.name}",
        logsource=place.logsource,
        detection=detection(trees, place.event_ids),
        fields=fields(trees),
        limit=ROWS,
    )
    try:
        result = kit.siem.search(query, window)
    except ConnectorError as error:
        if len(items) > 1 and not isinstance(error, TransientError):
            _split(kit, window, place, items, checks)
            return
        checks.append(_failed(query.name, error))
        for work, _ in items:
            work.failed.append(f"{place.name}: {error}")
        return
    if result.truncated and len(items) > 1:
        _split(kit, window, place, items, checks)
        return
    checks.append(_check(query.name, result))
    for work, _ in items:
        (work.blind if result.absent_source else work.looked).append(place.name)
    for row in result.table.to_pylist():
        for work, tree in items:
            if len(items) == 1 or holds(tree, row):
                ref = _ref(row)
                work.events.setdefault(ref.uid, ref)
    if result.truncated:
        items[0][0].notes.append(f"more than {ROWS} events of {place.name} match")


def _split(
    kit: Kit,
    window: Window,
    place: Place,
    items: Sequence[tuple[Work, Tree]],
    checks: list[Check],
) -> None:
    """Half and half: one faulty or noisy indicator must not hide the others."""
    middle = len(items) // 2
    for part in (items[:middle], items[middle:]):
        _search(kit, window, place, part, checks)


def _search_rule(kit: Kit, window: Window, work: Work, sight: Sight, checks: list[Check]) -> None:
    name = f"indicator {work.claim.name}"
    try:
        result = kit.siem.search_rule(work.claim.pattern, window)
    except ConnectorError as error:
        checks.append(_failed(name, error))
        work.failed.append(str(error))
        return
    checks.append(_check(name, result))
    if result.absent_source:
        work.blind.append(work.rule_place.name if work.rule_place else "its log source")
        return
    if result.absent_fields and not result.table.num_rows:
        work.blind.append(f"fields that no event has: {', '.join(result.absent_fields)}")
        return
    place = work.rule_place
    work.looked.append(place.name if place else "its log source")
    work.seen |= sight.senders(place) if place else set()
    for row in result.table.to_pylist():
        ref = _ref(row)
        work.events.setdefault(ref.uid, ref)


def _ref(row: Mapping[str, Any]) -> EventRef:
    return EventRef(role="indicator", **{name: row[name] for name in _COLUMNS})


def _check(name: str, result: SearchResult) -> Check:
    why = "nothing of this log source arrived in the window" if result.absent_source else ""
    return Check(
        name=name,
        query="\n".join(result.queries),
        events=result.table.num_rows,
        executed=not result.absent_source,
        complete=not result.truncated,
        why=why or ("more events matched than were fetched" if result.truncated else ""),
    )


def _failed(name: str, error: ConnectorError) -> Check:
    return Check(name=name, query="", events=0, executed=False, complete=False, why=str(error))


def _dead(item: NotInForce) -> Result:
    return Result(
        ids=(item.id,),
        name=item.name,
        pattern_type=item.pattern_type,
        status=Status.LEFT_OUT,
        why=item.why,
    )


def _answer(claim: Claim, status: Status, why: str) -> Result:
    return Result(
        ids=claim.ids,
        name=claim.name,
        pattern_type=claim.pattern_type,
        status=status,
        why=why,
        confidence=claim.confidence,
        terms=claim.terms,
        feeds=claim.feeds,
    )


def _result(work: Work, population: int) -> Result:
    events = sorted(work.events.values(), key=lambda ref: (ref.time, ref.uid))
    status, why = _judged(work, population)
    return Result(
        ids=work.claim.ids,
        name=work.claim.name,
        pattern_type=work.claim.pattern_type,
        status=status,
        why="; ".join((why, *work.notes)),
        confidence=work.claim.confidence,
        terms=work.claim.terms,
        feeds=work.claim.feeds,
        looked=tuple(work.looked),
        blind=tuple(work.blind),
        hosts_seen=len(work.seen),
        population=population,
        count=len(events),
        hosts=tuple(sorted({ref.host for ref in events})),
        events=tuple(events[:EVENTS_KEPT]),
    )


def _judged(work: Work, population: int) -> tuple[Status, str]:
    if work.events:
        hosts = {ref.host for ref in work.events.values()}
        return Status.HIT, f"{len(work.events)} events on {len(hosts)} hosts"
    if work.failed:
        return Status.COULD_NOT_LOOK, f"the search failed: {'; '.join(work.failed)}"
    if not work.looked:
        return Status.COULD_NOT_LOOK, f"does not arrive: {', '.join(work.blind)}"
    words = f"not seen in {', '.join(work.looked)}"
    if work.seen:
        words += f" on {len(work.seen)} of {population} hosts"
    if work.blind:
        words += f"; could not look in {', '.join(work.blind)}"
    return Status.MISS, words
