"""Leaving: what goes to a desk or a rule store, in words, and by whose leave."""

import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from huntonce.models.case import Case
from huntonce.models.detection import Detection
from huntonce.models.gap import Gap
from huntonce.models.ids import digest
from huntonce.models.outbox import Channel, Message
from huntonce.models.ports import UnitOfWork
from huntonce.models.proposal import Proposal, ProposalState
from huntonce.models.stages.dispatch import enqueue
from huntonce.models.stages.kit import Kit

PROPOSAL_LIFE = timedelta(days=3)


def leave(
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
        "business": gap.business,
        "hosts": list(gap.hosts),
        "remedy": gap.remedy.text,
        "commands": list(gap.remedy.commands),
    }


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
