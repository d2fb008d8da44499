"""The report flow: the programme's numbers as files and as pages in the UI."""

from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from pydantic import Field

from huntonce.flows.forms import HomePath, titled
from huntonce.flows.open import open_home
from huntonce.flows.reporting import period_of, read_numbers, write_report
from huntonce.models.metrics.measure import Measures
from huntonce.models.report.definitions import DEFINITIONS
from huntonce.models.report.markdown import table
from huntonce.models.report.words import valued

Days = Annotated[int, Field(ge=0, le=3660), titled("Days")]
_PARTS = {
    "gaps": "Gaps",
    "detections": "Detections",
    "findings": "Findings to incident response",
    "loop": "What was learned and went on",
}


@flow(name="report")
def report(days: Days = 0, home: HomePath = "") -> dict[str, Any]:
    """Write the HTML report with metrics.json and metrics.csv, and show the numbers here.

    Args:
        days: Days up to now that the report is about; 0: all since the first record.
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    with open_home(home) as opened:
        period = period_of(opened, days=days)
        files = write_report(opened, period=period)
        measures, previous = read_numbers(opened, period)
    create_markdown_artifact(
        key="programme",
        markdown=programme_page(measures, previous),
        description="Gaps, detections and findings side by side, from recorded events",
    )
    for name, found in measures.tables.items():
        if found.rows:
            create_table_artifact(
                key=f"programme-{name.replace('_', '-')}",
                table=[dict(zip(found.columns, row, strict=True)) for row in found.rows],
                description=name.replace("_", " "),
            )
    numbers = {name: number.value for name, number in measures.numbers.items()}
    return {"files": [str(path) for path in files], **numbers}


def programme_page(measures: Measures, previous: Measures | None) -> str:
    """The numbers as a Markdown page, the three outcomes first and with equal room."""
    parts = ["# The programme"]
    for part, title in _PARTS.items():
        rows = []
        for name, definition in DEFINITIONS.items():
            if definition.outcome == part:
                before = valued(previous[name], definition.unit) if previous is not None else ""
                rows.append((definition.label, valued(measures[name], definition.unit), before))
        parts.append(f"## {title}\n\n{table(('number', 'value', 'period before'), rows)}")
    return "\n\n".join(parts)
