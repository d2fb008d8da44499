"""The hunt flow: what can be seen, what is there, and what comes of it."""

from datetime import datetime
from typing import Annotated, Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from huntonce.flows.events import announce
from huntonce.flows.intel import HomePath
from huntonce.flows.open import only_transient, opaque, open_home
from huntonce.flows.story import tell
from huntonce.models.gap import Gap
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.ledger import LedgerAnswer
from huntonce.models.report.markdown import hunt_page
from huntonce.models.stages.guarding import watch_detections
from huntonce.models.stages.hunt import HuntResult
from huntonce.models.stages.hypothesise import ledger
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.operate import default_window, find_target, finish, look_for, start
from huntonce.models.stages.probe import Sight
from huntonce.models.stages.settle import Settled
from huntonce.models.windows import Window, utc

REASONS_TOLD = 4
Started = tuple[HuntRun, Sight, tuple[Gap, ...]]


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=only_transient)
def probe(
    kit: Kit, hypothesis: Hypothesis, window: Window, answer: LedgerAnswer, *, once: bool = False
) -> Started:
    """Measure which of the evidence arrives, and record that the hunt starts."""
    return start(kit, hypothesis, window, answer, once=once)


@task(cache_policy=NO_CACHE, retries=2, retry_delay_seconds=5, retry_condition_fn=only_transient)
def search(kit: Kit, hypothesis: Hypothesis, sight: Sight, gaps: tuple[Gap, ...]) -> HuntResult:
    """Query the SIEM and judge what came back; stores nothing, so it may be repeated."""
    return look_for(kit, hypothesis, sight, gaps)


@task(cache_policy=NO_CACHE)
def conclude(kit: Kit, run: HuntRun, result: HuntResult) -> Settled:
    """Promote patterns, store the outcomes in one transaction, send what leaves."""
    return finish(kit, run, result)


def run_hunt(
    kit: Kit, hypothesis: Hypothesis, window: Window, answer: LedgerAnswer, *, once: bool = False
) -> Settled:
    """One hunt as tasks of the calling flow, with its story, page and events.

    Raises:
        NotDueError: With ``once``: another run has the hypothesis, or has hunted it since.
    """
    run, sight, gaps = probe(
        opaque(kit), opaque(hypothesis), opaque(window), opaque(answer), once=once
    )
    watch_detections(kit)
    _tell_evidence(hypothesis, sight, gaps)
    result = search(opaque(kit), opaque(hypothesis), opaque(sight), opaque(gaps))
    settled = conclude(opaque(kit), opaque(run), opaque(result))
    _tell_hunt(result, settled)
    _tell_outcomes(settled)
    create_markdown_artifact(
        key=settled.run.id.lower(),
        markdown=hunt_page(settled.run, settled.hypothesis, settled.findings, settled.gaps),
        description=f"{hypothesis.technique_id}: {settled.run.verdict}",
    )
    _announce(settled)
    return settled


def _announce(settled: Settled) -> None:
    run = settled.run
    verdict = run.verdict.value if run.verdict else ""
    announce("hunt.concluded", run.id, verdict=verdict, hypothesis=run.hypothesis_id)
    for gap in settled.gaps:
        announce("gap.surfaced", gap.id, source=gap.source, hosts=len(gap.hosts))
    for detection in settled.detections:
        announce("detection.promoted", detection.id, rule=detection.rule_id)
    for case in settled.cases:
        announce("case.opened", case.id, technique=list(case.technique_ids))


def _tell_evidence(hypothesis: Hypothesis, sight: Sight, gaps: tuple[Gap, ...]) -> None:
    required = [group.name for group in sight.model.groups if group.required]
    lines = [f"{hypothesis.technique_id} needs {', '.join(required)}"]
    for group in sight.model.groups:
        shown = [
            f"{atom.label} {_share(sight, atom.id)}"
            for atom in group.atoms
            if atom.primary or sight.live_share(atom.id)
        ]
        lines.append(f"{group.name:<10} {'; '.join(shown)}")
    lines += [f"gap: {gap.reason}" for gap in gaps]
    tell("Evidence", *lines, power=round(sight.power.value, 4), gaps=len(gaps))


def _share(sight: Sight, atom_id: str) -> str:
    live = sum(p.live for p in sight.probes if p.atom_id == atom_id)
    total = len(sight.population)
    return f"{live}/{total} hosts" if live else "nowhere"


def _tell_hunt(result: HuntResult, settled: Settled) -> None:
    looked, run = result.looked, settled.run
    counts = f"{looked.records:,} registrations of tasks -> {looked.patterns} patterns"
    lines = [f"{counts} -> {len(looked.findings)} findings"]
    for finding in settled.findings:
        lines.append(f"{finding.id} {finding.disposition} {finding.score:.2f}  {finding.title}")
        reasons = [term.why for term in finding.terms if term.value > 0][:REASONS_TOLD]
        lines.append(f"    {'; '.join(reasons)}")
    verdict = run.verdict.value if run.verdict else ""
    lines.append(f"verdict: {verdict}: {run.why}")
    tell("Hunt", *lines, verdict=verdict, findings=len(settled.findings), records=looked.records)


def _tell_outcomes(settled: Settled) -> None:
    lines = [
        f"{gap.id} {gap.atom_label} on {gap.population - len(gap.hosts)}/{gap.population} hosts"
        f" -> {gap.ticket or 'ticket waits for approval'}: "
        f"{gap.remedy.commands[0] if gap.remedy.commands else gap.remedy.text}"
        for gap in settled.gaps
    ]
    for detection in settled.detections:
        certificate = detection.certificate
        if certificate is None:
            continue
        low, high = certificate.interval
        lines.append(
            f"{detection.id} {detection.title}: fires on {certificate.fired}/"
            f"{certificate.expected}, {certificate.benign_hits} of {certificate.benign_events:,}"
            f" usual registrations, {certificate.alerts_a_day:.1f} false alerts/day "
            f"[{low:.1f}-{high:.1f}]"
        )
    lines += [f"not automated: {reason}" for reason in settled.not_automated]
    lines += [
        f"{case.id} for IR ({case.remote_id or 'waits for approval'}): {case.title}, "
        f"{len(case.hosts)} hosts, {len(case.events)} events"
        for case in settled.cases
    ]
    tell(
        "Outcomes",
        *(lines or [f"verdict recorded: {', '.join(settled.run.outcomes)}"]),
        gaps=len(settled.gaps),
        detections=len(settled.detections),
        cases=len(settled.cases),
    )


@flow(name="hunt")
def hunt(
    target: Annotated[
        str, Field(description="Technique (T1053.005 or a name), hypothesis (H-1) or hunt.")
    ] = "T1053.005",
    since: Annotated[datetime | None, Field(description="Start; empty: all that is held.")] = None,
    until: Annotated[datetime | None, Field(description="End; empty: all that is held.")] = None,
    siem: Annotated[str, Field(description="SIEM to look in.")] = "lake",
    home: HomePath = None,
) -> dict[str, Any]:
    """Hunt for one behaviour now, whatever the ledger says, and settle its outcomes."""
    with open_home(home) as opened:
        kit = opened.kit(siem)
        hypothesis = find_target(kit, target)
        extent = default_window(kit)
        window = Window(utc(since) if since else extent.start, utc(until) if until else extent.end)
        answer = ledger(kit, hypothesis, window)
        settled = run_hunt(kit, hypothesis, window, answer)
    return summary(settled)


def summary(settled: Settled) -> dict[str, Any]:
    """Ids and counts of a hunt: what a flow run returns."""
    run = settled.run
    return {
        "id": run.id,
        "hypothesis": run.hypothesis_id,
        "verdict": run.verdict.value if run.verdict else None,
        "power": round(run.power.value, 4) if run.power else None,
        "findings": list(run.finding_ids),
        "gaps": list(run.gap_ids),
        "detections": list(run.detection_ids),
        "cases": list(run.case_ids),
    }
