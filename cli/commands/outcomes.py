"""``huntonce cases`` and ``show``."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session
from huntonce.models.case import Determination

if TYPE_CHECKING:
    from huntonce.cli.output import Output
    from huntonce.flows.bootstrap import Home
    from huntonce.models.finding import EventRef
    from huntonce.models.publication import Publication

cases = typer.Typer(help="What went to incident response.", invoke_without_command=True)


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


MalwareOption = Annotated[
    list[str] | None, typer.Option("--malware", help="Malware that IR found; may be repeated.")
]
ToolOption = Annotated[
    list[str] | None, typer.Option("--tool", help="Tool that was used; may be repeated.")
]
CampaignOption = Annotated[
    list[str] | None, typer.Option("--campaign", help="Campaign that it is part of.")
]
ActorOption = Annotated[
    list[str] | None, typer.Option("--actor", help="Who did it, where IR concluded that.")
]


@cases.command("close")
def close_case(  # noqa: PLR0913, PLR0917 - one for each option
    case_id: Annotated[str, typer.Argument(help="CASE-1.")],
    determination: Annotated[Determination, typer.Option(help="What IR concluded.")],
    note: Annotated[str, typer.Option(help="What IR learned, in words.")] = "",
    malware: MalwareOption = None,
    tool: ToolOption = None,
    campaign: CampaignOption = None,
    actor: ActorOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Close a case at the built-in desk; what was learned becomes new intel."""
    from huntonce.flows.signals import signal
    from huntonce.models.case import Stated
    from huntonce.models.stages.close import close, sync_cases
    from huntonce.models.stages.learn import plan_case

    stated = Stated(
        malware=tuple(malware or ()),
        tools=tuple(tool or ()),
        campaigns=tuple(campaign or ()),
        actors=tuple(actor or ()),
    )
    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit()
        close(kit, case_id.upper(), determination, note, stated)
        closed = sync_cases(kit)
        planned = [p for c in closed for p in plan_case(kit, c, opened.outlets())]
        signal(opened, "case.closed", case_id.upper(), determination=determination.value)
        _answer_case(opened, output, case_id.upper(), f"closed: {determination.value}", planned)


@cases.command("amend")
def amend_case(
    case_id: Annotated[str, typer.Argument(help="CASE-1.")],
    note: Annotated[str | None, typer.Option(help="What IR learned, in words.")] = None,
    malware: MalwareOption = None,
    tool: ToolOption = None,
    campaign: CampaignOption = None,
    actor: ActorOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Change what IR said of a closed case; what is not given stays, "" alone takes it away."""
    from huntonce.models.case import Stated
    from huntonce.models.stages.close import amend
    from huntonce.models.stages.learn import plan_case

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit()
        with opened.store.unit() as unit:
            case = unit.cases.get(case_id.upper())
        before = case.stated if case else Stated()
        stated = Stated(
            malware=_given(malware, before.malware),
            tools=_given(tool, before.tools),
            campaigns=_given(campaign, before.campaigns),
            actors=_given(actor, before.actors),
        )
        amended = amend(kit, case_id.upper(), stated, note)
        planned = list(plan_case(kit, amended, opened.outlets()))
        _answer_case(opened, output, amended.id, "amended", planned)


def _given(names: list[str] | None, before: tuple[str, ...]) -> tuple[str, ...]:
    return before if names is None else tuple(name for name in names if name.strip())


def _answer_case(
    opened: "Home", output: "Output", case_id: str, what: str, planned: "list[Publication]"
) -> None:
    from huntonce.cli import views

    with opened.store.unit() as unit:
        case = unit.cases.get(case_id)

    def show(console: Console) -> None:
        console.print(f"{case_id} {what}")
        states = sorted({p.state.value for p in planned})
        for state in states:
            count = sum(p.state.value == state for p in planned)
            console.print(f"  {count} objects {state.replace('_', ' ')}")
        if planned:
            console.print("  see:  huntonce intel publish --dry-run")
            console.print("  send: huntonce intel publish (huntonce proposals lists what waits)")

    document = views.case(case) if case else {"id": case_id}
    output.answer({**document, "publications": [views.publication(p) for p in planned]}, show)


def show(
    item: Annotated[str, typer.Argument(help="F-1, GAP-1, D-1, CASE-1, H-1 or HUNT-1.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """One finding, gap, detection, case, hypothesis or hunt, with its events and queries."""
    from huntonce.cli.guardviews import show_rule
    from huntonce.cli.showing import describe

    with session(home, as_json=as_json) as (opened, output):
        document, rule, refs = describe(opened, item.upper())

        def print_it(console: Console) -> None:
            _print_document(console, document)
            if rule:
                show_rule(console, rule)
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
