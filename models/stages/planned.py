"""Planned: publications as they are kept until somebody approves them, each object once."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from huntonce.models.feedback.stixtext import markings, read_object, refs
from huntonce.models.ids import digest
from huntonce.models.keeping import UnitOfWork
from huntonce.models.proposal import WAITING, Proposal, ProposalState
from huntonce.models.publication import HELD, Publication, PublicationState
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import propose
from huntonce.models.stages.sending import approved, key_of, payload_of, put


def keep_approved(kit: Kit, planned: Sequence[Publication], *, by: str) -> tuple[Publication, ...]:
    """Store what a person chose to publish by naming it, approved by them."""
    now = kit.clock()
    stored: list[Publication] = []
    failed: set[str] = set()
    with kit.open_unit() as unit:
        for publication in planned:
            kept = _stored(unit, publication, by, f"published by {by}")
            if kept.state is PublicationState.FAILED:
                failed.add(kept.destination)
            if kept.state in {PublicationState.PLANNED, PublicationState.FAILED}:
                kept = approved(unit, kept, by)
            stored.append(kept)
        for destination in sorted({p.destination for p in stored}):
            mine = [p for p in stored if p.destination == destination]
            leaving = [p for p in mine if p.state is PublicationState.APPROVED]
            put(unit, leaving, now=now, again=destination in failed)
        unit.commit()
    return tuple(stored)


def _stored(unit: UnitOfWork, planned: Publication, actor: str, why: str) -> Publication:
    """The stored publication, brought up to the plan as long as nothing of it left.

    An object that several subjects share (our identity, a technique) is planned once: that one
    subject has no need of it does not take it from the others.
    """
    kept = unit.publications.add(planned, actor=actor, why=why)
    if kept.state not in {PublicationState.PLANNED, PublicationState.SUPERSEDED, *HELD}:
        return kept
    mine = (kept.state, kept.body, kept.why, kept.tlp)
    if mine == (planned.state, planned.body, planned.why, planned.tlp):
        return kept
    if kept.subject != planned.subject and planned.state in HELD:
        return kept
    fresh = replace(planned, id=kept.id)
    return unit.publications.save(fresh, actor=actor, why=planned.why or why)


def keep(
    kit: Kit, planned: Iterable[Publication], subject: str, destination: str
) -> list[Publication]:
    """Store planned publications; approve or propose those that may leave."""
    now = kit.clock()
    with kit.open_unit() as unit:
        stored = [_stored(unit, p, kit.actor, f"planned for {destination}") for p in planned]
        _supersede(unit, kit, stored, subject, destination)
        leaving = [p for p in stored if p.state is PublicationState.PLANNED]
        if leaving and not kit.policy.rule("publish").asks(len(leaving), outside=True):
            stored = [approved(unit, p, kit.actor) if p in leaving else p for p in stored]
            put(unit, [p for p in stored if p.state is PublicationState.APPROVED], now=now)
        elif own := [p for p in leaving if p.subject == subject]:
            _propose(unit, kit, own, subject, destination, now)
        unit.commit()
    return stored


def _supersede(
    unit: UnitOfWork, kit: Kit, stored: Sequence[Publication], subject: str, destination: str
) -> None:
    """What was planned earlier, did not leave, and is not in the new plan will not leave."""
    kept = {p.id for p in stored}
    withheld = [
        p
        for p in unit.publications.list(*HELD)
        if p.subject == subject and p.destination == destination
    ]
    for old in (*planned_for(unit, subject, destination), *withheld):
        if old.id not in kept:
            why = "a newer plan took its place before it left"
            fresh = replace(old, state=PublicationState.SUPERSEDED, why=why)
            unit.publications.save(fresh, actor=kit.actor, why=why)


def _propose(
    unit: UnitOfWork,
    kit: Kit,
    leaving: Sequence[Publication],
    subject: str,
    destination: str,
    now: datetime,
) -> None:
    made = propose(
        unit,
        kit,
        Proposal(
            change="publish",
            subject=subject,
            subject_sha256=digest(payload_of(of_subject(unit, subject, destination))),
            target=destination,
            summary=f"publish {len(leaving)} objects of {subject} to {destination}",
            evidence=key_of(leaving),
            expires_at=now + kit.policy.proposal_life,
        ),
        why=f"{subject} is closed" if subject.startswith("CASE") else f"{subject} has concluded",
        now=now,
    )
    for old in unit.proposals.list(*WAITING):
        same = (old.change, old.subject, old.target) == ("publish", subject, destination)
        if same and old.id != made.id:
            fresh = replace(old, state=ProposalState.EXPIRED)
            unit.proposals.save(fresh, actor=kit.actor, why=f"{made.id} took its place")


def planned_for(unit: UnitOfWork, subject: str, target: str) -> list[Publication]:
    """Planned publications of a subject for a destination, in the order they were planned."""
    return [
        p
        for p in unit.publications.list(PublicationState.PLANNED)
        if p.subject == subject and p.destination == target
    ]


def of_subject(unit: UnitOfWork, subject: str, target: str) -> list[Publication]:
    """What a person approves with a subject: all of it that is to leave, or has left already.

    What it shares with other subjects may leave with one of them before it is decided.
    """
    gone = {PublicationState.SUPERSEDED, PublicationState.RETRACTED, *HELD}
    return [
        p
        for p in unit.publications.list()
        if p.subject == subject and p.destination == target and p.state not in gone
    ]


def leaving_with(unit: UnitOfWork, publications: Sequence[Publication]) -> tuple[Publication, ...]:
    """Publications with all that they refer to and that did not leave yet, whoever planned it."""
    if not publications:
        return ()
    destination = publications[0].destination
    states = (PublicationState.PLANNED, PublicationState.SUPERSEDED)
    others = {
        p.object_id: p for p in unit.publications.list(*states) if p.destination == destination
    }
    chosen = {p.id: p for p in publications}
    waiting = list(publications)
    while waiting:
        content = read_object(waiting.pop().body)
        for name in (*(ref for _, ref in refs(content)), *markings(content)):
            needed = others.get(name)
            if needed is not None and needed.id not in chosen:
                chosen[needed.id] = needed
                waiting.append(needed)
    return tuple(chosen.values())
