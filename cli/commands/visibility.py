"""``huntonce visibility``: how much of each technique could be seen, for other tools too."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, SiemOption, session


def visibility(
    out: Annotated[Path | None, typer.Option(help="Folder to write into.")] = None,
    home: HomeOption = DEFAULT_HOME,
    siem: SiemOption = "lake",
    as_json: JsonOption = False,
) -> None:
    """Probe all evidence; write DeTT&CT files and a Navigator layer of what can be seen."""
    from huntonce.cli import views
    from huntonce.flows.visibility import measure, write_visibility
    from huntonce.models.wording import percent

    with session(home, as_json=as_json, writes=True) as (opened, output):
        measured = measure(opened, siem)
        files = write_visibility(opened, measured, out)

        def show(console: Console) -> None:
            ranked = sorted(measured, key=lambda m: (m.power.value, m.model.technique_id))
            rows = [
                (
                    m.model.technique_id,
                    percent(m.power.value),
                    f"{m.power.seen}/{m.power.population}",
                    m.power.weakest,
                    clean(opened.catalogue.name(m.model.technique_id)),
                )
                for m in ranked
            ]
            console.print(table(("technique", "power", "hosts", "weakest", "name"), rows))
            for path in files:
                console.print(Text(str(path)))

        output.answer(
            {
                "files": [str(path) for path in files],
                "techniques": [
                    {"technique": m.model.technique_id, **views.power(m.power)} for m in measured
                ],
            },
            show,
        )
