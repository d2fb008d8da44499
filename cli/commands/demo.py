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
IN_FULL = "T1053.005"
"""The hunt that the demo is about; the others are told in brief."""
READ_ON = {
    "huntonce show F-1": "the events of a finding, and each term of its score",
    "huntonce gaps": "what could not be seen, and what mends it",
    "huntonce explain T1021.002": "why nothing is known of a technique",
    "huntonce show HUNT-2": "a hunt with its queries, as they were sent",
    "huntonce metrics": "every number, and what it was counted from",
}
FullOption = Annotated[bool, typer.Option("--full", help="Tell every hunt in full.")]


def demo(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    hosts: Annotated[int, typer.Option(help="Hosts of the made-up company.", min=20)] = 240,
    days: Annotated[int, typer.Option(help="Days of its logs.", min=2)] = 14,
    seed: Annotated[int, typer.Option(help="Another seed, another company.")] = 7,
    full: FullOption = False,
) -> None:
    """Turn the whole loop twice on a made-up company: no account, no network."""
    from huntonce.flows.demo import run_demo
    from huntonce.models.lab.company import LabSpec

    output = Output(as_json=as_json)
    console = output.errors if as_json else output.console
    teller = Teller(console, full=full, in_full=IN_FULL)
    teller.title(f"Huntonce demo: one made-up company, {hosts} hosts, {days} days of Windows logs.")
    try:
        numbers = run_demo(home, teller, spec=LabSpec(seed=seed, hosts=hosts, days=days))
    except HuntonceError as error:
        output.problem(str(error), error.hint)
        raise typer.Exit(exit_code(error)) from None
    output.answer(numbers, lambda console: _summary(console, numbers, home))


class Teller:
    """Prints the story of a run, numbering its stages.

    What has a brief form is printed so, but for all that is about ``in_full`` (a technique), or
    with ``full`` everything.
    """

    def __init__(self, console: Console, *, full: bool = False, in_full: str = "") -> None:
        self._console = console
        self._full = full
        self._in_full = in_full
        self._number = 0
        self._stage = ""

    def title(self, text: str) -> None:
        """The line above the story."""
        self._console.print(Text(text, style="bold"))

    def __call__(self, told: "Told") -> None:
        """One step, as it happens."""
        lines = self._lines(told)
        if not lines:
            return
        head = " " * MARGIN
        if told.stage != self._stage:
            self._stage = told.stage
            self._number += 1
            head = f"\n{self._number:>2}  {told.stage:<12}"
        for index, line in enumerate(lines):
            self._print(head if index == 0 else " " * MARGIN, line)

    def _lines(self, told: "Told") -> tuple[str, ...]:
        in_full = self._full or (told.about and told.about == self._in_full)
        return told.lines if told.brief is None or in_full else told.brief

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
    console.print(Text(f"\nThe report  {numbers['report']}"), soft_wrap=True)
    there = "" if home == DEFAULT_HOME else f" (each with --home {home})"
    console.print(Text(f"More of it{there}:"), soft_wrap=True)
    for command, what in READ_ON.items():
        console.print(Text.assemble("  ", (f"{command:<28}", "bold"), what))
    console.print(Text("Your own    huntonce init --home my-home, then docs/guides/hunter.md"))
    console.print(f"{numbers['seconds']:.0f} s")
