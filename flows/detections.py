"""The flow that runs the promoted detections over what came in since."""

from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from huntonce.flows.events import announce
from huntonce.flows.forms import HomePath, SiemName
from huntonce.flows.limits import asking
from huntonce.flows.open import only_transient, opaque, open_home
from huntonce.flows.pages import told_as_page
from huntonce.flows.story import tell
from huntonce.models.report.words import count
from huntonce.models.stages.guard import GuardRun, run_detections
from huntonce.models.stages.kit import Kit


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=only_transient)
def run_all(kit: Kit) -> GuardRun:
    """Run every detection on duty, and record its alerts; again, it records nothing twice."""
    return run_detections(kit)


def run_and_tell(kit: Kit) -> GuardRun:
    """Run the detections and tell of new alerts, and of those that could not be run."""
    with asking(kit.siem.name):
        ran = run_all(opaque(kit))
    lines = [
        f"{row.detection.id} raised {row.fresh} new alerts ({row.alerts} since it was promoted,"
        f" on {len(row.hosts)} hosts): {row.detection.title}"
        for row in ran.rows
        if row.fresh
    ]
    lines += [f"{row.detection.id} could not be run: {row.fault}" for row in ran.rows if row.fault]
    if lines:
        tell("Detections", *lines, alerts=sum(row.fresh for row in ran.rows))
    for row in ran.rows:
        if row.fresh:
            announce("detection.alerted", row.detection.id, alerts=row.fresh, hosts=len(row.hosts))
    return ran


@flow(name="run-detections")
def run_detections_flow(siem: SiemName = "lake", home: HomePath = "") -> dict[str, Any]:
    """Run every promoted detection over what came in since the last run.

    Args:
        siem: Where to run them: lake, or the name of a SIEM in huntonce.toml or of a block.
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    with open_home(home) as opened, told_as_page("run-detections", "Detections run") as note:
        ran = run_and_tell(opened.kit(siem))
        note("Detections", f"{count(len(ran.rows), 'detection')} on duty ran")
    return {
        "until": ran.until.isoformat() if ran.until else None,
        "detections": {row.detection.id: row.fresh for row in ran.rows},
        "faults": {row.detection.id: row.fault for row in ran.rows if row.fault},
    }
