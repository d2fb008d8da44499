"""Retract: withdraw what we published, by a newer version that says so; nothing else can."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from huntonce.models.errors import DomainError
from huntonce.models.feedback.stixtext import SCO_TYPES, Stix, read_object, texts
from huntonce.models.feedback.versions import revoked
from huntonce.models.keeping import UnitOfWork
from huntonce.models.outbox import Channel, MessageState
from huntonce.models.publication import HELD, Publication, PublicationState
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.sending import approved, ids_of, put

_ENDS = ("source_ref", "target_ref", "sighting_of_ref")
# They have no versions, or are there for other objects, too: only by their own id.
_KEPT = SCO_TYPES | {"identity", "attack-pattern", "marking-definition", "extension-definition"}
_UNVERSIONED = SCO_TYPES | {"marking-definition"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraction:
    """What a retraction does.

    Attributes:
        withdrawing: The versions that withdraw, on their way.
        kept_back: What had not left yet and now will not.
        left: Ids that it does not touch, with the reason.
    """

    withdrawing: tuple[Publication, ...]
    kept_back: tuple[Publication, ...]
    left: tuple[tuple[str, str], ...]


def retract(
    kit: Kit, targets: Sequence[str], *, by: str, why: str, destination: str = ""
) -> Retraction:
    """Withdraw objects by id (of the object or the publication) or all of a subject (CASE-1).

    What only speaks of a withdrawn object (its relationships, sightings, notes) goes with it. All
    of it is written down at once; ``send_publications`` sends it.

    Raises:
        DomainError: A target was never published.
    """
    now = kit.clock()
    with kit.open_unit() as unit:
        ledger = [
            p
            for p in unit.publications.list()
            if (not destination or p.destination == destination)
            and p.state not in {PublicationState.SUPERSEDED, *HELD}
        ]
        chosen = _chosen(ledger, targets)
        newest = {(p.destination, p.object_id): p for p in sorted(ledger, key=lambda p: p.version)}
        chosen |= _dependent(newest, chosen)
        untried = _never_tried(unit)
        withdrawing: list[Publication] = []
        kept_back: list[Publication] = []
        left: list[tuple[str, str]] = []
        for at in [at for at in newest if at in chosen]:
            rows = [p for p in ledger if (p.destination, p.object_id) == at]
            if any(read_object(p.body).get("revoked") is True for p in rows):
                left.append((at[1], "retracted already"))
                continue
            here = [p for p in rows if p.state is PublicationState.PLANNED or p.id in untried]
            there = sorted((p for p in rows if p not in here), key=lambda p: p.version)
            reason = _reason_to_leave(there[-1] if there else here[-1], kit)
            if reason:
                left.append((at[1], reason))
                continue
            kept_back += [_keep_back(unit, p, by, why) for p in here]
            if there:
                withdrawing.append(_withdraw(unit, there[-1], by, why, now))
        for name in sorted({p.destination for p in withdrawing}):
            put(unit, [p for p in withdrawing if p.destination == name], now=now)
        unit.commit()
    return Retraction(withdrawing=tuple(withdrawing), kept_back=tuple(kept_back), left=tuple(left))


_At = tuple[str, str]


def _chosen(ledger: Iterable[Publication], targets: Sequence[str]) -> set[_At]:
    """Destination and object id of what is meant."""
    chosen: set[_At] = set()
    for target in targets:
        name = target.strip()
        found = {
            (p.destination, p.object_id)
            for p in ledger
            if name.casefold() in {p.id.casefold(), p.object_id}
            or (name.casefold() == p.subject.casefold() and p.object_type not in _KEPT)
        }
        if not found:
            raise DomainError(
                f"nothing published is called {target!r}",
                hint="huntonce intel publications lists objects and what they came from",
            )
        chosen |= found
    return chosen


def _dependent(newest: dict[_At, Publication], chosen: set[_At]) -> set[_At]:
    """What speaks of nothing but withdrawn objects."""
    gone = set(chosen)
    grown = True
    while grown:
        fresh = {
            (destination, object_id)
            for (destination, object_id), p in newest.items()
            if (destination, object_id) not in gone
            and _speaks_of(read_object(p.body), {o for d, o in gone if d == destination})
        }
        gone |= fresh
        grown = bool(fresh)
    return gone


def _speaks_of(content: Stix, gone: set[str]) -> bool:
    if any(content.get(end) in gone for end in _ENDS):
        return True
    listed = texts(content.get("object_refs"))
    return content["type"] in {"note", "opinion"} and bool(listed) and set(listed) <= gone


def _never_tried(unit: UnitOfWork) -> set[str]:
    """Ids of approved publications whose message no sender has ever taken."""
    waiting = [
        m for m in unit.outbox.list(MessageState.PENDING) if m.channel is Channel.PUBLICATION
    ]
    fresh = {name for m in waiting if m.attempts == 0 for name in ids_of(m)}
    tried = {
        name
        for m in unit.outbox.list()
        if m.channel is Channel.PUBLICATION and m.attempts
        for name in ids_of(m)
    }
    return fresh - tried


def _reason_to_leave(held: Publication, kit: Kit) -> str:
    content = read_object(held.body)
    maker = content.get("created_by_ref")
    if held.state is PublicationState.RETRACTED:
        return "retracted already"
    if held.object_type in _UNVERSIONED:
        return "an object of this type has no versions and cannot be withdrawn"
    if maker is not None and maker not in kit.own_identities:
        return f"made by {maker}: only its maker withdraws it"
    return ""


def _keep_back(unit: UnitOfWork, held: Publication, by: str, why: str) -> Publication:
    words = f"withdrawn by {by} before it left: {why}".removesuffix(": ")
    fresh = replace(held, state=PublicationState.RETRACTED, why=words)
    return unit.publications.save(fresh, actor=by, why=words)


def _withdraw(unit: UnitOfWork, held: Publication, by: str, why: str, now: datetime) -> Publication:
    """Store the withdrawing version, approved; an older one that still waits is not sent."""
    words = f"withdrawn by {by}: {why}".removesuffix(": ")
    fresh = unit.publications.add(revoked(held, now), actor=by, why=words)
    if held.state is PublicationState.APPROVED:
        gone = replace(held, state=PublicationState.RETRACTED, why=f"withdrawn by {fresh.id}")
        unit.publications.save(gone, actor=by, why=words)
    return approved(unit, fresh, by)
