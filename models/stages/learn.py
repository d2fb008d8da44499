"""Learn: what IR concluded, and what hunts ruled out, becomes intel under the sharing rules."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.errors import DomainError
from huntonce.models.feedback import (
    OpinionIntel,
    RuledOutIntel,
    Stance,
    leaks,
    plan_publications,
    scoped,
    stix_time,
    versioned,
)
from huntonce.models.hunt import HuntRun, HuntState
from huntonce.models.hypothesis import Verdict
from huntonce.models.intel import IntelObject
from huntonce.models.proposal import Proposal, ProposalState
from huntonce.models.publication import HELD, Publication, PublicationState
from huntonce.models.stages.casefile import blind_words, case_intel, power_words, technique_refs
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.outlets import DOWN_MARK, Outlet, mask_for, newest_there, rules_for
from huntonce.models.stages.planned import keep, keep_approved
from huntonce.models.tlp import tightest

_WAITING = (
    PublicationState.PLANNED,
    PublicationState.APPROVED,
    PublicationState.FAILED,
    *sorted(HELD),
)


def plan_case(kit: Kit, case: Case, outlets: Sequence[Outlet]) -> tuple[Publication, ...]:
    """Write the intel of a closed case and plan it for every outlet; proposes or approves it.

    Planned again, the same case gives the same objects: nothing is doubled. What changed since is
    a new version; what did not leave yet is replaced.
    """
    return tuple(
        publication
        for outlet in outlets
        for publication in keep(kit, draft_case(kit, case, outlet), case.id, outlet.name)
    )


def draft_case(kit: Kit, case: Case, outlet: Outlet) -> tuple[Publication, ...]:
    """What of a closed case would leave to an outlet, and what would not. Stores nothing."""
    guard = leaks(kit.profile, hosts=case.hosts, accounts=case.accounts)
    mask = mask_for(kit, outlet, guard, case.hosts, case.accounts)
    with kit.open_unit() as unit:
        intel = case_intel(unit, kit, case, outlet.style)
        rules = rules_for(unit, kit, outlet, guard, intel.levels)
        before = newest_there(unit, outlet.name)
    bodies = scoped(kit.author_case(intel, mask), outlet.name)
    planned = plan_publications(bodies, rules, subject=case.id)
    return versioned(planned, before, kit.clock())


def plan_ruled_out(kit: Kit, run: HuntRun, outlets: Sequence[Outlet]) -> tuple[Publication, ...]:
    """Write what a hunt ruled out and plan it for every outlet; nothing where it saw too little."""
    return tuple(
        publication
        for outlet in outlets
        for publication in keep(kit, draft_ruled_out(kit, run, outlet), run.id, outlet.name)
    )


def draft_ruled_out(kit: Kit, run: HuntRun, outlet: Outlet) -> tuple[Publication, ...]:
    """What of a hunt that found nothing would leave to an outlet. Stores nothing."""
    with kit.open_unit() as unit:
        hypothesis = unit.hypotheses.by_key(run.hypothesis_key)
        if hypothesis is None:
            raise DomainError(f"the hypothesis of {run.id} is not in the store")
        (technique,) = technique_refs(unit, kit, (run.technique_id,), hypothesis)
        intel = RuledOutIntel(
            hypothesis=hypothesis,
            run=run,
            organisation=kit.profile.name,
            technique=technique,
            tlp=kit.policy.default_tlp,
            floor=kit.policy.power_floor,
            power=power_words(run.power) if run.power else "",
            blind=blind_words(unit, run),
            style=outlet.style,
        )
        hosts = run.power.blind if run.power else ()
        guard = leaks(kit.profile, hosts=hosts)
        rules = rules_for(unit, kit, outlet, guard, intel.levels)
        before = newest_there(unit, outlet.name)
    mask = mask_for(kit, outlet, guard, hosts, ())
    bodies = scoped(kit.author_ruled_out(intel, mask), outlet.name)
    return versioned(plan_publications(bodies, rules, subject=run.id), before, kit.clock())


def plan_opinion(
    kit: Kit, about: str, stance: Stance, why: str, outlets: Sequence[Outlet], *, by: str
) -> tuple[Publication, ...]:
    """A person's opinion on an object of others, approved by them: nobody else has opinions.

    Raises:
        DomainError: The object is not stored, or it is ours.
    """
    with kit.open_unit() as unit:
        held = unit.intel.get(about)
    if held is None:
        raise DomainError(f"{about} is not among the stored intel", hint="huntonce intel pull")
    if held.created_by in kit.own_identities:
        raise DomainError(f"{about} is ours", hint="change or retract it instead of judging it")
    kept: list[Publication] = []
    for outlet in outlets:
        guard = leaks(kit.profile)
        intel = OpinionIntel(
            about=about,
            stance=stance,
            why=why,
            organisation=kit.profile.name,
            tlp=tightest([held.tlp, kit.policy.default_tlp], held.tlp),
            at=kit.clock(),
        )
        bodies = kit.author_opinion(intel, mask_for(kit, outlet, guard, (), ()))
        with kit.open_unit() as unit:
            rules = rules_for(unit, kit, outlet, guard, {about: held.tlp})
            before = newest_there(unit, outlet.name)
        planned = plan_publications(scoped(bodies, outlet.name), rules, subject=f"opinion {about}")
        kept += keep_approved(kit, versioned(planned, before, kit.clock()), by=by)
    return tuple(kept)


def plan_objects(
    kit: Kit, objects: Sequence[IntelObject], outlets: Sequence[Outlet], *, subject: str
) -> tuple[Publication, ...]:
    """Plan the CTI team's own objects for every outlet, under the same rules. Stores nothing."""
    bodies = [item.body.decode() for item in objects]
    planned: list[Publication] = []
    for outlet in outlets:
        with kit.open_unit() as unit:
            levels = {held.id: held.tlp for held in unit.intel.latest()}
            rules = rules_for(unit, kit, outlet, leaks(kit.profile), levels)
            before = newest_there(unit, outlet.name)
        fresh = plan_publications(bodies, rules, subject=subject)
        planned += [_as_given(one, before.get(one.object_id)) for one in fresh]
    return tuple(planned)


def _as_given(fresh: Publication, held: Publication | None) -> Publication:
    """The team's versions are theirs: other content under a version that was sent is refused."""
    if held is None or held.version != fresh.version or held.body == fresh.body:
        return fresh
    if fresh.state in HELD or not fresh.version:
        return fresh
    why = f"modified: version {fresh.version} was sent with other content; give it a newer time"
    return replace(fresh, state=PublicationState.REJECTED_FIELD, why=why)


def drafts(kit: Kit, outlets: Sequence[Outlet]) -> tuple[Publication, ...]:
    """What closed cases and ruled-out hunts that were never planned would give. Stores nothing."""
    cases, runs = unplanned(kit, outlets)
    return tuple(
        one
        for outlet in outlets
        for made in (
            *(draft_case(kit, case, outlet) for case in cases),
            *(draft_ruled_out(kit, run, outlet) for run in runs),
        )
        for one in made
    )


def replan(kit: Kit, decided: Proposal, outlets: Sequence[Outlet]) -> tuple[Publication, ...]:
    """After a down-marking was approved: plan its subject anew under the marking."""
    if decided.change != DOWN_MARK or decided.state is not ProposalState.APPROVED:
        return ()
    with kit.open_unit() as unit:
        case, run = unit.cases.get(decided.subject), unit.hunts.get(decided.subject)
    to = [outlet for outlet in outlets if outlet.name == decided.target]
    if case is not None:
        return plan_case(kit, case, to)
    return plan_ruled_out(kit, run, to) if run is not None else ()


def unplanned(kit: Kit, outlets: Sequence[Outlet]) -> tuple[tuple[Case, ...], tuple[HuntRun, ...]]:
    """Closed cases, and hunts that ruled something out, that an outlet has no plan of yet.

    Also those whose plan was lost because a run was killed, and cases that IR has amended since.
    """
    with kit.open_unit() as unit:
        latest: dict[tuple[str, str], str] = {}
        for p in unit.publications.list():
            at = (p.subject, p.destination)
            latest[at] = max(latest.get(at, ""), p.version)
        cases = [c for c in unit.cases.list(CaseState.CLOSED) if _tells(c)]
        runs = [r for r in unit.hunts.list(HuntState.CONCLUDED) if _speaks(r, kit)]

    def stale(subject: str, since: datetime | None) -> bool:
        asked = stix_time(since) if since else ""
        return any(
            (subject, o.name) not in latest or latest[subject, o.name] < asked for o in outlets
        )

    return (
        tuple(c for c in cases if stale(c.id, c.amended_at)),
        tuple(r for r in runs if stale(r.id, None)),
    )


def _tells(case: Case) -> bool:
    return case.determination not in {None, Determination.FALSE_POSITIVE}


def _speaks(run: HuntRun, kit: Kit) -> bool:
    power = run.power.value if run.power else 0.0
    ruled_out = run.verdict is Verdict.RULED_OUT and power >= kit.policy.power_floor
    return ruled_out and bool(run.hypothesis_id)  # a sweep for indicators is about no behaviour


def waiting(kit: Kit) -> tuple[Publication, ...]:
    """Publications that were not sent yet, and why not."""
    with kit.open_unit() as unit:
        return unit.publications.list(*_WAITING)
