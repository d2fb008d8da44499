"""Outlets: where our intel goes, under which rules and pseudonyms, and what is there already."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from huntonce.models.feedback import Leaks, Mask, SharingRules, Style
from huntonce.models.keeping import UnitOfWork
from huntonce.models.ports import IntelDestination
from huntonce.models.proposal import ProposalState
from huntonce.models.publication import MAY_BE_THERE, Publication, PublicationState
from huntonce.models.stages.kit import Kit
from huntonce.models.tlp import Tlp

DOWN_MARK = "down-mark"
"""Kind of the proposals that loosen a marking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """A destination with the most closed marking that may go there, and the form it wants."""

    destination: IntelDestination
    max_tlp: Tlp
    style: Style = field(default_factory=Style)

    @property
    def name(self) -> str:
        """Registered name of the destination."""
        return self.destination.name


def mask_for(
    kit: Kit, outlet: Outlet, guard: Leaks, hosts: Iterable[str], accounts: Iterable[str]
) -> Mask:
    """Pseudonyms under the destination's own key."""
    key = kit.mask_key(outlet.name)
    return Mask(key=key, hosts=tuple(hosts), accounts=tuple(accounts), leaks=guard)


def rules_for(
    unit: UnitOfWork, kit: Kit, outlet: Outlet, guard: Leaks, levels: Mapping[str, Tlp]
) -> SharingRules:
    """The sharing rules of a destination as they stand, approved down-markings included."""
    return SharingRules(
        destination=outlet.name,
        max_tlp=outlet.max_tlp,
        leaks=guard,
        levels=levels,
        default_tlp=kit.policy.default_tlp,
        own_name=kit.profile.name,
        own_identities=kit.own_identities,
        grants=grants(unit, outlet.name),
    )


def grants(unit: UnitOfWork, destination: str) -> dict[str, Tlp]:
    """Markings that people approved for objects of ours at a destination, by object id."""
    found: dict[str, Tlp] = {}
    for proposal in unit.proposals.list(ProposalState.APPROVED):
        if proposal.change == DOWN_MARK and proposal.target == destination:
            evidence = json.loads(proposal.evidence)
            found |= dict.fromkeys(evidence["objects"], Tlp(evidence["tlp"]))
    return found


def newest_there(unit: UnitOfWork, destination: str) -> dict[str, Publication]:
    """The newest version of each object that a destination has, may have, or lost by retraction."""
    found: dict[str, Publication] = {}
    states = (*MAY_BE_THERE, PublicationState.RETRACTED)
    for publication in unit.publications.list(*states):
        if publication.destination == destination:
            held = found.get(publication.object_id)
            if held is None or publication.version >= held.version:
                found[publication.object_id] = publication
    return found
