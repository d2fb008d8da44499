"""One full turn of the loop, top to bottom."""

from collections.abc import Sequence
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from huntonce.flows.cases import learn, publish
from huntonce.flows.detections import run_and_tell
from huntonce.flows.forms import HomePath, SiemName
from huntonce.flows.gaps import verify_and_tell
from huntonce.flows.hunting import in_one_task, measure, summary
from huntonce.flows.intel import derive, pull_all
from huntonce.flows.limits import asking
from huntonce.flows.open import opaque, open_home
from huntonce.flows.progress import Progress
from huntonce.flows.reporting import write_report
from huntonce.flows.story import Told, overhearing, tell
from huntonce.flows.waiting import show_waiting
from huntonce.models.hypothesis import Hypothesis, HypothesisState
from huntonce.models.ledger import LedgerAnswer, NotDueError
from huntonce.models.report.markdown import steps_page
from huntonce.models.stages.choosing import models_for
from huntonce.models.stages.collect import failures_of
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.hypothesise import Hypothesised, can_hunt, only_ours
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.operate import abandon_dead, default_window, to_hunt
from huntonce.models.stages.proof import Probes
from huntonce.models.stages.settle import Settled
from huntonce.models.windows import Window

SHOWN = 4
BATCH = 20
"""Hypotheses that one task carries: what it costs is shared by so many (docs/performance.md)."""


@flow(name="loop")
def loop(siem: SiemName = "lake", home: HomePath = "") -> dict[str, Any]:
    """Pull intel, derive hypotheses, hunt what is due, settle outcomes, feed back, report.

    Args:
        siem: Where to hunt: lake, or the name of a SIEM in huntonce.toml or of a block.
        home: Folder of the home; empty: the one that the worker's HUNTONCE_HOME names.
    """
    told: list[Told] = []
    with open_home(home) as opened, overhearing(told.append):
        kit, outlets = opened.kit(siem), opened.outlets()
        abandon_dead(kit)
        pulled = pull_all(kit, opened.sources())
        made = derive(opaque(kit))
        _tell_hypotheses(kit, made)
        window = default_window(kit) if kit.siem.extent() else None
        verify_and_tell(kit)
        # Before the ledger is asked: what is covered is so because it has just been run.
        run_and_tell(kit)
        settled = _hunt_what_is_due(kit, made.hypotheses, window)
        dispatch(kit)
        closed = learn(kit, outlets)
        ended = publish(kit, outlets)
        files = write_report(opened)
    create_markdown_artifact(
        key="loop",
        markdown=steps_page(
            f"One turn of the loop: {opened.profile.name}",
            ((step.stage, step.lines) for step in told),
        ),
        description="What this turn of the loop did",
    )
    return {
        "intel_objects": sum(c.counts.objects for c in pulled),
        "intel_new": sum(c.counts.new for c in pulled),
        "set_aside": sum(len(c.set_aside) for c in pulled),
        "failed": failures_of(pulled),
        "hypotheses": len(made.hypotheses),
        "hunts": [summary(one) for one in settled],
        "gaps": sorted({gap.id for one in settled for gap in one.gaps}),
        "detections": sorted({d.id for one in settled for d in one.detections}),
        "cases": sorted({case.id for one in settled for case in one.cases}),
        "closed": [case.id for case in closed],
        "published": sum(p.state.value == "sent" for p in ended),
        "report": str(files[0]) if files else "",
    }


def _tell_hypotheses(kit: Kit, made: Hypothesised) -> None:
    ready = [h for h in made.hypotheses if can_hunt(kit, h.technique_id, h.scope)]
    merged = f"{made.claims} claims merged to {len(made.hypotheses)} hypotheses"
    lines = [f"{merged} ({len(made.new)} new); a hunt is at hand for {len(ready)}"]
    for hypothesis in made.hypotheses[:SHOWN] if made.new else ():
        claim, _, rest = hypothesis.statement.partition(" As reported: ")
        lines.append(f"{hypothesis.id} {claim}")
        lines.append(
            f"    priority {hypothesis.priority:.2f}, from {len(hypothesis.sources)} intel objects"
        )
        if rest and hypothesis is made.hypotheses[0]:
            terms = " + ".join(f"{t.name} {t.value:.2f}" for t in hypothesis.terms if t.value)
            lines[-1] = f"    priority {hypothesis.priority:.2f} = {terms}"
            lines.append(f"    as reported: {rest}")
    if len(made.hypotheses) > SHOWN and made.new:
        lines.append(f"... and {len(made.hypotheses) - SHOWN} more (huntonce hypotheses)")
    brief = lines[:3]
    if len(made.hypotheses) > 1 and made.new:
        brief.append(f"... and {len(made.hypotheses) - 1} more (huntonce hypotheses)")
    tell("Hypotheses", *lines, brief=brief, hypotheses=len(made.hypotheses), new=len(made.new))


def _hunt_what_is_due(
    kit: Kit, hypotheses: Sequence[Hypothesis], window: Window | None
) -> list[Settled]:
    """Hunt by priority whatever the ledger has not seen; hunt once."""
    settled: list[Settled] = []
    if window is None:
        tell("Hunt", f"{kit.siem.name} holds no events: nothing could be looked for")
        return settled
    probes, due = _probed(kit, hypotheses, window)
    waiting: list[str] = []
    progress = Progress("loop-hunts", "Hunts of this turn")
    for first in range(0, len(hypotheses), BATCH):
        progress.at(first, len(hypotheses))
        batch = hypotheses[first : first + BATCH]
        if not any(hypothesis.id in due for hypothesis in batch):
            waiting += _hunt_batch(kit, batch, window, probes)[1]
            continue
        with asking(kit.siem.name):
            hunted = hunt_several(opaque(kit), opaque(batch), opaque(window), opaque(probes))
        settled += hunted[0]
        waiting += hunted[1]
        show_waiting(kit)
    progress.at(len(hypotheses), len(hypotheses))
    if waiting:
        tell("Hunt", f"waiting for their gaps to close: {', '.join(waiting)}")
    return settled


@task(cache_policy=NO_CACHE)
def hunt_several(
    kit: Kit, hypotheses: Sequence[Hypothesis], window: Window, probes: Probes
) -> tuple[list[Settled], list[str]]:
    """Hunt those of some hypotheses that are due: a task costs Prefect as much as a small hunt.

    Returns what became of the hunts, and the ids of those that wait for their gaps.
    """
    return _hunt_batch(kit, hypotheses, window, probes)


def _hunt_batch(
    kit: Kit, hypotheses: Sequence[Hypothesis], window: Window, probes: Probes
) -> tuple[list[Settled], list[str]]:
    settled: list[Settled] = []
    waiting: list[str] = []
    for hypothesis in hypotheses:
        answer = to_hunt(kit, hypothesis, window)
        if answer is None:
            waiting += _left_alone(kit, hypothesis)
            continue
        if not answer.windows:
            _tell_not_hunted(hypothesis, answer)
        for span in answer.windows:
            try:
                settled.append(in_one_task(kit, hypothesis, span, answer, probes))
            except NotDueError as error:
                tell("Hunt once", f"{hypothesis.technique_id} is left to another run: {error}")
    return settled, waiting


def _left_alone(kit: Kit, hypothesis: Hypothesis) -> list[str]:
    """Its id, where a hypothesis that is not to be hunted waits for its gaps; else why, told."""
    if not can_hunt(kit, hypothesis.technique_id, hypothesis.scope):
        return []
    if only_ours(hypothesis):
        tell("Hunt once", f"{hypothesis.id} is only what we published ourselves: not hunted")
        return []
    return [hypothesis.id] if hypothesis.state is HypothesisState.BLOCKED else []


def _probed(
    kit: Kit, hypotheses: Sequence[Hypothesis], window: Window
) -> tuple[Probes, frozenset[str]]:
    """What the hunts of this turn need to know of their evidence, measured together; their ids."""
    asked: dict[Window, dict[str, None]] = {}
    due = set()
    for hypothesis in hypotheses:
        answer = to_hunt(kit, hypothesis, window)
        for span in answer.windows if answer else ():
            asked.setdefault(span, {})[hypothesis.technique_id] = None
            due.add(hypothesis.id)
    probes = Probes(kit)
    with asking(kit.siem.name):
        for span, techniques in asked.items():
            models = tuple(models_for(kit, techniques).values())
            measure(opaque(probes), opaque(models), opaque(span))
    return probes, frozenset(due)


def _tell_not_hunted(hypothesis: Hypothesis, answer: LedgerAnswer) -> None:
    tell(
        "Hunt once",
        f"{hypothesis.id} {hypothesis.technique_id} is not hunted again: {answer.answer.value}: "
        f"{answer.why}",
        ledger=answer.answer.value,
    )
