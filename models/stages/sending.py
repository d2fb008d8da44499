"""Sending: what is approved leaves through the outbox, once, and is kept as it was sent."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from huntonce.models.errors import HuntonceError, TransientError
from huntonce.models.feedback.stixtext import read_object
from huntonce.models.ids import digest
from huntonce.models.keeping import UnitOfWork
from huntonce.models.outbox import Channel, Message
from huntonce.models.ports import IntelDestination
from huntonce.models.publication import MAY_BE_THERE, THERE, Publication, PublicationState
from huntonce.models.stages.dispatch import STALE_AFTER, enqueue
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.outlets import Outlet

MAX_ATTEMPTS = 5


def approved(unit: UnitOfWork, publication: Publication, by: str) -> Publication:
    """Mark a publication as approved."""
    fresh = replace(publication, state=PublicationState.APPROVED)
    return unit.publications.save(fresh, actor=by, why=f"approved by {by}")


def payload_of(publications: Sequence[Publication]) -> dict[str, object]:
    """What the outbox carries: ids and hashes; the bodies are in the store."""
    return {"publications": [[p.id, digest(p.body)] for p in publications]}


def key_of(publications: Sequence[Publication]) -> str:
    """Idempotency key of a set of publications to one destination."""
    return f"publish-{publications[0].destination}-{digest([p.key for p in publications])[:24]}"


def put(
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


def ids_of(message: Message) -> list[str]:
    """Ids of the publications that a message is about."""
    pairs = message.payload.get("publications")
    return [str(pair[0]) for pair in pairs] if isinstance(pairs, list) else []


def send_publications(kit: Kit, outlets: Sequence[Outlet]) -> tuple[Publication, ...]:
    """Send every approved publication that the outbox holds; returns them as they ended.

    Sent twice (a sender died after the server had it), an object is ``already_present``: the
    server knows it by id and version.
    """
    by_name = {outlet.name: outlet.destination for outlet in outlets}
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
    found = [unit.publications.get(publication_id) for publication_id in ids_of(message)]
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
            stored = unit.publications.get(publication.id) or publication
            if stored.state is not PublicationState.APPROVED:
                ended.append(stored)  # withdrawn while it was on its way: the retraction follows
                continue
            fresh = replace(publication, state=PublicationState(answer.outcome), why=answer.why)
            why = answer.why or f"{answer.outcome} at {destination.name}"
            ended.append(unit.publications.save(fresh, actor=kit.actor, why=why))
        _retract_older(unit, kit, ended)
        unit.outbox.done(message.key, remote_id=destination.name, at=kit.clock())
        unit.commit()
    return ended


def _retract_older(unit: UnitOfWork, kit: Kit, ended: Sequence[Publication]) -> None:
    """Once its withdrawal is there, no earlier version of an object counts as published."""
    gone = {
        (p.destination, p.object_id): p
        for p in ended
        if p.state in THERE and read_object(p.body).get("revoked") is True
    }
    if not gone:
        return
    for held in unit.publications.list(*MAY_BE_THERE):
        last = gone.get((held.destination, held.object_id))
        if last is not None and last.id != held.id:
            fresh = replace(held, state=PublicationState.RETRACTED, why=f"withdrawn by {last.id}")
            unit.publications.save(fresh, actor=kit.actor, why=f"withdrawn by {last.id}")
