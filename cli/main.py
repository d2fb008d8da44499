"""The ``huntonce`` command."""

from typing import Annotated

import typer

from huntonce.cli.commands import (
    alerts,
    approvals,
    attack,
    care,
    demo,
    desks,
    detections,
    evidence,
    explain,
    gaps,
    hunting,
    intel,
    ioc,
    lake,
    outcomes,
    pack,
    programme,
    rollback,
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
app.command("evidence")(evidence.evidence)
app.command("ioc")(ioc.ioc)
app.add_typer(lake.app, name="lake")
app.command("sweep")(sweep.sweep)
app.add_typer(hunting.hypotheses, name="hypotheses")
app.command("hunt")(hunting.hunt)
app.add_typer(hunting.hunts, name="hunts")
app.add_typer(gaps.gaps, name="gaps")
app.command("visibility")(visibility.visibility)
detections.app.command("alerts")(alerts.alerts)
detections.app.command("judge")(alerts.judge)
detections.app.command("rollback")(rollback.rollback)
app.add_typer(detections.app, name="detections")
app.add_typer(outcomes.cases, name="cases")
app.add_typer(desks.app, name="desks")
app.command("show")(outcomes.show)
app.command("proposals")(approvals.proposals)
app.command("decide")(approvals.decide)
app.command("explain")(explain.explain)
app.command("pack")(pack.pack)
app.command("report")(programme.report)
app.command("metrics")(programme.metrics)
app.command("doctor")(care.doctor)
app.command("backup")(care.backup)
app.command("restore")(care.restore)
app.command("loop")(serving.loop)
app.command("serve")(serving.serve)
app.command("register")(serving.register)


def run() -> None:
    """Entry point."""
    app()
