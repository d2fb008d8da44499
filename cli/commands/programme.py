"""``huntonce init``, ``report`` and ``metrics``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.flows.bootstrap import Home
    from huntonce.models.metrics.records import Period


def init(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Write a commented huntonce.toml into the home."""
    from importlib.resources import files

    from huntonce.flows.settings import FILE
    from huntonce.models.errors import ConfigError

    with session(home, as_json=as_json) as (_, output):
        path = home / FILE
        if path.exists():
            raise ConfigError(f"{path} exists already", hint="edit it, or choose another --home")
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        try:
            path.write_text((files("huntonce.content") / "huntonce.example.toml").read_text())
        except OSError:
            path.unlink()  # half of it would keep the next init from writing it whole
            raise

        def show(console: Console) -> None:
            console.print(Text(f"Wrote {path}. Edit it, then: huntonce lake load PATH..."))

        output.answer({"path": str(path)}, show)


_Since = Annotated[str, typer.Option(help="Start of the period, UTC; default: the first record.")]
_Until = Annotated[str, typer.Option(help="End of the period, UTC; default: now.")]
_Days = Annotated[int, typer.Option(min=0, help="Period of so many days up to its end, or now.")]


def report(
    out: Annotated[Path | None, typer.Option(help="Folder to write into.")] = None,
    since: _Since = "",
    until: _Until = "",
    days: _Days = 0,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write the programme's HTML report, its numbers (JSON, CSV) and Navigator layers."""
    from huntonce.flows.reporting import write_report

    with session(home, as_json=as_json) as (opened, output):
        files = write_report(opened, out, _period(opened, since, until, days))

        def show(console: Console) -> None:
            for path in files:
                console.print(Text(str(path)))

        output.answer({"files": [str(path) for path in files]}, show)


def metrics(
    name: Annotated[str, typer.Argument(help="A number or table, for what it is made of.")] = "",
    since: _Since = "",
    until: _Until = "",
    days: _Days = 0,
    as_csv: Annotated[bool, typer.Option("--csv", help="All of it as CSV.")] = False,
    rows: Annotated[
        bool, typer.Option("--rows", help="With NAME: the rows of the transition log behind it.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Every number of the programme, and what each was counted from."""
    from huntonce.cli import metricscreen
    from huntonce.flows.reporting import measures_document, read_numbers, read_trail
    from huntonce.models.report.flatfile import csv_text

    with session(home, as_json=as_json) as (opened, output):
        if rows:
            if not name:
                raise typer.BadParameter("--rows wants the name of a number or a table")
            trail = read_trail(opened, name, _period(opened, since, until, days))
            output.answer(*metricscreen.trail_behind(name, trail))
            return
        measures, previous = read_numbers(opened, _period(opened, since, until, days))
        document = measures_document(measures, previous)
        if name:
            one, show_one = metricscreen.one_number(measures, previous, name)
            output.answer(one, show_one)
        elif as_csv and not as_json:
            sys.stdout.write(csv_text(measures, previous).replace("\r\n", "\n"))
        else:
            output.answer(document, lambda c: metricscreen.all_numbers(c, measures, previous))


def _period(opened: "Home", since: str, until: str, days: int) -> "Period":
    from huntonce.cli.commands.hunting import parse_time
    from huntonce.flows.reporting import period_of

    first, last = (parse_time(text) if text else None for text in (since, until))
    return period_of(opened, first, last, days)
