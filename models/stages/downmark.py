"""Down-marking: a named person's leave for objects of ours to travel further than they say.

It loosens the marking of the listed objects at one destination. What must not be named there is
still not named: references to others' closed intel do not become open by it.
"""

import json
from collections.abc import Sequence

from huntonce.models.errors import DomainError
from huntonce.models.feedback.stixtext import read_object
from huntonce.models.ids import digest
from huntonce.models.keeping import UnitOfWork
from huntonce.models.proposal import Proposal
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import propose
from huntonce.models.stages.outlets import DOWN_MARK, Outlet
from huntonce.models.tlp import Tlp

_NOBODY = frozenset({"", "huntonce", "operator"})


def propose_down_mark(kit: Kit, subject: str, outlet: Outlet, tlp: Tlp, why: str) -> Proposal:
    """Propose that what was withheld of a subject for its marking leaves under a looser one.

    Raises:
        DomainError: Nothing of ours was withheld, or the marking is no help or no looser.
    """
    if tlp.rank > outlet.max_tlp.rank:
        raise DomainError(
            f"TLP:{tlp.upper()} is above what {outlet.name} may get",
            hint=f"its ceiling is TLP:{outlet.max_tlp.upper()}",
        )
    now = kit.clock()
    with kit.open_unit() as unit:
        held = _withheld(unit, kit, subject, outlet.name, tlp)
        if not held:
            raise DomainError(
                f"nothing of ours of {subject} is withheld from {outlet.name} for its marking",
                hint="huntonce intel publications lists what is withheld, and why",
            )
        evidence = {"tlp": tlp.value, "objects": [one.object_id for one in held], "why": why}
        made = propose(
            unit,
            kit,
            Proposal(
                change=DOWN_MARK,
                subject=subject,
                subject_sha256=_digest(held, tlp),
                target=outlet.name,
                summary=f"mark {len(held)} objects of {subject} TLP:{tlp.upper()} for"
                f" {outlet.name}: {why or 'no reason is given'}",
                evidence=json.dumps(evidence),
                expires_at=now + kit.policy.proposal_life,
            ),
            why=why,
            now=now,
        )
        unit.commit()
    return made


def check_down_mark(unit: UnitOfWork, proposal: Proposal, by: str) -> None:
    """Nothing, where a named person approves what was proposed and it is still the same.

    Raises:
        DomainError: It is nobody's name, or the objects have changed since.
    """
    if by.strip().casefold() in _NOBODY:
        raise DomainError(
            f"{proposal.id} loosens a marking: somebody must answer for it by name",
            hint=f"huntonce decide {proposal.id} approve --by YOUR-NAME",
        )
    evidence = json.loads(proposal.evidence)
    listed = set(evidence["objects"])
    held = [
        one
        for one in unit.publications.list(PublicationState.SKIPPED_TLP)
        if one.destination == proposal.target and one.object_id in listed
    ]
    newest = list({one.object_id: one for one in held}.values())
    if _digest(newest, Tlp(evidence["tlp"])) != proposal.subject_sha256:
        raise DomainError(
            f"{proposal.subject} has changed since {proposal.id} was made",
            hint="propose it again: huntonce intel down-mark",
        )


def _withheld(
    unit: UnitOfWork, kit: Kit, subject: str, destination: str, tlp: Tlp
) -> list[Publication]:
    held = {
        one.object_id: one
        for one in unit.publications.list(PublicationState.SKIPPED_TLP)
        if one.subject == subject and one.destination == destination
    }
    return [one for one in held.values() if one.tlp.rank > tlp.rank and _ours(one, kit)]


def _ours(publication: Publication, kit: Kit) -> bool:
    made_by = read_object(publication.body).get("created_by_ref")
    return made_by is None or made_by in kit.own_identities


def _digest(publications: Sequence[Publication], tlp: Tlp) -> str:
    return digest(tlp.value, sorted((one.object_id, digest(one.body)) for one in publications))
