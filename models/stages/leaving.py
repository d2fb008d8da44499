"""Leaving: what goes to a desk or a rule store, in words, and by whose leave."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime

from huntonce.models.approval import OURS
from huntonce.models.case import Case
from huntonce.models.detection import OFF, ON, Deployment, Detection
from huntonce.models.gap import Gap
from huntonce.models.ids import digest
from huntonce.models.keeping import UnitOfWork
from huntonce.models.outbox import Channel, Message
from huntonce.models.proposal import WAITING, Proposal, ProposalState
from huntonce.models.stages.dispatch import enqueue
from huntonce.models.stages.kit import Kit
from huntonce.models.tlp import Tlp, tightest

_OVERWRITE = "-overwrite"
"""End of the key of a message that also replaces what people changed in a store."""


def leave(
    unit: UnitOfWork,
    kit: Kit,
    message: Message,
    *,
    change: str,
    summary: str,
    now: datetime,
    size: float = 0.0,
    ordered: bool = False,
) -> None:
    """Put a message into the outbox, or a proposal before it, as the policy says.

    ``size`` is in the unit of the change's threshold (``approval.Rule``). What a person ordered is
    proposed once more, though the same was decided before.
    """
    if not kit.policy.rule(change).asks(size, outside=message.target not in OURS):
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
            expires_at=now + kit.policy.proposal_life,
        ),
        why=summary,
        now=now,
        ordered=ordered,
    )


def propose(
    unit: UnitOfWork,
    kit: Kit,
    proposal: Proposal,
    *,
    why: str,
    now: datetime,
    ordered: bool = False,
) -> Proposal:
    """Store a proposal; one that nobody decided in time is put before people once more.

    So is, where a person ordered it, one that was decided: the order is newer than the decision.
    """
    stored = unit.proposals.add(proposal, actor=kit.actor, why=why)
    waits = stored.state in WAITING
    lapsed = waits and stored.expires_at <= now
    decided = not waits and stored.state is not ProposalState.EXPIRED
    if (waits and not lapsed) or (decided and not ordered):
        return stored
    again = replace(
        stored,
        state=ProposalState.PENDING,
        evidence=proposal.evidence if ordered else stored.evidence,
        expires_at=proposal.expires_at,
        decided_by="",
        decided_at=None,
        approvals=(),
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


def ticket_of(unit: UnitOfWork, gap: Gap) -> dict[str, object]:
    """What a ticket desk is told of a gap, marked as the intel behind what waits for it is."""
    waiting = [unit.hypotheses.by_key(key) for key in gap.unlocks]
    levels = [source.tlp for one in waiting if one is not None for source in one.sources]
    return {
        "tlp": tightest(levels, Tlp.CLEAR).value,
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


def rule_of(unit: UnitOfWork, detection: Detection) -> dict[str, object]:
    """What a rule store is told of a detection: rule, filters, proof, and where it came from."""
    certificate = asdict(detection.certificate) if detection.certificate else {}
    plain: dict[str, object] = json.loads(json.dumps(certificate, default=str))
    return {
        "rule_id": detection.rule_id,
        "detection": detection.id,
        "title": detection.title,
        "state": detection.state.value,
        "rule": detection.rule,
        "certificate": plain,
        "filters": list(detection.filters),
        "fixtures": [
            {
                "uid": fixture.ref.uid,
                "malicious": fixture.malicious,
                "host": fixture.ref.host,
                "channel": fixture.ref.channel,
                "event_id": fixture.ref.event_id,
                "record_id": fixture.ref.record_id,
                "time": fixture.ref.time.isoformat(),
                "original": fixture.body,
            }
            for fixture in unit.proofs.fixtures(detection.rule_id)
        ],
        "hunt": json.loads(json.dumps(detection.origin, default=dict)),
    }


def deploy_message(unit: UnitOfWork, detection: Detection, target: str) -> Message:
    """The message that brings a detection to a store.

    The same content is the same message, whenever its certificate was issued: a hunt that is
    repeated after it was killed sends what it would have sent.
    """
    payload = rule_of(unit, detection)
    proof = payload["certificate"]
    told = dict(proof) if isinstance(proof, dict) else {}
    content = {**payload, "certificate": {**told, "issued_at": "", "seal": ""}}
    return Message(
        key=f"rule-{target}-{detection.rule_id}-{digest(content)[:16]}",
        channel=Channel.DETECTION,
        action="deploy",
        target=target,
        subject=detection.id,
        payload=payload,
    )


def ordered_message(
    unit: UnitOfWork, detection: Detection, target: str, *, overwrite: bool, now: datetime
) -> Message:
    """The message of a person's order: sent, though the same was sent before.

    With ``overwrite`` it also replaces what people changed in the store.
    """
    message = deploy_message(unit, detection, target)
    key = f"{message.key}-{now:%Y%m%dT%H%M%S%f}"
    if not overwrite:
        return replace(message, key=key)
    return replace(message, key=key + _OVERWRITE, payload={**message.payload, "overwrite": True})


def send_rule(
    unit: UnitOfWork,
    kit: Kit,
    detection: Detection,
    make: Callable[[Detection, str], Message],
    *,
    what: str,
    now: datetime,
    size: float = 0.0,
    ordered: bool = False,
) -> Detection:
    """Bring a detection to the store of rules and to each SIEM, by the leave the policy asks for.

    ``make`` gives the message that brings it to the store of a name; ``what`` is done, in words;
    the rest is as in ``leave``.
    """
    for name in (kit.rules.name, *kit.targets):
        if not any(d.siem == name for d in detection.deployments):
            wanted = Deployment(
                siem=name, desired=ON if name == kit.rules.name else OFF, observed=""
            )
            detection = unit.detections.save(
                replace(detection, deployments=(*detection.deployments, wanted)),
                actor=kit.actor,
                why=f"to be deployed to {name}",
            )
        message = make(detection, name)
        over = ", over what people changed there" if overwrites(message.key) else ""
        leave(
            unit,
            kit,
            message,
            change="deploy",
            summary=f"{what} {detection.id} {detection.title} to {name}{over}",
            now=now,
            size=size,
            ordered=ordered,
        )
    return detection


def overwrites(key: str) -> bool:
    """Whether the message with a key replaces what people changed in a store."""
    return key.endswith(_OVERWRITE)


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
