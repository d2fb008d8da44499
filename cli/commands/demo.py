"""``huntonce demo``: the whole loop on an embedded company, told as it happens."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import Output, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, exit_code
from huntonce.models.errors import HuntonceError

if TYPE_CHECKING:
    from huntonce.flows.story import Told


MARGIN = 16


def demo(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    hosts: Annotated[int, typer.Option(help="Hosts of the made-up company.", min=20)] = 240,
    days: Annotated[int, typer.Option(help="Days of its logs.", min=2)] = 14,
    seed: Annotated[int, typer.Option(help="Another seed, another company.")] = 7,
) -> None:
    """Turn the whole loop twice on a made-up company: no account, no network."""
    from huntonce.flows.demo import run_demo
    from huntonce.models.lab.company import LabSpec

    output = Output(as_json=as_json)
    teller = Teller(output.errors if as_json else output.console)
    teller.title(f"Huntonce demo: one made-up company, {hosts} hosts, {days} days of Windows logs.")
    try:
        numbers = run_demo(home, teller, spec=LabSpec(seed=seed, hosts=hosts, days=days))
    except HuntonceError as error:
        output.problem(str(error), error.hint)
        raise typer.Exit(exit_code(error)) from None
    output.answer(numbers, lambda console: _summary(console, numbers, home))


class Teller:
    """Prints the story of a run, numbering its stages."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._number = 0
        self._stage = ""

    def title(self, text: str) -> None:
        """The line above the story."""
        self._console.print(Text(text, style="bold"))

    def __call__(self, told: "Told") -> None:
        """One step, as it happens."""
        head = " " * MARGIN
        if told.stage != self._stage:
            self._stage = told.stage
            self._number += 1
            head = f"\n{self._number:>2}  {told.stage:<12}"
        for index, line in enumerate(told.lines):
            self._print(head if index == 0 else " " * MARGIN, line)

    def _print(self, lead: str, line: str) -> None:
        """A line, its wrapped rest indented below it."""
        deep = len(line) - len(line.lstrip()) + 2
        width = max(40, self._console.width - MARGIN - deep)
        wrapped = Text(clean(line.strip())).wrap(self._console, width)
        for index, part in enumerate(wrapped):
            indent = " " * (deep - 2) if index == 0 else " " * (MARGIN + deep)
            self._console.print(Text(lead if index == 0 else "", style="bold cyan") + indent + part)


def _summary(console: Console, numbers: dict[str, Any], home: Path) -> None:
    closed = f"{numbers['gaps_closed']} closed by evidence (simulated fix)"
    back = f"{numbers['published']} objects published, {numbers['pulled_back']} pulled back"
    console.print()
    console.print(
        table(
            ("outcome", "number", "of which"),
            [
                ("gaps", numbers["gaps"], closed),
                ("detections", numbers["detections"], "certified, running on the lake"),
                ("IR cases", numbers["cases"], f"closed as confirmed; {back}"),
            ],
        )
    )
    option = "" if home == DEFAULT_HOME else f" --home {home}"
    console.print(Text(f"\nReport   {numbers['report']}"), soft_wrap=True)
    console.print(
        Text(f"Look on  huntonce gaps{option} | huntonce show F-1{option}"), soft_wrap=True
    )
    console.print(Text("Your own huntonce init --home my-home, then docs/guides/hunter.md"))
    console.print(f"{numbers['seconds']:.0f} s")
