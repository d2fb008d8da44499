"""``huntonce explain``: where the chain from intel to outcome stands, and what would move it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from huntonce.cli.output import clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.models.report.explain import Explanation

SHOWN = 12
_LOOKS = {"done": "green", "in part": "yellow", "not yet": "dim", "stops here": "bold red"}


def explain(
    target: Annotated[
        str, typer.Argument(help="Technique, actor, H-1, CASE-1, D-1 or a rule's id.")
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """The chain from intel to outcome: where it stops and what would move it."""
    from huntonce.flows.explaining import explained

    with session(home, as_json=as_json) as (opened, output):
        title, found = explained(opened, target)

        def show(console: Console) -> None:
            console.print(Text(clean(title), style="bold"))
            if len(found) == 1:
                _chain(console, found[0])
            else:
                _several(console, found)

        output.answer({"target": title, "chains": [_document(one) for one in found]}, show)


def _chain(console: Console, one: "Explanation") -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for link in one.links:
        look = _LOOKS[link.stand.value]
        grid.add_row(
            Text(link.name, style="bold"),
            Text(link.stand.value, style=look),
            clean_text(link.words),
        )
    console.print(grid)
    console.print(clean_text(one.stops))
    if one.move:
        console.print(Text(f"-> {clean(one.move)}", style="bold"))
    if one.command:
        console.print(Text(f"   {clean(one.command)}"))


def clean_text(words: str) -> Text:
    """Words of data on a terminal, of a bounded length."""
    return Text(clean(words, 400))


def _several(console: Console, found: "tuple[Explanation, ...]") -> None:
    """One line each, and the chain of the one that stops first."""
    rows = [
        (
            one.about,
            one.technique_id,
            one.links[one.halt].name if one.halt < len(one.links) else "watched",
            clean(one.stops, 160),
        )
        for one in found[:SHOWN]
    ]
    console.print(table(("id", "technique", "stops at", "why"), rows))
    if len(found) > SHOWN:
        console.print(Text(f"and {len(found) - SHOWN} more (--json has all)", style="dim"))
    first = found[0]
    if first.move:
        console.print(Text(f"-> first: {clean(first.move)}", style="bold"))
        console.print(Text(f"   {clean(first.command)}"))
    console.print(Text("one of them: huntonce explain ID", style="dim"))


def _document(one: "Explanation") -> dict[str, Any]:
    return {
        "hypothesis": one.about or None,
        "technique": one.technique_id,
        "name": one.name,
        "chain": [
            {"link": link.name, "stands": link.stand.value, "words": link.words}
            for link in one.links
        ],
        "stops": one.stops,
        "move": one.move or None,
        "command": one.command or None,
    }
