"""Operate: the stages of one hunt in order, from a target in words to settled outcomes.

The flows run these steps as tasks, the command line runs them straight: the same functions, the
same result.
"""

from dataclasses import replace

from huntonce.models.errors import DomainError
from huntonce.models.gap import Gap
from huntonce.models.hunt import HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.ledger import LedgerAnswer
from huntonce.models.stages.choosing import definition_for, needed_definition
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.hunt import HuntResult, hunt, prepare
from huntonce.models.stages.hypothesise import by_analyst, ledger
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.probe import Sight
from huntonce.models.stages.promote import promote
from huntonce.models.stages.proof import Probes
from huntonce.models.stages.settle import Settled, begin, settle
from huntonce.models.windows import Window


def find_target(kit: Kit, target: str) -> Hypothesis:
    """The hypothesis that a technique id or name, hypothesis id or hunt name means.

    Raises:
        DomainError: Nothing, or more than one thing, is meant.
    """
    with kit.open_unit() as unit:
        stored = unit.hypotheses.get(target.upper())
    if stored is not None:
        return stored
    definition = kit.library.hunt(target)
    if definition is not None:
        return by_analyst(kit, definition, definition.techniques[0])
    found = kit.catalogue.find(target)
    if not found:
        raise DomainError(
            f"nothing is called {target!r}",
            hint="name a technique (T1053.005), a hypothesis (H-1) or a hunt (huntonce hunts)",
        )
    written = [t for t in found if kit.library.hunt_for(t.id) is not None]
    known = written or [t for t in found if definition_for(kit, t.id) is not None]
    chosen = (known or list(found))[0].id
    return by_analyst(kit, needed_definition(kit, chosen), chosen)


def default_window(kit: Kit) -> Window:
    """All that the SIEM holds.

    Raises:
        DomainError: It holds nothing.
    """
    extent = kit.siem.extent()
    if extent is None:
        raise DomainError(
            f"{kit.siem.name} holds no events, so nothing can be looked for",
            hint="load logs with: huntonce lake load PATH...",
        )
    return extent


def start(
    kit: Kit,
    hypothesis: Hypothesis,
    window: Window,
    answer: LedgerAnswer,
    *,
    once: bool = False,
    probes: Probes | None = None,
) -> tuple[HuntRun, Sight, tuple[Gap, ...]]:
    """Record the run and measure what can be seen, before any query of the hunt.

    ``once`` is for whoever obeys the ledger: the run then claims the hypothesis. ``probes`` hold
    what was measured for several hunts of a turn.

    Raises:
        NotDueError: With ``once``: another run has it, or has hunted it since the ledger answered.
        DomainError: No hunt or evidence model is at hand; nothing is recorded then.
    """
    sight, gaps = prepare(kit, hypothesis, window, probes)
    return begin(kit, hypothesis, window, answer.answer.value, once=once), sight, gaps


def look_for(kit: Kit, hypothesis: Hypothesis, sight: Sight, gaps: tuple[Gap, ...]) -> HuntResult:
    """Run the hunt over what was probed."""
    return hunt(kit, hypothesis, sight, gaps)


def finish(kit: Kit, run: HuntRun, result: HuntResult) -> Settled:
    """Promote patterns, settle everything in one transaction, and send what leaves."""
    settled = settle(kit, run, result, promote(kit, result))
    dispatch(kit)
    return refreshed(kit, settled)


def refreshed(kit: Kit, settled: Settled) -> Settled:
    """The same with what the senders recorded (ticket and case numbers, deployments)."""
    with kit.open_unit() as unit:
        return replace(
            settled,
            gaps=tuple(unit.gaps.get(gap.id) or gap for gap in settled.gaps),
            detections=tuple(unit.detections.get(d.id) or d for d in settled.detections),
            cases=tuple(unit.cases.get(case.id) or case for case in settled.cases),
        )


def carry_out(kit: Kit, hypothesis: Hypothesis, window: Window) -> tuple[LedgerAnswer, Settled]:
    """A whole hunt that a person asked for: it says what the ledger thinks, and looks anyway."""
    answer = ledger(kit, hypothesis, window)
    run, sight, gaps = start(kit, hypothesis, window, answer)
    return answer, finish(kit, run, look_for(kit, hypothesis, sight, gaps))


def abandon_dead(kit: Kit, *, older_than_hours: float = 6) -> tuple[str, ...]:
    """Give up runs that were killed: still running long after they began. Returns their ids."""
    now = kit.clock()
    with kit.open_unit() as unit:
        dead = [
            run
            for run in unit.hunts.list(HuntState.RUNNING)
            if (now - run.started_at).total_seconds() > older_than_hours * 3600
        ]
        for run in dead:
            why = "its process is gone"
            unit.hunts.save(replace(run, state=HuntState.ABANDONED), actor=kit.actor, why=why)
            unit.claims.release(run.id)
        unit.commit()
    return tuple(run.id for run in dead)
