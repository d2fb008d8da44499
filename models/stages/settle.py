"""Settle: write a hunt's verdict and all of its outcomes in one transaction, with what must leave.

Killed before the commit, nothing of it exists; after it, everything does, and the outbox sends.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from huntonce.models.case import Case
from huntonce.models.detection import Deployment, Detection, DetectionState
from huntonce.models.finding import Finding
from huntonce.models.gap import OPEN, Gap, GapState
from huntonce.models.hunt import HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Verdict
from huntonce.models.ids import digest
from huntonce.models.outbox import Channel, Message
from huntonce.models.outcome import name_outcomes, open_case
from huntonce.models.ports import UnitOfWork
from huntonce.models.proposal import Proposal, ProposalState
from huntonce.models.stages.dispatch import enqueue
from huntonce.models.stages.hunt import HuntResult
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.promote import Promotion
from huntonce.models.windows import Window, merge

PROPOSAL_LIFE = timedelta(days=3)
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


def begin(kit: Kit, hypothesis: Hypothesis, window: Window, ledger: str) -> HuntRun:
    """Record that a hunt starts; takes up the hypothesis."""
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


def settle(kit: Kit, run: HuntRun, result: HuntResult, promotion: Promotion) -> Settled:
    """Store findings, gaps, detections, cases and the verdict, and write what leaves down."""
    now = kit.clock()
    with kit.open_unit() as unit:
        findings = tuple(
            unit.findings.add(finding, actor=kit.actor, why=f"found by {run.id}")
            for finding in result.looked.findings
        )
        gaps = tuple(_keep_gap(unit, kit, gap, run, now) for gap in result.gaps)
        detections = tuple(
            _keep_detection(unit, kit, detection, run, now) for detection in promotion.detections
        )
        cases = _keep_cases(unit, kit, result.hypothesis, findings, detections, run, now)
        concluded = unit.hunts.save(
            replace(
                run,
                state=HuntState.CONCLUDED,
                hunt_name=result.definition.name,
                verdict=result.verdict,
                why=result.why,
                power=result.sight.power,
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
            why=result.why,
        )
        hypothesis = _conclude(unit, kit, result, concluded)
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


def _conclude(unit: UnitOfWork, kit: Kit, result: HuntResult, run: HuntRun) -> Hypothesis:
    stored = unit.hypotheses.by_key(result.hypothesis.key) or result.hypothesis
    if stored.state in _ENDED:
        # Another hunt for it ended meanwhile: this one takes it up again before it concludes.
        stored = unit.hypotheses.save(
            replace(stored, state=HypothesisState.HUNTING), actor=kit.actor, why=run.id
        )
    blocked = result.verdict is Verdict.BLOCKED
    hunted = stored.hunted
    # Hours that a failed or cut search left unseen are not hunted: the next hunt looks again.
    if not blocked and all(check.complete for check in result.checks):
        spans = [Window(datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in hunted]
        merged = merge([*spans, result.window])
        hunted = tuple((w.start.isoformat(), w.end.isoformat()) for w in merged)
    return unit.hypotheses.save(
        replace(
            stored,
            state=HypothesisState.BLOCKED if blocked else HypothesisState.CONCLUDED,
            verdict=result.verdict,
            hunted=hunted,
            evidence_version=result.sight.model.version,
            logic_version=result.definition.version,
        ),
        actor=kit.actor,
        why=f"{run.id}: {result.why}",
    )


def _keep_gap(unit: UnitOfWork, kit: Kit, gap: Gap, run: HuntRun, now: datetime) -> Gap:
    """Store a gap, or bring the one that is known up to what was measured now."""
    stored = unit.gaps.add(gap, actor=kit.actor, why=f"surfaced by {run.id}")
    waiting = tuple(sorted({*stored.unlocks, *gap.unlocks}))
    state = stored.state
    if stored.state is GapState.CLOSED:
        state = GapState.REGRESSED
    elif stored.state is GapState.VERIFYING:
        state = GapState.SURFACED
    fresh = replace(
        stored,
        gap_kind=gap.gap_kind,
        hosts=gap.hosts,
        population=gap.population,
        severity=gap.severity,
        reason=gap.reason,
        remedy=gap.remedy,
        unlocks=waiting,
        state=state,
        passes=0,
        measured_to=run.end.isoformat(),
    )
    was = stored.state
    if fresh != stored:
        stored = unit.gaps.save(fresh, actor=kit.actor, why=f"measured by {run.id}")
    if was is GapState.CLOSED:
        reopen_ticket(unit, kit, stored, now)
    if stored.state in OPEN:
        _leave(
            unit,
            kit,
            Message(
                key=f"gap-{stored.key}",
                channel=Channel.TICKET,
                action="create",
                target=kit.tickets.name,
                subject=stored.id,
                payload=ticket_of(stored),
            ),
            change="open_ticket",
            summary=f"ticket for {stored.id}: {stored.reason}",
            now=now,
        )
    return stored


def reopen_ticket(unit: UnitOfWork, kit: Kit, gap: Gap, now: datetime) -> None:
    """Open the ticket of a gap that came back; one that never had a ticket gets its first."""
    if not gap.ticket:
        return
    enqueue(
        unit,
        Message(
            key=f"gap-{gap.key}-reopen-{gap.measured_to}",
            channel=Channel.TICKET,
            action="reopen",
            target=kit.tickets.name,
            subject=gap.id,
            payload={"remote_id": gap.ticket, "comment": f"{gap.id} is back: {gap.reason}"},
        ),
        at=now,
    )


def ticket_of(gap: Gap) -> dict[str, object]:
    """What a ticket desk is told of a gap."""
    return {
        "title": f"{gap.atom_label}: {gap.gap_kind.value.replace('_', ' ')}",
        "gap": gap.id,
        "kind": gap.gap_kind.value,
        "source": gap.source,
        "severity": gap.severity,
        "owner": gap.owner,
        "reason": gap.reason,
        "hosts": list(gap.hosts),
        "remedy": gap.remedy.text,
        "commands": list(gap.remedy.commands),
    }


def _keep_detection(
    unit: UnitOfWork, kit: Kit, detection: Detection, run: HuntRun, now: datetime
) -> Detection:
    stored = unit.detections.add(detection, actor=kit.actor, why=f"promoted by {run.id}")
    if stored.state in {DetectionState.DRAFT, DetectionState.RETIRED, DetectionState.DEPRECATED}:
        return stored
    if stored.certificate != detection.certificate or stored.rule != detection.rule:
        stored = unit.detections.save(
            replace(stored, certificate=detection.certificate, rule=detection.rule, healthy=True),
            actor=kit.actor,
            why=f"certified anew by {run.id}",
        )
    deployment = Deployment(siem=kit.rules.name, desired="enabled", observed="")
    if not any(d.siem == kit.rules.name for d in stored.deployments):
        stored = unit.detections.save(
            replace(stored, deployments=(*stored.deployments, deployment)),
            actor=kit.actor,
            why=f"to be deployed to {kit.rules.name}",
        )
    _leave(
        unit,
        kit,
        Message(
            key=f"rule-{kit.rules.name}-{stored.rule_id}-{digest(stored.rule)[:12]}",
            channel=Channel.DETECTION,
            action="deploy",
            target=kit.rules.name,
            subject=stored.id,
            payload=rule_of(stored),
        ),
        change="deploy",
        summary=f"deploy {stored.id} {stored.title} to {kit.rules.name}",
        now=now,
    )
    return stored


def rule_of(detection: Detection) -> dict[str, object]:
    """What a rule store is told of a detection."""
    certificate = asdict(detection.certificate) if detection.certificate else {}
    return {
        "rule_id": detection.rule_id,
        "title": detection.title,
        "rule": detection.rule,
        "certificate": json.loads(json.dumps(certificate, default=str)),
        "filters": [],
    }


def _keep_cases(
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
    case = open_case(
        hypothesis,
        [finding for finding in findings if finding.id not in known],
        detections,
        default_tlp=kit.policy.default_tlp,
        desk=kit.cases.name,
    )
    if case is None:
        return held
    return (*held, _keep_case(unit, kit, case, run, now))


def _keep_case(unit: UnitOfWork, kit: Kit, case: Case, run: HuntRun, now: datetime) -> Case:
    stored = unit.cases.add(case, actor=kit.actor, why=f"opened by {run.id}")
    _leave(
        unit,
        kit,
        Message(
            key=f"case-{stored.key}",
            channel=Channel.CASE,
            action="create",
            target=kit.cases.name,
            subject=stored.id,
            payload=case_of(stored),
        ),
        change="open_case",
        summary=f"open {stored.id}: {stored.title}",
        now=now,
    )
    return stored


def case_of(case: Case) -> dict[str, object]:
    """What a case desk is told of a case."""
    return {
        "title": case.title,
        "case": case.id,
        "summary": case.summary,
        "severity": case.severity,
        "tlp": case.tlp.value,
        "techniques": list(case.technique_ids),
        "hosts": list(case.hosts),
        "accounts": list(case.accounts),
        "observables": [{"type": o.type, "value": o.value} for o in case.observables],
        "timeline": [
            {
                "time": ref.time.isoformat(),
                "host": ref.host,
                "channel": ref.channel,
                "event_id": ref.event_id,
                "record_id": ref.record_id,
                "shows": ref.role,
            }
            for ref in case.events
        ],
        "first": case.first.isoformat(),
        "last": case.last.isoformat(),
    }


def _leave(
    unit: UnitOfWork, kit: Kit, message: Message, *, change: str, summary: str, now: datetime
) -> None:
    """Put a message into the outbox, or a proposal before it, as the policy says."""
    if kit.policy.approvals.get(change, "auto") == "auto":
        enqueue(unit, message, at=now)
        return
    propose(
        unit,
        kit,
        Proposal(
            change=change,
            subject=message.subject,
            subject_sha256=digest(message.payload),
            target=message.target,
            summary=summary,
            evidence=message.key,
            expires_at=now + PROPOSAL_LIFE,
        ),
        why=summary,
        now=now,
    )


def propose(unit: UnitOfWork, kit: Kit, proposal: Proposal, *, why: str, now: datetime) -> Proposal:
    """Store a proposal; one that nobody decided in time is put before people once more."""
    stored = unit.proposals.add(proposal, actor=kit.actor, why=why)
    lapsed = stored.state is ProposalState.PENDING and stored.expires_at <= now
    if stored.state is not ProposalState.EXPIRED and not lapsed:
        return stored
    again = replace(
        stored,
        state=ProposalState.PENDING,
        expires_at=proposal.expires_at,
        decided_by="",
        decided_at=None,
    )
    return unit.proposals.save(again, actor=kit.actor, why=f"proposed again: {why}")


def results_of(settled: Sequence[Settled]) -> dict[str, int]:
    """Counts of outcomes over several hunts."""
    return {
        "gaps": len({gap.id for s in settled for gap in s.gaps}),
        "detections": len({d.id for s in settled for d in s.detections}),
        "cases": len({c.id for s in settled for c in s.cases}),
    }
