"""``huntonce init`` and ``report``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session


def init(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Write a commented huntonce.toml into the home."""
    from importlib.resources import files

    from huntonce.flows.settings import FILE
    from huntonce.models.errors import ConfigError

    with session(home, as_json=as_json) as (_, output):
        path = home / FILE
        if path.exists():
            raise ConfigError(f"{path} exists already", hint="edit it, or choose another --home")
        home.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text((files("huntonce.content") / "huntonce.example.toml").read_text())

        def show(console: Console) -> None:
            console.print(Text(f"Wrote {path}. Edit it, then: huntonce lake load PATH..."))

        output.answer({"path": str(path)}, show)


def report(
    out: Annotated[Path | None, typer.Option(help="Folder to write into.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write the programme's HTML report and metrics.json."""
    from huntonce.flows.reporting import write_report

    with session(home, as_json=as_json) as (opened, output):
        files = write_report(opened, out)

        def show(console: Console) -> None:
            for path in files:
                console.print(Text(str(path)))

        output.answer({"files": [str(path) for path in files]}, show)
