"""``huntonce lake``: telemetry into the embedded SIEM, and what it holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from huntonce.cli.output import DONE, SET_ASIDE, Output, set_aside_rows, show_set_aside, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.connectors.siem.lake.loader import LoadReport
    from huntonce.flows.bootstrap import Home

app = typer.Typer(help="The embedded SIEM.", no_args_is_help=True)


@app.command("load")
def load(
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders: EVTX, JSON, Parquet, gz, zip.")
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Load Windows logs; what is loaded twice is kept once."""
    with session(home, as_json=as_json, writes=True) as (opened, output):
        report = _load(opened, output, paths)
        with opened.store.unit() as unit:
            unit.set_aside.add(report.set_aside, at=opened.clock())
            unit.commit()

        def show(console: Console) -> None:
            console.print(
                f"{report.files} files: {report.events} events loaded, "
                f"{report.duplicates} held already, in {report.seconds:.1f} s"
            )
            show_set_aside(console, report.set_aside)

        output.answer(
            {
                "files": report.files,
                "events": report.events,
                "duplicates": report.duplicates,
                "set_aside": set_aside_rows(report.set_aside),
                "seconds": round(report.seconds, 3),
            },
            show,
        )
        raise typer.Exit(SET_ASIDE if report.set_aside else DONE)


def _load(opened: "Home", output: Output, paths: list[Path]) -> "LoadReport":
    from huntonce.connectors.siem.lake.loader import load_paths

    if output.as_json or not output.errors.is_terminal:
        return load_paths(opened.lake_path, paths)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=output.errors, transient=True) as progress:
        task = progress.add_task("loading")
        return load_paths(
            opened.lake_path,
            paths,
            progress=lambda name, events: progress.update(
                task, description=f"{events} events  {name}"
            ),
        )


@app.command("show")
def show_lake(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Log sources, hosts, windows and volume."""
    from huntonce.connectors.siem.lake.lake import Lake

    with session(home, as_json=as_json) as (opened, output):
        lake = Lake(opened.lake_path)
        sources, hosts, extent = lake.sources(), sorted(lake.hosts()), lake.extent()

        def show(console: Console) -> None:
            if extent is None:
                console.print("The lake is empty. Load logs with: huntonce lake load PATH...")
                return
            console.print(f"{len(hosts)} hosts, {extent}")
            rows = [
                (s.channel, s.events, s.hosts, s.first, s.last, _ids(s.event_ids)) for s in sources
            ]
            console.print(table(("channel", "events", "hosts", "first", "last", "event ids"), rows))

        output.answer({"sources": sources, "hosts": hosts}, show)


def _ids(counts: object) -> str:
    if not isinstance(counts, dict):
        return str(counts)
    top = sorted(counts.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{event_id} ({count})" for event_id, count in top[:12])
    return f"{shown} ..." if len(top) > 12 else shown  # noqa: PLR2004
