"""Settle: write a hunt's verdict and all of its outcomes in one transaction, with what must leave.

Killed before the commit, nothing of it exists; after it, everything does, and the outbox sends.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from huntonce.models.case import Case, CaseState
from huntonce.models.detection import Detection, DetectionState
from huntonce.models.errors import StateError
from huntonce.models.finding import Finding, may_become, raised
from huntonce.models.gap import Gap
from huntonce.models.hunt import HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Verdict
from huntonce.models.keeping import UnitOfWork
from huntonce.models.ledger import NotDueError, Versions, add_hunted, still_hunted
from huntonce.models.outbox import Channel, Message
from huntonce.models.outcome import name_outcomes, open_case
from huntonce.models.power import with_words
from huntonce.models.sealing import same_proof
from huntonce.models.stages.gapkeeping import keep_gap
from huntonce.models.stages.hunt import HuntResult
from huntonce.models.stages.hypothesise import answer_in
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import case_of, deploy_message, leave, send_rule
from huntonce.models.stages.promote import Promotion
from huntonce.models.visibility import Power
from huntonce.models.windows import Window, merge

_ENDED = {HypothesisState.READY, HypothesisState.BLOCKED, HypothesisState.CONCLUDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A concluded hunt as the store has it."""

    run: HuntRun
    hypothesis: Hypothesis
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    detections: tuple[Detection, ...]
    cases: tuple[Case, ...]
    not_automated: tuple[str, ...]


def begin(
    kit: Kit, hypothesis: Hypothesis, window: Window, ledger: str, *, once: bool = False
) -> HuntRun:
    """Record that a hunt starts; takes up the hypothesis.

    With ``once`` the run claims the hypothesis on its SIEM until it is settled or given up, and
    the ledger is asked again under the claim: of runs that start at the same time, one hunts.

    Raises:
        NotDueError: With ``once``: another run holds the claim, or has hunted the window since
            the ledger was asked. Nothing is recorded then.
    """
    now = kit.clock()
    with kit.open_unit() as unit:
        run = unit.hunts.add(
            HuntRun(
                hypothesis_key=hypothesis.key,
                hypothesis_id=hypothesis.id,
                hunt_name="",
                technique_id=hypothesis.technique_id,
                siem=kit.siem.name,
                start=window.start,
                end=window.end,
                started_at=now,
                ledger=ledger,
            ),
            actor=kit.actor,
            why="hunt started",
        )
        if once:
            _claim(unit, kit, hypothesis, run, window)
        else:  # its signs of life hang on the claim; a person's run goes on without one too
            unit.claims.take(hypothesis.key, run.siem, run=run.id, window=window)
        stored = unit.hypotheses.by_key(hypothesis.key)
        if stored is not None and stored.state is HypothesisState.PROPOSED:
            stored = unit.hypotheses.save(
                replace(stored, state=HypothesisState.READY), actor=kit.actor, why="to be hunted"
            )
        if stored is not None and stored.state is not HypothesisState.HUNTING:
            unit.hypotheses.save(
                replace(stored, state=HypothesisState.HUNTING), actor=kit.actor, why=run.id
            )
        unit.commit()
    return run


def _claim(
    unit: UnitOfWork, kit: Kit, hypothesis: Hypothesis, run: HuntRun, window: Window
) -> None:
    """Claim for a run whose row this unit has written already: it writes alone until its commit."""
    if not unit.claims.take(hypothesis.key, run.siem, run=run.id, window=window):
        raise NotDueError(f"{hypothesis.id}: another run is hunting it on {run.siem}")
    if _blocked_meanwhile(unit, hypothesis, run):
        raise NotDueError(f"{hypothesis.id}: another run could not look there a moment ago")
    answer = answer_in(unit, kit, hypothesis, window, but=run.id)
    due = merge(answer.windows)
    if not any(one.start <= window.start and window.end <= one.end for one in due):
        raise NotDueError(f"{hypothesis.id}: {answer.answer.value}: {answer.why}")


def _blocked_meanwhile(unit: UnitOfWork, hypothesis: Hypothesis, run: HuntRun) -> bool:
    """Whether another run has found the same window blocked since the hypothesis was read.

    A blocked window is not recorded as hunted, so the ledger alone does not tell.
    """
    stored = unit.hypotheses.by_key(hypothesis.key)
    blocked = HypothesisState.BLOCKED
    if stored is None or stored.state is not blocked or hypothesis.state is blocked:
        return False
    return any(
        (one.hypothesis_key, one.siem, one.start, one.end)
        == (run.hypothesis_key, run.siem, run.start, run.end)
        for one in unit.hunts.list(HuntState.CONCLUDED)
    )


def settle(kit: Kit, run: HuntRun, result: HuntResult, promotion: Promotion) -> Settled:
    """Store findings, gaps, detections, cases and the verdict, and write what leaves down.

    Raises:
        StateError: The run was given up meanwhile; another may have hunted in its place.
    """
    now = kit.clock()
    with kit.open_unit() as unit:
        unit.lock()
        held = unit.hunts.get(run.id)
        if held is not None and held.state is HuntState.ABANDONED:
            raise StateError(
                f"{run.id} was given up before it ended: nothing of it is recorded",
                hint="its hypothesis waits to be hunted again",
            )
        findings = tuple(
            _keep_finding(unit, kit, finding, run) for finding in result.looked.findings
        )
        gaps = tuple(
            keep_gap(unit, kit, gap, by=run.id, window=result.window, now=now)
            for gap in result.gaps
        )
        power, why = _told(result, gaps)
        detections = tuple(
            _keep_detection(unit, kit, detection, promotion, run, now)
            for detection in promotion.detections
        )
        cases = keep_cases(unit, kit, result.hypothesis, findings, detections, run, now)
        concluded = unit.hunts.save(
            replace(
                run,
                state=HuntState.CONCLUDED,
                hunt_name=result.definition.name,
                verdict=result.verdict,
                why=why,
                power=power,
                floor=kit.policy.power_floor,
                checks=result.checks,
                finding_ids=tuple(f.id for f in findings),
                gap_ids=tuple(g.id for g in gaps),
                detection_ids=tuple(d.id for d in detections),
                case_ids=tuple(c.id for c in cases),
                outcomes=name_outcomes(
                    result.verdict, gaps, detections, cases, promotion.not_automated
                ),
                concluded_at=now,
            ),
            actor=kit.actor,
            why=why,
        )
        hypothesis = _conclude(unit, kit, result, concluded)
        unit.claims.release(run.id)
        unit.commit()
    return Settled(
        run=concluded,
        hypothesis=hypothesis,
        findings=findings,
        gaps=gaps,
        detections=detections,
        cases=cases,
        not_automated=promotion.not_automated,
    )


def _told(result: HuntResult, gaps: Sequence[Gap]) -> tuple[Power, str]:
    """The power with the gaps that make hosts blind named in its statement, and the verdict's why.

    Only now, in the store, have the gaps their numbers.
    """
    power = result.sight.power
    blind = set(power.blind)
    waits = result.hypothesis.key
    causes = [
        gap.id
        for gap in gaps
        if blind & set(gap.hosts) and any(wait.hypothesis == waits for wait in gap.waits)
    ]
    told = with_words(power, result.window, causes)
    return told, result.why.replace(power.words, told.words)


def _conclude(unit: UnitOfWork, kit: Kit, result: HuntResult, run: HuntRun) -> Hypothesis:
    stored = unit.hypotheses.by_key(result.hypothesis.key) or result.hypothesis
    if stored.state in _ENDED:
        # Another hunt for it ended meanwhile: this one takes it up again before it concludes.
        stored = unit.hypotheses.save(
            replace(stored, state=HypothesisState.HUNTING), actor=kit.actor, why=run.id
        )
    blocked = result.verdict is Verdict.BLOCKED
    now = Versions(
        logic=result.logic,
        evidence=result.sight.model.version,
        attack=kit.catalogue.version,
    )
    hunted = still_hunted(stored, now)
    # Hours that a failed or cut search left unseen are not hunted: the next hunt looks again.
    if not blocked and all(check.complete for check in result.checks):
        hunted = add_hunted(replace(stored, hunted=hunted), result.window, run.siem)
    return unit.hypotheses.save(
        replace(
            stored,
            state=HypothesisState.BLOCKED if blocked else HypothesisState.CONCLUDED,
            verdict=result.verdict,
            hunted=hunted,
            evidence_version=now.evidence,
            logic_version=now.logic,
            attack_version=now.attack,
        ),
        actor=kit.actor,
        why=f"{run.id}: {run.why}",
    )


def _keep_finding(unit: UnitOfWork, kit: Kit, finding: Finding, run: HuntRun) -> Finding:
    """Store a finding; the same thing with other context around it is the one that is known.

    A longer window shows more runs of a task and more logons: that is no second intrusion. What
    the first look could not see all of (its SIEM failed for some questions) becomes malicious when
    a later one does, unless a person has judged it.
    """
    held = unit.findings.add(finding, actor=kit.actor, why=f"found by {run.id}")
    if not may_become(held, finding):
        return held
    return unit.findings.save(raised(held, finding), actor=kit.actor, why=f"seen whole by {run.id}")


def _keep_detection(
    unit: UnitOfWork,
    kit: Kit,
    detection: Detection,
    promotion: Promotion,
    run: HuntRun,
    now: datetime,
) -> Detection:
    """Store a detection with its kept events, and send it to the store of rules.

    One that people have retired stays so, with the proof it had.
    """
    stored = unit.detections.add(detection, actor=kit.actor, why=f"promoted by {run.id}")
    if stored.state in {DetectionState.DRAFT, DetectionState.RETIRED, DetectionState.DEPRECATED}:
        return stored
    fixtures = promotion.fixtures.get(detection.rule_id, ())
    if stored.certificate == detection.certificate:
        unit.proofs.keep(stored.rule_id, fixtures)
    elif not same_proof(stored.certificate, detection.certificate) or stored.rule != detection.rule:
        unit.proofs.keep(stored.rule_id, fixtures)
        stored = unit.detections.save(
            replace(
                stored,
                certificate=detection.certificate,
                rule=detection.rule,
                origin={
                    **detection.origin,
                    **{k: v for k, v in stored.origin.items() if k == "set_aside"},
                },
                healthy=True,
            ),
            actor=kit.actor,
            why=f"certified anew by {run.id}",
        )
    return send_rule(
        unit,
        kit,
        stored,
        partial(deploy_message, unit),
        what="deploy",
        now=now,
        size=stored.certificate.interval[1] if stored.certificate else math.inf,
    )


def keep_cases(
    unit: UnitOfWork,
    kit: Kit,
    hypothesis: Hypothesis,
    findings: Sequence[Finding],
    detections: Sequence[Detection],
    run: HuntRun,
    now: datetime,
) -> tuple[Case, ...]:
    """The cases of what was found: those it is in already, and one for what is in none."""
    cases = [case for case in unit.cases.list() if case.hypothesis_key == hypothesis.key]
    known = {finding_id for case in cases for finding_id in case.finding_ids}
    found = {finding.id for finding in findings}
    held = tuple(case for case in cases if found & set(case.finding_ids))
    for case in held:
        if case.state is CaseState.OPEN and not case.remote_id:
            _hand_over(unit, kit, case, now)
    fresh = open_case(
        hypothesis,
        [finding for finding in findings if finding.id not in known],
        detections,
        default_tlp=kit.policy.default_tlp,
        desk=kit.cases.name,
    )
    if fresh is None:
        return held
    stored = unit.cases.add(fresh, actor=kit.actor, why=f"opened by {run.id}")
    _hand_over(unit, kit, stored, now)
    return (*held, stored)


def _hand_over(unit: UnitOfWork, kit: Kit, case: Case, now: datetime) -> None:
    leave(
        unit,
        kit,
        Message(
            key=f"case-{case.key}",
            channel=Channel.CASE,
            action="create",
            target=case.desk,
            subject=case.id,
            payload=case_of(case),
        ),
        change="open_case",
        summary=f"open {case.id}: {case.title}",
        now=now,
        size=len(case.hosts),
    )
