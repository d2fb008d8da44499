"""``huntonce proposals`` and ``decide``: changes that wait for a person."""

import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import cell, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.models.policy import Policy
    from huntonce.models.proposal import Proposal

TOKEN = "HUNTONCE_APPROVER_TOKEN"  # noqa: S105 - the name of a variable


def proposals(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Changes that wait for a person."""
    with session(home, as_json=as_json) as (opened, output):
        from huntonce.flows.meaning import policy_of

        policy = policy_of(opened.settings)
        now = opened.clock()
        with opened.store.unit() as unit:
            stored = unit.proposals.list()

        def show_them(console: Console) -> None:
            if not stored:
                console.print("Nothing waits for a decision.")
                return
            rows = [
                (
                    p.id,
                    cell("lapsed" if p.waits and p.expires_at <= now else p.state.value),
                    p.change,
                    p.subject,
                    p.target,
                    f"{p.expires_at:%m-%d %H:%M}",
                    _people(p, policy),
                    p.summary,
                )
                for p in stored
            ]
            columns = ("id", "state", "change", "subject", "to", "until (UTC)", "by", "summary")
            console.print(table(columns, rows))
            console.print(Text("decide with: huntonce decide ID approve|reject", style="dim"))
            if not policy.approvers:
                console.print(
                    Text(
                        "No approvers are set up: whoever reaches this home decides, and the name "
                        "is taken on trust ([approvers] in huntonce.toml changes that).",
                        style="dim",
                    )
                )

        output.answer(
            {
                "proposals": [
                    {
                        "id": p.id,
                        "state": p.state.value,
                        "change": p.change,
                        "subject": p.subject,
                        "target": p.target,
                        "summary": p.summary,
                        "subject_sha256": p.subject_sha256,
                        "expires_at": p.expires_at.isoformat(),
                        "approvals": list(p.approvals),
                        "people": policy.rule(p.change).people,
                        "decided_by": p.decided_by,
                    }
                    for p in stored
                ]
            },
            show_them,
        )


def _people(proposal: "Proposal", policy: "Policy") -> str:
    if not proposal.waits:
        return proposal.decided_by
    needed = policy.rule(proposal.change).people
    return f"{len(proposal.approvals)} of {needed}" if needed > 1 else ""


def decide(
    proposal_id: Annotated[str, typer.Argument(help="P-1.")],
    decision: Annotated[str, typer.Argument(help="approve or reject.")],
    by: Annotated[str, typer.Option("--by", help="Who decides.")] = "operator",
    code_only: Annotated[
        bool, typer.Option("--code-only", help="Print the code for the form; decide nothing.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Approve or reject a proposal; what was approved is sent.

    Where approvers are set up, their token is read from HUNTONCE_APPROVER_TOKEN or asked for.
    """
    from huntonce.models.approval import code_for
    from huntonce.models.errors import DomainError
    from huntonce.models.stages.approve import decide as decide_proposal
    from huntonce.models.stages.dispatch import dispatch
    from huntonce.models.stages.learn import replan

    if decision not in {"approve", "reject"}:
        raise typer.BadParameter("say approve or reject", param_hint="decision")
    with session(home, as_json=as_json, writes=not code_only) as (opened, output):
        from huntonce.flows.meaning import policy_of

        code = ""
        if policy_of(opened.settings).approvers or code_only:
            with opened.store.unit() as unit:
                proposal = unit.proposals.get(proposal_id.upper())
            if proposal is None:
                raise DomainError(
                    f"no proposal {proposal_id}", hint="huntonce proposals lists them"
                )
            token = os.environ.get(TOKEN) or typer.prompt(
                f"Token of {by}", hide_input=True, err=True
            )
            code = code_for(token, proposal, decision)
        if code_only:
            output.answer({"code": code}, lambda console: console.print(code))
            return
        kit = opened.kit()
        made = decide_proposal(
            kit, proposal_id.upper(), approve=decision == "approve", by=by, code=code
        )
        replan(kit, made, opened.outlets())
        dispatch(kit)
        more = "" if not made.waits else "; another person has to approve it too"
        output.answer(
            {
                "id": made.id,
                "state": made.state.value,
                "decided_by": made.decided_by,
                "approvals": list(made.approvals),
            },
            lambda console: console.print(
                f"{made.id} {made.state.value}: {clean(made.summary)}{more}"
            ),
        )
