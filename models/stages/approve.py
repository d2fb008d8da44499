"""Approve: carry out what a person decided, if it is still what they saw."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from huntonce.models.errors import DomainError
from huntonce.models.ids import digest
from huntonce.models.outbox import Channel, Message
from huntonce.models.ports import UnitOfWork
from huntonce.models.proposal import Proposal, ProposalState
from huntonce.models.stages.dispatch import enqueue
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.learn import approve_publications, payload_of, planned_for
from huntonce.models.stages.leaving import case_of, overwrites, rule_of, ticket_of


def decide(kit: Kit, proposal_id: str, *, approve: bool, by: str) -> Proposal:
    """Record a decision; an approved change goes to the outbox in the same transaction.

    Raises:
        DomainError: No such proposal, decided or expired already, or its subject has changed
            since it was proposed (the person saw something else).
    """
    now = kit.clock()
    with kit.open_unit() as unit:
        proposal = unit.proposals.get(proposal_id)
        if proposal is None:
            raise DomainError(f"no proposal {proposal_id}", hint="huntonce proposals lists them")
        if proposal.state is not ProposalState.PENDING:
            raise DomainError(f"{proposal_id} is {proposal.state.value} already")
        state = ProposalState.APPROVED if approve else ProposalState.REJECTED
        if now >= proposal.expires_at:
            state = ProposalState.EXPIRED
        elif approve:
            for message in messages_of(unit, proposal):
                enqueue(unit, message, at=now)
            if proposal.change == "publish":
                approve_publications(unit, proposal.subject, proposal.target, by)
        decided = unit.proposals.save(
            replace(proposal, state=state, decided_by=by, decided_at=now),
            actor=by,
            why=f"{state.value} by {by}",
        )
        unit.commit()
    if state is ProposalState.EXPIRED:
        raise DomainError(f"{proposal_id} expired at {proposal.expires_at:%Y-%m-%d %H:%M} UTC")
    return decided


def messages_of(unit: UnitOfWork, proposal: Proposal) -> tuple[Message, ...]:
    """What an approved proposal sends, rebuilt from its subject as it stands.

    Raises:
        DomainError: It is not what was proposed any more.
    """
    builder = _BUILDERS.get(proposal.change)
    if builder is None:
        raise DomainError(f"{proposal.id}: nothing carries out a {proposal.change!r}")
    channel, action, payload = builder(unit, proposal)
    if digest(payload) != proposal.subject_sha256:
        raise DomainError(
            f"{proposal.subject} has changed since {proposal.id} was made",
            hint="look at it again; the next run proposes it as it is now",
        )
    return (
        Message(
            key=proposal.evidence,
            channel=channel,
            action=action,
            target=proposal.target,
            subject=proposal.subject,
            payload=payload,
        ),
    )


_Built = tuple[Channel, str, dict[str, object]]


def _ticket(unit: UnitOfWork, proposal: Proposal) -> _Built:
    gap = unit.gaps.get(proposal.subject)
    if gap is None:
        raise DomainError(f"{proposal.subject} is not in the store")
    return Channel.TICKET, "create", ticket_of(gap)


def _case(unit: UnitOfWork, proposal: Proposal) -> _Built:
    case = unit.cases.get(proposal.subject)
    if case is None:
        raise DomainError(f"{proposal.subject} is not in the store")
    return Channel.CASE, "create", case_of(case)


def _rule(unit: UnitOfWork, proposal: Proposal) -> _Built:
    detection = unit.detections.get(proposal.subject)
    if detection is None:
        raise DomainError(f"{proposal.subject} is not in the store")
    payload = rule_of(unit, detection)
    if overwrites(proposal.evidence):
        payload["overwrite"] = True
    return Channel.DETECTION, "deploy", payload


def _publish(unit: UnitOfWork, proposal: Proposal) -> _Built:
    planned = planned_for(unit, proposal.subject, proposal.target)
    return Channel.PUBLICATION, "publish", payload_of(planned)


_BUILDERS: Mapping[str, Callable[[UnitOfWork, Proposal], _Built]] = {
    "open_ticket": _ticket,
    "open_case": _case,
    "deploy": _rule,
    "publish": _publish,
}
