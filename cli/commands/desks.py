"""``huntonce desks``: where tickets and cases go, and how they stand there."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import DONE, UNREACHABLE, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

app = typer.Typer(help="Where tickets and cases go.", invoke_without_command=True)


@app.callback()
def list_desks(
    context: typer.Context, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """List the desks of the settings, and which of them is used for what."""
    if context.invoked_subcommand:
        return
    with session(home, as_json=as_json) as (opened, output):
        settings = opened.settings
        used = {"tickets": settings.tickets.desk, "cases": settings.cases.desk}
        desks: list[dict[str, Any]] = [
            {
                "name": name,
                "kind": part.kind if part else "builtin",
                "url": part.url if part else "",
                "max_tlp": part.max_tlp.value if part else None,
                "used_for": [what for what, chosen in used.items() if chosen == name],
            }
            for name, part in [("builtin", None), *sorted(settings.desks.items())]
        ]

        def show(console: Console) -> None:
            rows = [
                (d["name"], d["kind"], ", ".join(d["used_for"]), d["max_tlp"] or "any", d["url"])
                for d in desks
            ]
            console.print(table(("name", "kind", "used for", "up to TLP", "address"), rows))
            if len(desks) == 1:
                console.print(Text("docs/guides/desks.md says how to add one", style="dim"))

        output.answer({"desks": desks}, show)


@app.command("check")
def check(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Ask the desks in use for a key that nothing has: address, token and rights to read."""
    from huntonce.models.errors import ConnectorError

    with session(home, as_json=as_json) as (opened, output):
        kit = opened.kit()
        found = []
        for what, desk in (("tickets", kit.tickets), ("cases", kit.cases)):
            error = hint = ""
            try:
                desk.find("check")
            except ConnectorError as fault:
                error, hint = str(fault), fault.hint
            found.append({"desk": desk.name, "used_for": what, "error": error, "hint": hint})

        def show(console: Console) -> None:
            for one in found:
                console.print(clean(f"{one['desk']} ({one['used_for']}): {one['error'] or 'fine'}"))
                if one["hint"]:
                    console.print(Text(f"  {clean(one['hint'])}", style="dim"))

        output.answer({"desks": found}, show)
        raise typer.Exit(UNREACHABLE if any(one["error"] for one in found) else DONE)


@app.command("sync")
def sync(
    send: Annotated[
        bool, typer.Option("--send/--no-send", help="Send what waits in the outbox first.")
    ] = True,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send what waits for the desks, and bring back status, assignees, comments and closures."""
    from huntonce.cli import views
    from huntonce.models.outbox import Channel
    from huntonce.models.stages.close import sync_desks
    from huntonce.models.stages.dispatch import dispatch
    from huntonce.models.stages.learn import plan_case

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit()
        sent = [dispatch(kit, one) for one in (Channel.TICKET, Channel.CASE) if send]
        failed = [pair for one in sent for pair in one.failed]
        followed = sync_desks(kit)
        planned = [p for c in followed.closed for p in plan_case(kit, c, opened.outlets())]

        def show(console: Console) -> None:
            for one in sent:
                for key in one.sent:
                    console.print(Text(clean(f"sent {key}")))
            for key, why in failed:
                console.print(Text(clean(f"not sent {key}: {why}"), style="red"))
            for case in followed.closed:
                console.print(Text(clean(f"{case.id} was closed there: {case.determination}")))
            rest = [one for one in followed.changed if one not in {c.id for c in followed.closed}]
            if rest:
                console.print(Text(f"stand otherwise there than before: {', '.join(rest)}"))
            for notice in followed.notices:
                console.print(Text(clean(notice), style="yellow"))
            for reason in followed.unreached:
                console.print(Text(clean(reason), style="red"))
            if not (any(o.sent for o in sent) or failed or followed.changed or followed.closed):
                console.print("Nothing new." if not followed.unreached else "Nothing else is new.")

        output.answer(
            {
                "sent": [key for one in sent for key in one.sent],
                "failed": [{"key": key, "why": why} for key, why in failed],
                "changed": list(followed.changed),
                "closed": [views.case(case) for case in followed.closed],
                "notices": list(followed.notices),
                "unreached": list(followed.unreached),
                "publications": [views.publication(p) for p in planned],
            },
            show,
        )
        raise typer.Exit(UNREACHABLE if followed.unreached or failed else DONE)
