"""``huntonce detections rollback``: former content back, everywhere it is deployed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.commands.detections import NameArgument
from huntonce.cli.output import DONE, FAILED, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.models.stages.kit import Kit


def rollback(
    name: NameArgument,
    to: Annotated[
        int | None, typer.Option("--to", metavar="VERSION", help="Not the former: this one.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the log.")] = "",
    listed: Annotated[
        bool, typer.Option("--list", help="Show the versions, and change nothing.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Bring a detection's former content back, with its proof, wherever it is deployed.

    A rule that operators switched off at a SIEM stays off.
    """
    from huntonce.models.outbox import Channel
    from huntonce.models.stages.dispatch import dispatch
    from huntonce.models.stages.rollback import roll_back

    with session(home, as_json=as_json, writes=not listed) as (opened, output):
        kit = opened.kit()
        if listed:
            rows = _rows(kit, name)
            output.answer({"versions": rows}, lambda console: _show(console, rows))
            return
        made = roll_back(kit, name, to=to, reason=reason)
        failed = [why for _, why in dispatch(kit, Channel.DETECTION).failed]
        waits = _waiting(kit, made.detection.id)
        document = {
            "id": made.detection.id,
            "rule_id": made.detection.rule_id,
            "version": made.number,
            "finished": made.finished,
            "state": made.detection.state.value,
            "proposals": waits,
            "failed": failed,
        }

        def show_it(console: Console) -> None:
            did = "goes on to" if made.finished else "is back at"
            console.print(f"{made.detection.id} {did} version {made.number}")
            for proposal in waits:
                console.print(f"waits for a decision: huntonce decide {proposal} approve")
            for why in failed:
                console.print(Text(clean(why), style="yellow"))

        output.answer(document, show_it)
        raise typer.Exit(FAILED if failed else DONE)


def _waiting(kit: "Kit", detection_id: str) -> list[str]:
    from huntonce.models.proposal import WAITING

    with kit.open_unit() as unit:
        waiting = unit.proposals.list(*WAITING)
    return [p.id for p in waiting if p.subject == detection_id and p.change == "deploy"]


def _rows(kit: "Kit", name: str) -> list[dict[str, Any]]:
    from huntonce.models.stages.certify import find
    from huntonce.models.stages.rollback import history_of

    with kit.open_unit() as unit:
        told = history_of(unit, kit, find(unit, name))
    return [
        {
            "version": version.number,
            "is": {told.current: "current", told.former: "former"}.get(version.number, ""),
            "sent": version.sent_at,
            "sha256": version.content[0],
            "filters": len(version.payload.get("filters") or ()),
            "title": str(version.payload.get("title", "")),
        }
        for version in told.versions
    ]


def _show(console: Console, rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.print("Nothing of it has been sent to the store of rules yet.")
        return
    shown = [
        (row["version"], row["is"], f"{row['sent']:%Y-%m-%d %H:%M}" if row["sent"] else "",
         row["sha256"][:12], row["filters"], row["title"])
        for row in rows
    ]  # fmt: skip
    console.print(table(("version", "is", "last sent", "content", "filters", "title"), shown))
