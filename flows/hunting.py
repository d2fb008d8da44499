"""The hunt flow: what can be seen, what is there, and what comes of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from huntonce.flows.events import announce
from huntonce.flows.forms import HomePath, SiemName, titled
from huntonce.flows.gaps import watch_and_tell
from huntonce.flows.limits import asking
from huntonce.flows.open import RETRIES, RETRY_AFTER, again, only_transient, opaque, open_home
from huntonce.flows.story import tell
from huntonce.flows.waiting import form, show_waiting, waiting
from huntonce.models.content_hunts import TASKS
from huntonce.models.evidence import EvidenceModel
from huntonce.models.gap import Gap
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.ledger import LedgerAnswer, NotDueError
from huntonce.models.report.addresses import address_at
from huntonce.models.report.markdown import FORM, hunt_page
from huntonce.models.report.words import count, why
from huntonce.models.stages.hunt import HuntResult, prepare
from huntonce.models.stages.hypothesise import ledger
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.operate import (
    LONGEST,
    abandon_dead,
    as_seen,
    default_window,
    find_target,
    finish,
    look_for,
    start,
    to_its_end,
)
from huntonce.models.stages.probe import Sight
from huntonce.models.stages.proof import Probes
from huntonce.models.stages.settle import Settled
from huntonce.models.windows import Window, utc

REASONS_TOLD = 2
ASIDE = " ("
"""Where the part of a gap's reason begins that says what its events hold."""
TARGET = r"^([Tt][0-9]{4}(\.[0-9]{3})?|[Tt][^0-9].*|[^Tt].*|[Tt])$"
"""What begins like a technique's id has to be one; Prefect's form refuses the rest at once."""
Started = tuple[HuntRun, Sight, tuple[Gap, ...]]


@task(
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=RETRY_AFTER,
    retry_condition_fn=only_transient,
)
def measure(probes: Probes, models: Sequence[EvidenceModel], window: Window) -> None:
    """Measure the evidence of several hunts at once: the SIEM is asked once for all of them."""
    probes.together(models, window)


@task(
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=RETRY_AFTER,
    retry_condition_fn=only_transient,
)
def probe(
    kit: Kit,
    hypothesis: Hypothesis,
    window: Window,
    answer: LedgerAnswer,
    *,
    once: bool = False,
    probes: Probes | None = None,
) -> Started:
    """Measure which of the evidence arrives, and record that the hunt starts."""
    return start(kit, hypothesis, window, answer, once=once, probes=probes)


@task(
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=RETRY_AFTER,
    retry_condition_fn=only_transient,
)
def search(kit: Kit, hypothesis: Hypothesis, sight: Sight, gaps: tuple[Gap, ...]) -> HuntResult:
    """Query the SIEM and judge what came back; stores nothing, so it may be repeated."""
    return look_for(kit, hypothesis, sight, gaps)


@task(cache_policy=NO_CACHE)
def conclude(kit: Kit, run: HuntRun, result: HuntResult) -> Settled:
    """Promote patterns, store the outcomes in one transaction, send what leaves."""
    return finish(kit, run, result)


def run_hunt(
    kit: Kit,
    hypothesis: Hypothesis,
    window: Window,
    answer: LedgerAnswer,
    *,
    once: bool = False,
    probes: Probes | None = None,
) -> Settled:
    """One hunt as tasks of the calling flow, with its story, page and events.

    A hunt that fails or is cancelled leaves nothing half done: its run is given up and its
    hypothesis waits again. ``probes`` hold what was measured for several hunts of a turn.

    Raises:
        NotDueError: With ``once``: another run has the hypothesis, or has hunted it since.
    """
    with asking(kit.siem.name):
        run, sight, gaps = probe(
            opaque(kit),
            opaque(hypothesis),
            opaque(window),
            opaque(answer),
            once=once,
            probes=opaque(probes),
        )
        with to_its_end(kit, run):
            _tell_evidence(hypothesis, sight, gaps)
            result = search(opaque(kit), opaque(hypothesis), opaque(sight), opaque(gaps))
            settled = conclude(opaque(kit), opaque(run), opaque(result))
    _show(kit, result, settled)
    show_waiting(kit)
    return settled


def in_one_task(
    kit: Kit, hypothesis: Hypothesis, window: Window, answer: LedgerAnswer, probes: Probes
) -> Settled:
    """The same within a task that carries several hunts: Prefect hears of it once, at its end.

    What may pass is tried again as often as the tasks of a single hunt are. The page of what waits
    for a person is the caller's, once for all.

    Raises:
        NotDueError: Another run has the hypothesis, or has hunted it since.
    """
    run, sight, gaps = again(
        lambda: start(kit, hypothesis, window, answer, once=True, probes=probes)
    )
    with to_its_end(kit, run):
        _tell_evidence(hypothesis, sight, gaps)
        result = again(lambda: look_for(kit, hypothesis, sight, gaps))
        settled = finish(kit, run, result)
    _show(kit, result, settled)
    return settled


def _show(kit: Kit, result: HuntResult, settled: Settled) -> None:
    """A concluded hunt's story, page and events."""
    hypothesis = settled.hypothesis
    _tell_hunt(result, settled)
    _tell_outcomes(settled)
    run = settled.run
    ours = {*run.gap_ids, *run.detection_ids, *run.case_ids}
    asked = [p for p in waiting(kit) if p.subject in ours]
    create_markdown_artifact(
        key=settled.run.id.lower(),
        markdown=hunt_page(
            settled.run,
            settled.hypothesis,
            settled.findings,
            settled.gaps,
            settled.detections,
            settled.cases,
            asked,
            {**_addresses(kit, settled), FORM: form() if asked else ""},
        ),
        description=f"{hypothesis.technique_id}: {settled.run.verdict}".replace("_", " "),
    )
    _announce(settled)


def _addresses(kit: Kit, settled: Settled) -> dict[str, str]:
    """Where the desks show the tickets and cases of a hunt, by our ids of them."""
    cases = [case for case in settled.cases if case.desk == kit.cases.name]
    return {gap.id: address_at(kit.tickets, gap.ticket) for gap in settled.gaps} | {
        case.id: address_at(kit.cases, case.remote_id) for case in cases
    }


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
    lines += [f"gap: {gap.reason.partition(ASIDE)[0]}" for gap in gaps]
    tell(
        "Evidence",
        *lines,
        brief=(),
        about=hypothesis.technique_id,
        power=round(sight.power.value, 4),
        gaps=len(gaps),
    )


def _share(sight: Sight, atom_id: str) -> str:
    live = sum(p.live for p in sight.probes if p.atom_id == atom_id)
    total = len(sight.population)
    return f"{live}/{total} hosts" if live else "nowhere"


def _what(result: HuntResult) -> str:
    """What a hunt's records are, for people."""
    return "registrations of tasks" if result.definition.records == TASKS else "occurrences"


def _tell_hunt(result: HuntResult, settled: Settled) -> None:
    looked, run = result.looked, settled.run
    counts = f"{looked.records:,} {_what(result)} -> {looked.patterns} patterns"
    lines = [f"{counts} -> {len(looked.findings)} findings"]
    for finding in settled.findings:
        lines.append(f"{finding.id} {finding.disposition} {finding.score:.2f}  {finding.title}")
        reasons = [term.why for term in finding.terms if term.value > 0][:REASONS_TOLD]
        lines.append(f"    {'; '.join(reasons)}")
    verdict = run.verdict.value if run.verdict else ""
    lines.append(f"verdict: {verdict}: {run.why}")
    tell(
        "Hunt",
        *lines,
        brief=_in_brief(settled),
        about=settled.run.technique_id,
        verdict=verdict,
        findings=len(settled.findings),
        records=looked.records,
    )


def _in_brief(settled: Settled) -> list[str]:
    """A whole hunt with what came of it, in a line or two."""
    run, told = settled.run, why(settled.run)
    name = settled.hypothesis.technique_name.rpartition(": ")[2]
    words = [f"{run.hypothesis_id} {run.technique_id} {name}: {told[:1].lower()}{told[1:]}"]
    if run.power is not None:
        words.append(f"{run.power.value:.0%} of the host-hours seen")
    words += [f"{one.id} {one.disposition} {one.score:.2f}" for one in settled.findings]
    words += [*(one.id for one in settled.detections), *(one.id for one in settled.cases)]
    if settled.gaps:
        words.append(count(len(settled.gaps), "gap"))
    return ["; ".join(words)]


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
            f" usual ones, {certificate.alerts_a_day:.1f} false alerts/day "
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
        brief=(),
        about=settled.run.technique_id,
        gaps=len(settled.gaps),
        detections=len(settled.detections),
        cases=len(settled.cases),
    )


@flow(name="hunt", timeout_seconds=LONGEST.total_seconds())
def hunt(
    target: Annotated[
        str, Field(min_length=1, max_length=200, pattern=TARGET), titled("Target")
    ] = "T1053.005",
    since: Annotated[datetime | None, titled("Since")] = None,
    until: Annotated[datetime | None, titled("Until")] = None,
    siem: SiemName = "lake",
    once: Annotated[bool, titled("Only what is new")] = False,
    dry_run: Annotated[bool, titled("Dry run")] = False,
    home: HomePath = "",
) -> dict[str, Any]:
    """Hunt for one behaviour now, and settle its outcomes: gaps, detections, cases.

    Args:
        target: What to hunt for: a technique (T1053.005, or its name), a hypothesis (H-1) or the
            name of a hunt.
        since: Start of the window; leave it None to begin with the first event held.
        until: End of the window; leave it None to end with the last event held.
        siem: Where to look: lake, or the name of a SIEM in huntonce.toml or of a block.
        once: Obey the ledger and hunt only what nobody has looked at yet. Off, it looks again.
        dry_run: Query and show what is found, but record and send nothing.
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    with open_home(home) as opened:
        kit = opened.kit(siem)
        hypothesis = find_target(kit, target)
        extent = default_window(kit)
        window = Window(utc(since) if since else extent.start, utc(until) if until else extent.end)
        if dry_run:
            return _look_only(kit, hypothesis, window)
        abandon_dead(kit)
        watch_and_tell(kit)
        answer = ledger(kit, hypothesis, window)
        if not once:
            return summary(run_hunt(kit, hypothesis, window, answer))
        hunted = []
        for span in answer.windows:
            try:
                hunted.append(summary(run_hunt(kit, hypothesis, span, answer, once=True)))
            except NotDueError as error:
                tell("Hunt once", f"{hypothesis.id} is left to another run: {error}")
    return {"hypothesis": hypothesis.id, "ledger": answer.answer.value, "hunts": hunted}


def _look_only(kit: Kit, hypothesis: Hypothesis, window: Window) -> dict[str, Any]:
    """What a hunt would see and say now; nothing is stored and nothing leaves."""
    with asking(kit.siem.name):
        sight, gaps = prepare(kit, hypothesis, window)
        result = search(opaque(kit), opaque(hypothesis), opaque(sight), opaque(gaps))
    run = as_seen(kit, result)
    create_markdown_artifact(
        key="dry-run",
        markdown=hunt_page(run, hypothesis, result.looked.findings, gaps),
        description=f"{hypothesis.technique_id}: dry run, nothing was recorded",
    )
    return {
        "dry_run": True,
        "hypothesis": hypothesis.id,
        "verdict": result.verdict.value,
        "power": round(sight.power.value, 4),
        "findings": len(result.looked.findings),
        "gaps": len(gaps),
    }


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
