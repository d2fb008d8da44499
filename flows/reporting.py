"""Reporting: the programme's page and its numbers, written into a folder. Imports no Prefect."""

import json
from importlib.resources import files
from pathlib import Path

from huntonce.flows.bootstrap import DEMO_MARK, Home
from huntonce.flows.files import replace_file
from huntonce.models.errors import ConfigError
from huntonce.models.report.definitions import DEFINITIONS
from huntonce.models.report.programme import Programme, programme

DEMO_NOTE = (
    "This is the demo: a made-up company with generated logs and a made-up adversary. The demo "
    "decides what people would decide and simulates the repair of a gap, so times to close mean "
    "nothing here. The stages, the queries and the counts are real."
)


def write_report(home: Home, out: Path | None = None) -> tuple[Path, ...]:
    """Write ``index.html`` and ``metrics.json`` into a folder (``<home>/report``); their paths.

    Raises:
        ConfigError: The folder cannot be written to.
    """
    from huntonce.models.report.html import render_html

    note = DEMO_NOTE if (home.path / DEMO_MARK).exists() else ""
    with home.store.unit() as unit:
        shown = programme(unit, organisation=home.profile.name, now=home.clock(), note=note)
    template, css = page_parts()
    folder = out or home.path / "report"
    contents = {
        "index.html": render_html(shown, template=template, css=css),
        "metrics.json": json.dumps(metrics_document(shown), indent=2) + "\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            replace_file(folder / name, text)
    except OSError as error:
        raise ConfigError(
            f"cannot write the report into {folder}: {error.strerror or error}",
            hint="name another folder with --out",
        ) from error
    return tuple(folder / name for name in contents)


def page_parts() -> tuple[str, str]:
    """The page's template, from its files in the order of their names, and its style sheet."""
    folder = files("huntonce.content") / "report"
    sources = sorted(
        (item for item in folder.iterdir() if item.name.endswith(".html.j2")),
        key=lambda item: item.name,
    )
    template = "".join(source.read_text(encoding="utf-8") for source in sources)
    return template, (folder / "report.css").read_text(encoding="utf-8")


def metrics_document(shown: Programme) -> dict[str, object]:
    """Every number of the programme with its definition, for other programs."""
    return {
        "organisation": shown.organisation,
        "at": shown.at.isoformat(),
        "note": shown.note,
        "log": {
            "rows": shown.log.rows,
            "chain": "verified" if shown.log.broken_at is None else "broken",
            "broken_at": shown.log.broken_at,
        },
        "metrics": dict(shown.numbers),
        "definitions": {
            name: {
                "label": definition.label,
                "means": definition.means,
                "counted_from": definition.counted_from,
            }
            for name, definition in DEFINITIONS.items()
        },
    }
