"""Approve: carry out what a person decided, if it is still what they saw."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from huntonce.models.approval import authorise, same_person
from huntonce.models.errors import DomainError
from huntonce.models.ids import digest
from huntonce.models.keeping import UnitOfWork
from huntonce.models.outbox import Channel, Message
from huntonce.models.proposal import Proposal, ProposalState
from huntonce.models.publication import Publication
from huntonce.models.stages.dispatch import enqueue
from huntonce.models.stages.downmark import check_down_mark
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import case_of, overwrites, rule_of, ticket_of
from huntonce.models.stages.outlets import DOWN_MARK
from huntonce.models.stages.planned import leaving_with, of_subject, planned_for
from huntonce.models.stages.sending import approved, ids_of, payload_of


def decide(kit: Kit, proposal_id: str, *, approve: bool, by: str, code: str = "") -> Proposal:
    """Record a decision; an approved change goes to the outbox in the same transaction.

    Where the policy wants two people, the first approval endorses and the second approves; one
    rejection ends it. ``code`` proves who decides where approvers are set up.

    Raises:
        DomainError: No such proposal, decided or expired already; the name may not decide it or
            has approved it before; or its subject has changed since it was proposed (the person
            saw something else).
    """
    now = kit.clock()
    with kit.open_unit() as unit:
        proposal = unit.proposals.get(proposal_id)
        if proposal is None:
            raise DomainError(f"no proposal {proposal_id}", hint="huntonce proposals lists them")
        if not proposal.waits:
            raise DomainError(f"{proposal_id} is {proposal.state.value} already")
        name = authorise(
            kit.policy.approvers,
            proposal,
            decision="approve" if approve else "reject",
            by=by,
            code=code,
        )
        state = ProposalState.REJECTED
        approvals = proposal.approvals
        if now >= proposal.expires_at:
            state = ProposalState.EXPIRED
        elif approve:
            messages = messages_of(unit, proposal, name)
            approvals = _with(proposal, name)
            state = ProposalState.ENDORSED
            if len(approvals) >= kit.policy.rule(proposal.change).people:
                state = ProposalState.APPROVED
                _send(unit, messages, name, now)
        fresh = replace(proposal, state=state, approvals=approvals)
        if state is not ProposalState.ENDORSED:
            people = ", ".join(approvals) if state is ProposalState.APPROVED else name
            fresh = replace(fresh, decided_by=people, decided_at=now)
        decided = unit.proposals.save(fresh, actor=name, why=f"{state.value} by {name}")
        unit.commit()
    if state is ProposalState.EXPIRED:
        raise DomainError(f"{proposal_id} expired at {proposal.expires_at:%Y-%m-%d %H:%M} UTC")
    return decided


def _send(unit: UnitOfWork, messages: Sequence[Message], name: str, now: datetime) -> None:
    for message in messages:
        enqueue(unit, message, at=now)
        for publication in _publications(unit, message):
            approved(unit, publication, name)


def _with(proposal: Proposal, name: str) -> tuple[str, ...]:
    if any(same_person(name, earlier) for earlier in proposal.approvals):
        raise DomainError(
            f"{name} has approved {proposal.id} already", hint="another person has to approve it"
        )
    return (*proposal.approvals, name)


def messages_of(unit: UnitOfWork, proposal: Proposal, by: str) -> tuple[Message, ...]:
    """What a proposal that ``by`` approves sends, rebuilt from its subject as it stands.

    Raises:
        DomainError: It is not what was proposed any more, or wants somebody's name.
    """
    if proposal.change == DOWN_MARK:
        check_down_mark(unit, proposal, by)
        return ()  # it sends nothing: the next plan is made under the new marking
    builder = _BUILDERS.get(proposal.change)
    if builder is None:
        raise DomainError(f"{proposal.id}: nothing carries out a {proposal.change!r}")
    channel, action, payload = builder(unit, proposal)
    if digest(payload) != proposal.subject_sha256:
        raise DomainError(
            f"{proposal.subject} has changed since {proposal.id} was made",
            hint="look at it again; the next run proposes it as it is now",
        )
    if channel is Channel.PUBLICATION:
        leaving = leaving_with(unit, planned_for(unit, proposal.subject, proposal.target))
        if not leaving:
            return ()  # all of it left with something else
        payload = payload_of(leaving)
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
    return Channel.TICKET, "create", ticket_of(unit, gap)


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
    its = of_subject(unit, proposal.subject, proposal.target)
    return Channel.PUBLICATION, "publish", payload_of(its)


def _publications(unit: UnitOfWork, message: Message) -> list[Publication]:
    if message.channel is not Channel.PUBLICATION:
        return []
    found = [unit.publications.get(publication_id) for publication_id in ids_of(message)]
    return [one for one in found if one is not None]


_BUILDERS: Mapping[str, Callable[[UnitOfWork, Proposal], _Built]] = {
    "open_ticket": _ticket,
    "open_case": _case,
    "deploy": _rule,
    "publish": _publish,
}
