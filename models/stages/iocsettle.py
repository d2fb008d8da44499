"""Settle a sweep for indicators: what it says as a whole, its findings, and the cases of evil.

It is kept as a hunt run that belongs to no hypothesis: with its verdict, the searches as sent, and
what became of every indicator, so that a miss is on record as well as a hit. Evil goes to incident
response as from any hunt: through ``settle.keep_cases`` and the outbox, all in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from huntonce.models.case import Case
from huntonce.models.finding import Disposition, Finding, may_become, raised
from huntonce.models.hunt import Check, HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.keeping import UnitOfWork
from huntonce.models.outcome import decide, name_outcomes
from huntonce.models.stages.intelrefs import sources_of
from huntonce.models.stages.ioctypes import Result, Status, Work
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.settle import keep_cases
from huntonce.models.visibility import Power
from huntonce.models.windows import Window

HUNT = "ioc-sweep"
"""Name that the runs have instead of a hunt definition's."""
_ACTORS = ("intrusion-set", "threat-actor", "campaign")
_CLAIM = Hypothesis(
    technique_id="",
    technique_name="Indicator sweep",
    scope="any",
    parameters=("indicators",),
    statement="What our intel gives as indicators in force is seen in our logs.",
)
"""What all sweeps ask; it is about no technique, so it is not stored among the hypotheses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledSweep:
    """A sweep as the store has it."""

    run: HuntRun
    findings: tuple[Finding, ...]
    cases: tuple[Case, ...]


def power_of(works: Sequence[Work], population: Sequence[str], window: Window) -> Power:
    """How far the sweep could see: the mean over the indicators that were to be looked for.

    Of each: the share of the hosts that send at least one kind of event that could show it (as one
    atom of an evidence group is enough); 0 where its search failed. That events arrived at all is
    known for the window as a whole, not hour by hour.
    """
    shares = [_share(work, len(population)) for work in works]
    value = sum(shares) / len(shares) if shares else 0.0
    seen = {host for work in works for host in work.seen} & set(population)
    blind = sum(not share for share in shares)
    of = "1 indicator, which" if len(works) == 1 else f"{len(works)} indicators, each of which"
    words = f"{of} could be seen on {value:.0%} of the hosts{' on average' if works[1:] else ''}"
    if blind:
        words += f"; {blind} of them could not be looked for at all"
    return Power(
        value=value,
        population=len(population),
        seen=len(seen),
        hours=window.hours,
        groups=(),
        blind=tuple(sorted(set(population) - seen)),
        weakest="",
        words=words,
    )


def _share(work: Work, population: int) -> float:
    if work.failed or not work.looked or not population:
        return 0.0
    return len(work.seen) / population


def settle_sweep(
    kit: Kit,
    window: Window,
    results: Sequence[Result],
    hits: Sequence[tuple[Work, Finding]],
    checks: Sequence[Check],
    power: Power,
    *,
    started: datetime,
) -> SettledSweep:
    """Keep a sweep with its findings and cases, and write down what must leave."""
    now = kit.clock()
    with kit.open_unit() as unit:
        run = unit.hunts.add(
            HuntRun(
                hypothesis_key=_CLAIM.key,
                hypothesis_id="",
                hunt_name=HUNT,
                technique_id="",
                siem=kit.siem.name,
                start=window.start,
                end=window.end,
                started_at=started,
            ),
            actor=kit.actor,
            why="indicator sweep",
        )
        known = unit.findings.list()
        kept = [(work, _keep_finding(unit, kit, known, finding, run)) for work, finding in hits]
        cases = [
            case
            for group in _intrusions(kept)
            for case in keep_cases(
                unit, kit, _asked(unit, group), [finding for _, finding in group], (), run, now
            )
        ]
        cases = list({case.id: case for case in cases}.values())
        findings = tuple(finding for _, finding in kept)
        verdict, why = decide(power, findings, checks, floor=kit.policy.power_floor)
        concluded = unit.hunts.save(
            replace(
                run,
                state=HuntState.CONCLUDED,
                verdict=verdict,
                why=why,
                power=power,
                checks=tuple(checks),
                finding_ids=tuple(finding.id for finding in findings),
                case_ids=tuple(case.id for case in cases),
                outcomes=(*name_outcomes(verdict, (), (), cases, ()), *_record(results)),
                concluded_at=now,
            ),
            actor=kit.actor,
            why=why,
        )
        unit.commit()
    return SettledSweep(run=concluded, findings=findings, cases=tuple(cases))


def _record(results: Sequence[Result]) -> tuple[str, ...]:
    """What became of every indicator; those that ended alike share a line."""
    alike: dict[tuple[Status, str], list[str]] = {}
    for one in results:
        alike.setdefault((one.status, one.why), []).extend(one.ids)
    return tuple(f"{status.value}: {why}: {', '.join(ids)}" for (status, why), ids in alike.items())


def _keep_finding(
    unit: UnitOfWork, kit: Kit, known: Sequence[Finding], finding: Finding, run: HuntRun
) -> Finding:
    """Store a finding; that of the same indicator with a same event is the one that is known.

    A longer window shows more events of the same; that is no second intrusion. What another
    indicator corroborates since then becomes malicious, unless a person has judged it.
    """
    mine = {ref.uid for ref in finding.events}
    for held in known:
        if held.hypothesis_key != finding.hypothesis_key:
            continue
        if mine.isdisjoint(ref.uid for ref in held.events):
            continue
        if not may_become(held, finding):
            return held
        why = f"{run.id}: {finding.reason}"
        return unit.findings.save(raised(held, finding), actor=kit.actor, why=why)
    return unit.findings.add(finding, actor=kit.actor, why=f"found by {run.id}")


def _intrusions(
    kept: Sequence[tuple[Work, Finding]],
) -> tuple[tuple[tuple[Work, Finding], ...], ...]:
    """The malicious findings, those that share a host (of their own or through others) together."""
    groups: list[list[tuple[Work, Finding]]] = []
    for one in kept:
        if one[1].disposition is not Disposition.MALICIOUS:
            continue
        hosts = set(one[1].hosts)
        near = [g for g in groups if any(hosts & set(finding.hosts) for _, finding in g)]
        groups = [g for g in groups if g not in near]
        groups.append([*(member for g in near for member in g), one])
    return tuple(
        tuple(sorted(group, key=lambda pair: (-pair[1].score, pair[1].id))) for group in groups
    )


def _asked(unit: UnitOfWork, group: Sequence[tuple[Work, Finding]]) -> Hypothesis:
    """The sweep's claim with the intel behind one group of hits: its marking, sources, actors."""
    targets = {target for work, _ in group for target in work.claim.targets}
    named = [unit.intel.get(one) for one in sorted(targets) if one.startswith(_ACTORS)]
    actors = [str(item.content.get("name") or "") for item in named if item is not None]
    return replace(
        _CLAIM,
        sources=sources_of(unit, (one for work, _ in group for one in work.claim.ids)),
        actors=tuple(dict.fromkeys(actor for actor in actors if actor)),
    )
