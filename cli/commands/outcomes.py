"""``huntonce detections``, ``cases``, ``show``, ``proposals`` and ``decide``."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from huntonce.cli.output import clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session
from huntonce.models.case import Determination

if TYPE_CHECKING:
    from huntonce.flows.bootstrap import Home
    from huntonce.models.finding import EventRef

detections = typer.Typer(help="What stands guard.", invoke_without_command=True)
cases = typer.Typer(help="What went to incident response.", invoke_without_command=True)


@detections.callback()
def list_detections(
    context: typer.Context, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """List detections with their certificates and health."""
    if context.invoked_subcommand:
        return
    from huntonce.cli import views

    with session(home, as_json=as_json) as (opened, output):
        with opened.store.unit() as unit:
            stored = unit.detections.list()

        def show(console: Console) -> None:
            if not stored:
                console.print("No detections yet. A hunt that characterises a pattern makes them.")
                return
            rows = [
                (d.id, d.state.value, d.level, _health(d.healthy),
                 ", ".join(x.siem for x in d.deployments if x.observed == "enabled"),
                 ", ".join(d.technique_ids), d.title)
                for d in stored
            ]  # fmt: skip
            columns = ("id", "state", "level", "health", "runs on", "techniques", "title")
            console.print(table(columns, rows))

        output.answer({"detections": [views.detection(d) for d in stored]}, show)


def _health(healthy: bool | None) -> str:
    if healthy is None:
        return "unchecked"
    return "healthy" if healthy else "unhealthy"


@cases.callback()
def list_cases(
    context: typer.Context, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """List cases at the desk."""
    if context.invoked_subcommand:
        return
    from huntonce.cli import views

    with session(home, as_json=as_json) as (opened, output):
        with opened.store.unit() as unit:
            stored = unit.cases.list()

        def show(console: Console) -> None:
            if not stored:
                console.print("No cases. A hunt that finds evil opens one.")
                return
            rows = [
                (c.id, c.state.value, c.determination.value if c.determination else "", c.severity,
                 f"{len(c.hosts)} hosts", c.title)
                for c in stored
            ]  # fmt: skip
            console.print(
                table(("id", "state", "determination", "severity", "where", "title"), rows)
            )

        output.answer({"cases": [views.case(c) for c in stored]}, show)


@cases.command("close")
def close_case(
    case_id: Annotated[str, typer.Argument(help="CASE-1.")],
    determination: Annotated[Determination, typer.Option(help="What IR concluded.")],
    note: Annotated[str, typer.Option(help="What IR learned, in words.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Close a case at the built-in desk; what was learned becomes new intel."""
    from huntonce.cli import views
    from huntonce.models.stages.close import close, sync_cases
    from huntonce.models.stages.learn import plan_case

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit()
        close(kit, case_id.upper(), determination, note)
        closed = sync_cases(kit)
        planned = [p for c in closed for p in plan_case(kit, c, opened.outlets())]
        with opened.store.unit() as unit:
            case = unit.cases.get(case_id.upper())

        def show(console: Console) -> None:
            console.print(f"{case_id.upper()} closed: {determination.value}")
            states = sorted({p.state.value for p in planned})
            for state in states:
                count = sum(p.state.value == state for p in planned)
                console.print(f"  {count} objects {state.replace('_', ' ')}")
            if planned:
                console.print("  send with: huntonce intel publish (huntonce proposals lists them)")

        document = views.case(case) if case else {"id": case_id.upper()}
        output.answer({**document, "publications": [views.publication(p) for p in planned]}, show)


def show(
    item: Annotated[str, typer.Argument(help="F-1, GAP-1, D-1, CASE-1, H-1 or HUNT-1.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """One finding, gap, detection, case, hypothesis or hunt, with its events and queries."""
    from huntonce.cli.showing import describe

    with session(home, as_json=as_json) as (opened, output):
        document, rule, refs = describe(opened, item.upper())

        def print_it(console: Console) -> None:
            _print_document(console, document)
            if rule:
                console.print(Syntax(clean(rule), "yaml", background_color="default"))
            if refs:
                _print_events(console, opened, refs)

        output.answer(document, print_it)


def _print_document(console: Console, document: dict[str, object]) -> None:
    for name, value in document.items():
        if name in {"events", "rule", "originals"}:
            continue
        console.print(Text.assemble((f"{name:<16}", "bold"), _value(value)))


def _value(value: object) -> str:
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return clean(", ".join(value), 2000)
        return "".join(f"\n  {_value(item)}" for item in value)
    if isinstance(value, dict):
        return clean(", ".join(f"{key}: {_value(item)}" for key, item in value.items()))
    return clean(value if value is not None else "")


def _print_events(console: Console, _opened: "Home", refs: "tuple[EventRef, ...]") -> None:
    rows = [
        (
            r.time,
            r.host,
            r.channel.removeprefix("Microsoft-Windows-"),
            r.event_id,
            r.record_id,
            r.role,
        )
        for r in refs
    ]
    console.print(table(("time (UTC)", "host", "channel", "event", "record", "shows"), rows))
    console.print(Text("the original events: --json", style="dim"))


def proposals(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Changes that wait for a person."""
    with session(home, as_json=as_json) as (opened, output):
        with opened.store.unit() as unit:
            stored = unit.proposals.list()

        def show_them(console: Console) -> None:
            if not stored:
                console.print("Nothing waits for a decision.")
                return
            rows = [
                (
                    p.id,
                    p.state.value,
                    p.change,
                    p.subject,
                    p.target,
                    f"{p.expires_at:%Y-%m-%d}",
                    p.summary,
                )
                for p in stored
            ]
            columns = ("id", "state", "change", "subject", "to", "expires", "summary")
            console.print(table(columns, rows))
            console.print(Text("decide with: huntonce decide ID approve|reject", style="dim"))

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
                        "expires_at": p.expires_at.isoformat(),
                        "decided_by": p.decided_by,
                    }
                    for p in stored
                ]
            },
            show_them,
        )


def decide(
    proposal_id: Annotated[str, typer.Argument(help="P-1.")],
    decision: Annotated[str, typer.Argument(help="approve or reject.")],
    by: Annotated[str, typer.Option("--by", help="Who decides.")] = "operator",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Approve or reject a proposal; what was approved is sent."""
    from huntonce.models.stages.approve import decide as decide_proposal
    from huntonce.models.stages.dispatch import dispatch

    if decision not in {"approve", "reject"}:
        raise typer.BadParameter("say approve or reject", param_hint="decision")
    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit()
        made = decide_proposal(kit, proposal_id.upper(), approve=decision == "approve", by=by)
        dispatch(kit)
        output.answer(
            {"id": made.id, "state": made.state.value, "decided_by": made.decided_by},
            lambda console: console.print(f"{made.id} {made.state.value}: {clean(made.summary)}"),
        )
