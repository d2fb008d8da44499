"""The ``huntonce`` command."""

from typing import Annotated

import typer

from huntonce.cli.commands import (
    attack,
    demo,
    gaps,
    hunting,
    intel,
    ioc,
    lake,
    outcomes,
    programme,
    serving,
    sweep,
    visibility,
)

app = typer.Typer(
    name="huntonce",
    help="The active-cyber-defence loop: intel, hypotheses, evidence, hunts, three outcomes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("huntonce"))
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The active-cyber-defence loop: intel, hypotheses, evidence, hunts, three outcomes."""


app.command("demo")(demo.demo)
app.command("init")(programme.init)
app.add_typer(intel.app, name="intel")
app.add_typer(intel.taxii, name="taxii")
app.add_typer(attack.app, name="attack")
app.command("ioc")(ioc.ioc)
app.add_typer(lake.app, name="lake")
app.command("sweep")(sweep.sweep)
app.add_typer(hunting.hypotheses, name="hypotheses")
app.command("hunt")(hunting.hunt)
app.add_typer(hunting.hunts, name="hunts")
app.add_typer(gaps.gaps, name="gaps")
app.command("visibility")(visibility.visibility)
app.add_typer(outcomes.detections, name="detections")
app.add_typer(outcomes.cases, name="cases")
app.command("show")(outcomes.show)
app.command("proposals")(outcomes.proposals)
app.command("decide")(outcomes.decide)
app.command("report")(programme.report)
app.command("loop")(serving.loop)
app.command("serve")(serving.serve)


def run() -> None:
    """Entry point."""
    app()
