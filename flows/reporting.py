"""Reporting: the programme's page and its numbers, written into a folder. Imports no Prefect."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path

from huntonce.flows.bootstrap import DEMO_MARK, Home
from huntonce.flows.files import replace_file
from huntonce.models.errors import ConfigError, DomainError
from huntonce.models.metrics.measure import Measures, measure
from huntonce.models.metrics.records import EVER, Period
from huntonce.models.metrics.tracing import rows_behind, things_behind
from huntonce.models.report.definitions import DEFINITIONS, TABLES
from huntonce.models.report.flatfile import csv_text
from huntonce.models.report.navigator import layers
from huntonce.models.report.programme import Programme, programme, records_of
from huntonce.models.transition import Transition

DEMO_NOTE = (
    "This is the demo: a made-up company with generated logs and a made-up adversary. The demo "
    "decides what people would decide and simulates the repair of a gap, so times to close mean "
    "nothing here. The stages, the queries and the counts are real."
)


def write_report(home: Home, out: Path | None = None, period: Period = EVER) -> tuple[Path, ...]:
    """Write the page, its numbers (JSON, CSV) and Navigator layers into a folder; their paths.

    The folder is ``<home>/report`` where None is named; the page has the numbers and the hunts of
    the period.

    Raises:
        ConfigError: The folder cannot be written to.
    """
    from huntonce.models.report.html import render_html

    shown = read_programme(home, period)
    template, css = page_parts()
    contents = {
        "index.html": render_html(shown, template=template, css=css),
        "metrics.json": json.dumps(metrics_document(shown), indent=2) + "\n",
        "metrics.csv": csv_text(shown.measures, shown.previous),
        **{
            f"navigator-{name}.json": json.dumps(layer, indent=2) + "\n"
            for name, layer in layers(
                shown.hypotheses,
                organisation=shown.organisation,
                today=shown.at.date(),
                attack=home.catalogue.version,
            ).items()
        },
    }
    return write_files(out or home.path / "report", contents)


def read_programme(home: Home, period: Period = EVER) -> Programme:
    """The programme of a home, for the page and for its numbers elsewhere."""
    note = DEMO_NOTE if (home.path / DEMO_MARK).exists() else ""
    with home.store.unit() as unit:
        return programme(
            unit,
            organisation=home.profile.name,
            now=home.clock(),
            note=note,
            period=period,
            floor=home.settings.policy.power_floor,
            tactics={t.id: t.tactics for t in home.catalogue.active},
        )


def read_numbers(home: Home, period: Period = EVER) -> tuple[Measures, Measures | None]:
    """The numbers of a period, and of the span of the same length before."""
    with home.store.unit() as unit:
        records = records_of(unit, now=home.clock())
    before = period.before()
    return measure(records, period), measure(records, before) if before is not None else None


def read_trail(home: Home, name: str, period: Period = EVER) -> tuple[Transition, ...]:
    """The rows of the transition log behind a number or a table of a period.

    Raises:
        DomainError: There is none of that name.
    """
    if name not in DEFINITIONS and name not in TABLES:
        raise DomainError(f"there is no number or table named {name[:60]}", hint="huntonce metrics")
    with home.store.unit() as unit:
        records = records_of(unit, now=home.clock())
    return rows_behind(records, things_behind(measure(records, period), name), period)


def period_of(
    home: Home, since: datetime | None = None, until: datetime | None = None, days: int = 0
) -> Period:
    """The period that a person asks for: two moments, or so many days up to the last one or now.

    Raises:
        DomainError: It ends before it starts, or its start is said in two ways.
    """
    if days and since is not None:
        raise DomainError("the start is said twice", hint="give --since or --days, not both")
    if days:
        until = until or home.clock()
        since = until - timedelta(days=days)
    return Period(start=since, end=until or (home.clock() if since is not None else None))


def write_files(folder: Path, contents: Mapping[str, str]) -> tuple[Path, ...]:
    """Write texts into files of a folder, each whole or not at all; their paths.

    Raises:
        ConfigError: The folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            replace_file(folder / name, text)
    except OSError as error:
        raise ConfigError(
            f"cannot write into {folder}: {error.strerror or error}",
            hint="see that the disk is not full, or name another folder with --out",
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
        **measures_document(shown.measures, shown.previous),
        "trend": [
            {**asdict(step), "start": step.start.isoformat(), "end": step.end.isoformat()}
            for step in shown.trend
        ],
        "definitions": {name: asdict(definition) for name, definition in DEFINITIONS.items()},
    }


def measures_document(measures: Measures, previous: Measures | None) -> dict[str, object]:
    """The numbers of a period, what each was counted from, and the tables."""
    start, end = measures.period.start, measures.period.end
    return {
        "period": {
            "start": start.isoformat() if start is not None else None,
            "end": end.isoformat() if end is not None else None,
        },
        "metrics": {name: number.value for name, number in measures.numbers.items()},
        "previous": {name: number.value for name, number in previous.numbers.items()}
        if previous is not None
        else None,
        "counted_from": {name: list(number.rows) for name, number in measures.numbers.items()},
        "tables": {
            name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
            for name, table in measures.tables.items()
        },
    }
