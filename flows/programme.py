"""The report flow: the programme's numbers as a file and as a page in the UI."""

from dataclasses import asdict
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from huntonce.flows.intel import HomePath
from huntonce.flows.open import open_home
from huntonce.flows.reporting import write_report
from huntonce.models.metrics import measure
from huntonce.models.report.markdown import table


@flow(name="report")
def report(home: HomePath = None) -> dict[str, Any]:
    """Write the HTML report and metrics.json, and show the numbers here.

    Args:
        home: Folder of the home; None: what the worker's HUNTONCE_HOME names.
    """
    with open_home(home) as opened:
        files = write_report(opened)
        with opened.store.unit() as unit:
            numbers = asdict(measure(unit.log.rows(), unit.hunts.list()))
    rows = [(name.replace("_", " "), value) for name, value in numbers.items()]
    create_markdown_artifact(
        key="programme",
        markdown=f"# The programme\n\n{table(('number', 'value'), rows)}",
        description="Gaps, detections and findings, from recorded events",
    )
    return {"files": [str(path) for path in files], **numbers}
