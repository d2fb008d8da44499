"""Flows around decisions: closed cases become intel, proposals are decided, intel leaves."""

from typing import Annotated, Any, Literal

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from huntonce.flows.events import announce
from huntonce.flows.forms import HomePath, titled
from huntonce.flows.open import only_transient, opaque, open_home
from huntonce.flows.pages import Note, told_as_page
from huntonce.flows.story import tell
from huntonce.flows.waiting import show_waiting
from huntonce.models.case import Case, Determination
from huntonce.models.errors import DomainError
from huntonce.models.hunt import HuntRun
from huntonce.models.publication import HELD, Publication, PublicationState
from huntonce.models.report.words import count
from huntonce.models.stages.approve import decide
from huntonce.models.stages.close import close, sync_desks
from huntonce.models.stages.dispatch import Dispatched, dispatch
from huntonce.models.stages.follow import Followed
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.learn import plan_case, plan_ruled_out, replan, unplanned
from huntonce.models.stages.outlets import Outlet
from huntonce.models.stages.sending import send_publications


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=only_transient)
def follow_desks(kit: Kit) -> Followed:
    """How tickets and cases stand at their desks, and what was closed since the last look."""
    return sync_desks(kit)


@task(cache_policy=NO_CACHE)
def write_intel(
    kit: Kit, subject: Case | HuntRun, outlets: tuple[Outlet, ...]
) -> tuple[Publication, ...]:
    """The STIX of a closed case, or of what a hunt ruled out, planned under the sharing rules.

    The same subject gives the same STIX.
    """
    if isinstance(subject, Case):
        return plan_case(kit, subject, outlets)
    return plan_ruled_out(kit, subject, outlets)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=only_transient)
def send(kit: Kit, outlets: tuple[Outlet, ...]) -> tuple[Publication, ...]:
    """Send what is approved; what was sent before a failure is known by its version."""
    return send_publications(kit, outlets)


def learn(kit: Kit, outlets: tuple[Outlet, ...]) -> tuple[Case, ...]:
    """Closed cases, and what hunts ruled out, become planned intel; also what a kill left over."""
    followed = follow_desks(opaque(kit))
    closed = followed.closed
    if followed.notices or followed.unreached:
        tell("Desks", *followed.unreached, *followed.notices, unreached=len(followed.unreached))
    for case in closed:
        announce("case.closed", case.id, determination=str(case.determination))
    cases, runs = unplanned(kit, outlets)
    subjects: list[Case | HuntRun] = [*cases, *runs]
    for subject in subjects:
        planned = write_intel(opaque(kit), opaque(subject), opaque(outlets))
        held = [p for p in planned if p.state in HELD]
        if isinstance(subject, Case):
            what = f"{subject.id} closed as {subject.determination}"
        else:
            what = f"{subject.id} ruled {subject.technique_id} out"
        tell(
            "Feedback",
            f"{what}: {len(planned) - len(held)} objects may leave, {len(held)} withheld",
            *[f"withheld from {p.destination}: {p.object_type} {p.why}" for p in held[:5]],
            planned=len(planned) - len(held),
            withheld=len(held),
            **({"case": subject.id} if isinstance(subject, Case) else {"hunt": subject.id}),
        )
    return closed


def publish(kit: Kit, outlets: tuple[Outlet, ...]) -> tuple[Publication, ...]:
    """Send what is approved, and tell of it."""
    ended = send(opaque(kit), opaque(outlets))
    if ended:
        kinds: dict[str, int] = {}
        for publication in ended:
            kinds[publication.object_type] = kinds.get(publication.object_type, 0) + 1
        states = sorted({p.state.value for p in ended})
        counts = ", ".join(f"{sum(p.state == s for p in ended)} {s}" for s in states)
        content = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        sent = [p for p in ended if p.state is PublicationState.SENT]
        tell(
            "Feedback",
            f"{', '.join(sorted({p.destination for p in ended}))}: {counts} ({content})",
            *[f"failed: {p.object_id}: {p.why}" for p in ended if p.state == "failed"],
            published=len(sent),
        )
        announce("intel.published", ended[0].destination, sent=len(sent))
    return ended


def note_sent(note: Note, sent: Dispatched) -> None:
    """What left for desks and stores of rules, and what could not."""
    lines = [f"{count(len(sent.sent), 'message')} sent"] if sent.sent else []
    lines += [f"could not be sent: {key}: {why}" for key, why in sent.failed]
    if lines:
        note("Sent", *lines)


@flow(name="close-the-loop")
def close_the_loop(
    case: Annotated[str, Field(max_length=40), titled("Case")] = "",
    determination: Annotated[Determination | None, titled("Determination")] = None,
    note: Annotated[str, Field(max_length=20_000), titled("Note")] = "",
    home: HomePath = "",
) -> dict[str, Any]:
    """Send what waits, take over how tickets and cases stand, plan what they and hunts taught us.

    Runs by itself when a hunt has concluded; by hand it also closes a case of the built-in desk.

    Args:
        case: A case to close at the built-in desk (CASE-1); empty: none.
        determination: What IR concluded; with a case it must be chosen, else it stays None.
        note: What IR learned, in words; goes with a case.
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    if bool(case) != (determination is not None):
        raise DomainError("a case and a determination belong together", hint="give both or none")
    with open_home(home) as opened, told_as_page("close-the-loop", "The loop closed") as tell_page:
        kit = opened.kit()
        if determination is not None:
            close(kit, case.upper(), determination, note)
            tell_page("Case", f"{case.upper()} closed as {determination.value}")
        sent = dispatch(kit)
        note_sent(tell_page, sent)
        closed = learn(kit, opened.outlets())
        show_waiting(kit)
    return {"sent": len(sent.sent), "closed": [case.id for case in closed]}


@flow(name="publish-intel")
def publish_intel(home: HomePath = "") -> dict[str, Any]:
    """Send approved publications to their TAXII collections.

    Args:
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    with open_home(home) as opened, told_as_page("publish-intel", "Intel sent"):
        ended = publish(opened.kit(), opened.outlets())
    return {
        state.value: sum(p.state is state for p in ended)
        for state in PublicationState
        if any(p.state is state for p in ended)
    }


@flow(name="decide-proposal")
def decide_proposal(
    proposal: Annotated[str, Field(min_length=1, max_length=40), titled("Proposal")],
    decision: Annotated[Literal["approve", "reject"], titled("Decision")],
    decided_by: Annotated[str, Field(min_length=1, max_length=100), titled("Decided by")],
    code: Annotated[str, Field(max_length=64), titled("Code")] = "",
    home: HomePath = "",
) -> dict[str, Any]:
    """Approve or reject a change that waits for a person; what was approved is sent.

    Prefect without its paid edition knows no users: unless approvers are set up, the name is
    taken on trust.

    Args:
        proposal: Id of the proposal, for example P-1 (the page "proposals" lists them).
        decision: What you decide.
        decided_by: Your name; where approvers are set up, the one that you have there.
        code: Where approvers are set up, your code for this decision, made with: huntonce decide
            P-1 approve --by NAME --code-only. Never your token: everybody can read this form.
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    with open_home(home) as opened, told_as_page("decide-proposal", "A decision") as note:
        kit = opened.kit()
        made = decide(
            kit, proposal.strip().upper(), approve=decision == "approve", by=decided_by, code=code
        )
        note(
            "Decision",
            f"{made.id} is {made.state.value}: {made.summary}",
            f"decided by {', '.join(made.approvals) or decided_by}",
        )
        replan(kit, made, opened.outlets())
        note_sent(note, dispatch(kit))
        publish(kit, opened.outlets())
        show_waiting(kit)
    return {
        "id": made.id,
        "state": made.state.value,
        "decided_by": made.decided_by,
        "approvals": list(made.approvals),
    }
