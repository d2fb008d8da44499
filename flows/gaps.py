"""Flows around sight: probe the telemetry, and verify that gaps are mended."""

from typing import Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from huntonce.flows.events import announce
from huntonce.flows.forms import HomePath, SiemName
from huntonce.flows.limits import asking
from huntonce.flows.open import only_transient, opaque, open_home
from huntonce.flows.pages import told_as_page
from huntonce.flows.story import tell
from huntonce.models.detection import Detection
from huntonce.models.report.markdown import escape
from huntonce.models.report.words import count
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.guarding import watch_detections
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.survey import Surveyed, survey
from huntonce.models.stages.watch import Verified, verify_gaps


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=only_transient)
def measure(kit: Kit) -> Surveyed:
    """What of every technique's evidence arrives, and the gaps that hypotheses wait on."""
    return survey(kit)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=only_transient)
def verify(kit: Kit) -> Verified:
    """Probe again for every open gap; the same telemetry twice counts once."""
    return verify_gaps(kit)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=only_transient)
def watch(kit: Kit) -> tuple[Detection, ...]:
    """Whether promoted detections still see what they were made to see; those that changed."""
    return watch_detections(kit)


def watch_and_tell(kit: Kit) -> tuple[Detection, ...]:
    """Watch the detections, and tell of those that lost or regained their sight."""
    with asking(kit.siem.name):
        changed = watch(opaque(kit))
    if changed:
        tell(
            "Detections",
            *[
                f"{one.id} {'sees again' if one.healthy else 'does not see any more'}: {one.title}"
                for one in changed
            ],
            blind=sum(not one.healthy for one in changed),
        )
    return changed


def verify_and_tell(kit: Kit) -> Verified:
    """Verify gaps, close their tickets, watch what stands guard, and tell of it."""
    with asking(kit.siem.name):
        verified = verify(opaque(kit))
    # After the gaps: a detection whose evidence is back is not to be reported blind.
    watch_and_tell(kit)
    dispatch(kit)
    news = [
        *[f"{gap.id} passed a probe ({gap.passes})" for gap in verified.passed],
        *[f"{gap.id} closed by evidence, {gap.ticket} closed" for gap in verified.closed],
        *[f"{gap.id} came back: {gap.reason}" for gap in verified.regressed],
        *[f"{gap.id} is open again, its risk was accepted until now" for gap in verified.expired],
    ]
    still = [f"{gap.id} still open on {len(gap.hosts)} hosts" for gap in verified.failed]
    if news or still:
        short = [f"{count(len(still), 'gap')} still open (huntonce gaps)"] if still else []
        tell("Gaps", *news, *still, brief=[*news, *short], closed=len(verified.closed))
    for gap in verified.closed:
        announce("gap.closed", gap.id, source=gap.source)
    for waited in verified.requeued:
        announce("hypothesis.ready", waited, siem=kit.siem.name)
    return verified


@flow(name="probe-telemetry")
def probe_telemetry(siem: SiemName = "lake", home: HomePath = "") -> dict[str, Any]:
    """Measure all evidence, surface the gaps hypotheses wait on, and check the detections.

    Args:
        siem: What to measure: lake, or the name of a SIEM in huntonce.toml or of a block.
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    with open_home(home) as opened:
        kit = opened.kit(siem)
        with asking(kit.siem.name):
            surveyed = measure(opaque(kit))
        changed = watch_and_tell(kit)
        dispatch(kit)
    rows = [
        {
            "technique": sight.model.technique_id,
            "evidence": atom.label,
            "live on": f"{sight.live_share(atom.id):.1%} of {len(sight.population)} hosts",
        }
        for sight in surveyed.sights
        for atom in sight.model.atoms
    ]
    create_table_artifact(
        key="telemetry",
        table=[{name: escape(value) for name, value in row.items()} for row in rows],
        description="What of the evidence arrives",
    )
    for gap in surveyed.gaps:
        announce("gap.surfaced", gap.id, source=gap.source, hosts=len(gap.hosts))
    return {
        "atoms": len(rows),
        "gaps": [gap.id for gap in surveyed.gaps],
        "blocked": list(surveyed.blocked),
        "detections_changed": [d.id for d in changed],
    }


@flow(name="verify-gaps")
def verify_gaps_flow(siem: SiemName = "lake", home: HomePath = "") -> dict[str, Any]:
    """Probe again for every open gap; those that pass often enough in a row are closed.

    Args:
        siem: Where to probe: lake, or the name of a SIEM in huntonce.toml or of a block.
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    with open_home(home) as opened, told_as_page("verify-gaps", "Gaps probed again") as note:
        verified = verify_and_tell(opened.kit(siem))
        if verified.waiting:
            still = ", ".join(gap.id for gap in verified.waiting)
            note("Gaps", f"not proven (no newer telemetry of enough hosts, or no answer): {still}")
    return {
        "passed": [gap.id for gap in verified.passed],
        "closed": [gap.id for gap in verified.closed],
        "failed": [gap.id for gap in verified.failed],
        "waiting": [gap.id for gap in verified.waiting],
        "regressed": [gap.id for gap in verified.regressed],
        "expired": [gap.id for gap in verified.expired],
        "requeued": list(verified.requeued),
    }
