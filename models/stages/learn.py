"""Learn: what IR concluded becomes intel, leaves under the sharing rules, and is kept as sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from huntonce.models.case import Case
from huntonce.models.errors import HuntonceError, TransientError
from huntonce.models.feedback import (
    CaseIntel,
    Mask,
    SharingRules,
    TechniqueRef,
    leaks,
    plan_publications,
)
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.ids import digest
from huntonce.models.intel import IntelObject
from huntonce.models.outbox import Channel, Message
from huntonce.models.ports import IntelDestination, UnitOfWork
from huntonce.models.proposal import Proposal
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.stages.dispatch import STALE_AFTER, enqueue
from huntonce.models.stages.intelrefs import sources_of
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import PROPOSAL_LIFE, propose
from huntonce.models.tlp import Tlp
from huntonce.models.windows import Window

MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """A destination with the most closed marking that may go there."""

    destination: IntelDestination
    max_tlp: Tlp


def plan_case(kit: Kit, case: Case, outlets: Sequence[Outlet]) -> tuple[Publication, ...]:
    """Write the intel of a closed case and plan it for every outlet; proposes or approves it.

    Planned again, the same case gives the same objects: nothing is doubled.
    """
    with kit.open_unit() as unit:
        intel = _case_intel(unit, kit, case)
    guard = leaks(kit.profile, hosts=case.hosts, accounts=case.accounts)
    mask = Mask(key=kit.mask_key, hosts=case.hosts, accounts=case.accounts, leaks=guard)
    bodies = kit.author_case(intel, mask)
    planned: list[Publication] = []
    for outlet in outlets:
        rules = SharingRules(
            destination=outlet.destination.name,
            max_tlp=outlet.max_tlp,
            leaks=guard,
            levels=intel.levels,
            default_tlp=kit.policy.default_tlp,
            own_name=kit.profile.name,
        )
        planned.extend(_keep(kit, plan_publications(bodies, rules, subject=case.id), case.id))
    return tuple(planned)


def plan_objects(
    kit: Kit, objects: Sequence[IntelObject], outlets: Sequence[Outlet], *, subject: str
) -> tuple[Publication, ...]:
    """Plan the CTI team's own objects for every outlet, under the same rules. Stores nothing."""
    bodies = [item.body.decode() for item in objects]
    with kit.open_unit() as unit:
        levels = {held.id: held.tlp for held in unit.intel.latest()}
    return tuple(
        publication
        for outlet in outlets
        for publication in plan_publications(
            bodies,
            SharingRules(
                destination=outlet.destination.name,
                max_tlp=outlet.max_tlp,
                leaks=leaks(kit.profile),
                levels=levels,
                default_tlp=kit.policy.default_tlp,
                own_name=kit.profile.name,
            ),
            subject=subject,
        )
    )


def keep_approved(kit: Kit, planned: Sequence[Publication], *, by: str) -> tuple[Publication, ...]:
    """Store what a person chose to publish by naming it, approved by them."""
    now = kit.clock()
    stored: list[Publication] = []
    failed: set[str] = set()
    with kit.open_unit() as unit:
        for publication in planned:
            kept = unit.publications.add(publication, actor=by, why=f"published by {by}")
            if kept.state is PublicationState.FAILED:
                failed.add(kept.destination)
            if kept.state in {PublicationState.PLANNED, PublicationState.FAILED}:
                fresh = replace(kept, state=PublicationState.APPROVED)
                kept = unit.publications.save(fresh, actor=by, why=f"published by {by}")
            stored.append(kept)
        for destination in sorted({p.destination for p in stored}):
            mine = [p for p in stored if p.destination == destination]
            leaving = [p for p in mine if p.state is PublicationState.APPROVED]
            _put(unit, leaving, now=now, again=destination in failed)
        unit.commit()
    return tuple(stored)


def _case_intel(unit: UnitOfWork, kit: Kit, case: Case) -> CaseIntel:
    hypothesis = unit.hypotheses.by_key(case.hypothesis_key)
    run = next((r for r in reversed(unit.hunts.list()) if case.id in r.case_ids), None)
    found = (unit.detections.get(detection_id) for detection_id in case.detection_ids)
    return CaseIntel(
        case=case,
        detections=tuple(detection for detection in found if detection is not None),
        source_refs=hypothesis.sources if hypothesis else sources_of(unit, case.source_ids),
        organisation=kit.profile.name,
        window=Window(run.start, run.end) if run else Window(case.first, kit.clock()),
        power=run.power.words if run and run.power else "",
        created=case.closed_at or kit.clock(),
        techniques=_techniques(unit, kit, case, hypothesis),
    )


def _techniques(
    unit: UnitOfWork, kit: Kit, case: Case, hypothesis: Hypothesis | None
) -> tuple[TechniqueRef, ...]:
    """The attack-patterns that the source intel used for the case's techniques."""
    named = {s.object_id for s in hypothesis.sources} if hypothesis else set()
    known: dict[str, str] = {}
    for item in unit.intel.latest("attack-pattern"):
        references = item.content.get("external_references")
        for reference in references if isinstance(references, list) else ():
            external = reference.get("external_id") if isinstance(reference, dict) else None
            if isinstance(external, str) and (item.id in named or external not in known):
                known[external] = item.id
    return tuple(
        TechniqueRef(
            id=technique, name=kit.catalogue.name(technique), stix_id=known.get(technique, "")
        )
        for technique in case.technique_ids
    )


def _keep(kit: Kit, planned: Iterable[Publication], subject: str) -> list[Publication]:
    """Store planned publications; approve or propose those that may leave."""
    now = kit.clock()
    with kit.open_unit() as unit:
        stored = [
            unit.publications.add(p, actor=kit.actor, why=p.why or f"planned for {p.destination}")
            for p in planned
        ]
        leaving = [p for p in stored if p.state is PublicationState.PLANNED]
        if leaving and kit.policy.approvals.get("publish", "ask") == "auto":
            stored = [_approved(unit, p, kit.actor) if p in leaving else p for p in stored]
            _put(unit, [p for p in stored if p.state is PublicationState.APPROVED], now=now)
        elif leaving:
            payload = payload_of(leaving)
            destination = leaving[0].destination
            propose(
                unit,
                kit,
                Proposal(
                    change="publish",
                    subject=subject,
                    subject_sha256=digest(payload),
                    target=destination,
                    summary=f"publish {len(leaving)} objects of {subject} to {destination}",
                    evidence=key_of(leaving),
                    expires_at=now + PROPOSAL_LIFE,
                ),
                why=f"{subject} is closed",
                now=now,
            )
        unit.commit()
    return stored


def _approved(unit: UnitOfWork, publication: Publication, by: str) -> Publication:
    fresh = replace(publication, state=PublicationState.APPROVED)
    return unit.publications.save(fresh, actor=by, why=f"approved by {by}")


def approve_publications(unit: UnitOfWork, subject: str, target: str, by: str) -> None:
    """Mark what a proposal was about as approved."""
    for publication in planned_for(unit, subject, target):
        _approved(unit, publication, by)


def planned_for(unit: UnitOfWork, subject: str, target: str) -> list[Publication]:
    """Planned publications of a subject for a destination, in the order they were planned."""
    return [
        p
        for p in unit.publications.list(PublicationState.PLANNED)
        if p.subject == subject and p.destination == target
    ]


def payload_of(publications: Sequence[Publication]) -> dict[str, object]:
    """What the outbox carries: ids and hashes; the bodies are in the store."""
    return {"publications": [[p.id, digest(p.body)] for p in publications]}


def key_of(publications: Sequence[Publication]) -> str:
    """Idempotency key of a set of publications to one destination."""
    return f"publish-{publications[0].destination}-{digest([p.key for p in publications])[:24]}"


def _put(
    unit: UnitOfWork, publications: Sequence[Publication], *, now: datetime, again: bool = False
) -> None:
    """Write publications down; ``again`` where one failed before: an answered message is over."""
    if publications:
        enqueue(
            unit,
            Message(
                key=f"{key_of(publications)}{f'-{now:%Y%m%dT%H%M%S%f}' if again else ''}",
                channel=Channel.PUBLICATION,
                action="publish",
                target=publications[0].destination,
                subject=publications[0].subject,
                payload=payload_of(publications),
            ),
            at=now,
        )


def waiting(kit: Kit) -> tuple[Publication, ...]:
    """Publications that were not sent yet, and why not."""
    with kit.open_unit() as unit:
        return unit.publications.list(
            PublicationState.PLANNED,
            PublicationState.APPROVED,
            PublicationState.FAILED,
            PublicationState.SKIPPED_TLP,
            PublicationState.REJECTED_FIELD,
        )


def send_publications(kit: Kit, outlets: Sequence[Outlet]) -> tuple[Publication, ...]:
    """Send every approved publication that the outbox holds; returns them as they ended.

    Sent twice (a sender died after the server had it), an object is ``already_present``: the
    server knows it by id and version.
    """
    by_name = {outlet.destination.name: outlet.destination for outlet in outlets}
    ended: list[Publication] = []
    while (message := _claim(kit)) is not None:
        try:
            ended.extend(_send(kit, message, by_name))
        except HuntonceError as error:
            if _waits(kit, message, error):
                break
    return tuple(ended)


def _claim(kit: Kit) -> Message | None:
    with kit.open_unit() as unit:
        return unit.outbox.claim(Channel.PUBLICATION, at=kit.clock(), stale_after=STALE_AFTER)


def _waits(kit: Kit, message: Message, error: HuntonceError) -> bool:
    again = isinstance(error, TransientError) and message.attempts < MAX_ATTEMPTS
    with kit.open_unit() as unit:
        unit.outbox.failed(message.key, error=str(error), again=again, at=kit.clock())
        if not again:
            for publication in _of(unit, message):
                fresh = replace(publication, state=PublicationState.FAILED, why=str(error))
                unit.publications.save(fresh, actor=kit.actor, why=str(error))
        unit.commit()
    return again


def _of(unit: UnitOfWork, message: Message) -> list[Publication]:
    pairs = message.payload["publications"]
    ids = [str(pair[0]) for pair in pairs] if isinstance(pairs, list) else []
    found = [unit.publications.get(publication_id) for publication_id in ids]
    return [p for p in found if p is not None and p.state is PublicationState.APPROVED]


def _send(kit: Kit, message: Message, by_name: Mapping[str, IntelDestination]) -> list[Publication]:
    destination = by_name.get(message.target)
    if destination is None:
        raise HuntonceError(f"no destination named {message.target!r} is configured")
    with kit.open_unit() as unit:
        publications = _of(unit, message)
    answers = destination.publish([p.body for p in publications]) if publications else []
    with kit.open_unit() as unit:
        ended = []
        for publication, answer in zip(publications, answers, strict=True):
            fresh = replace(publication, state=PublicationState(answer.outcome), why=answer.why)
            why = answer.why or f"{answer.outcome} at {destination.name}"
            ended.append(unit.publications.save(fresh, actor=kit.actor, why=why))
        unit.outbox.done(message.key, remote_id=destination.name, at=kit.clock())
        unit.commit()
    return ended
