"""Operate: the stages of one hunt in order, from a target in words to settled outcomes.

The flows run these steps as tasks, the command line runs them straight: the same functions, the
same result.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread

from huntonce.models.errors import DomainError, HuntonceError
from huntonce.models.gap import Gap
from huntonce.models.hunt import HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, HypothesisState
from huntonce.models.ledger import Answer, LedgerAnswer
from huntonce.models.stages.choosing import definition_for, needed_definition
from huntonce.models.stages.dispatch import dispatch
from huntonce.models.stages.hunt import HuntResult, hunt, prepare
from huntonce.models.stages.hypothesise import by_analyst, can_hunt, ledger, only_ours
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.probe import Sight
from huntonce.models.stages.promote import promote
from huntonce.models.stages.proof import Probes
from huntonce.models.stages.settle import Settled, begin, settle
from huntonce.models.windows import Window

_LOG = logging.getLogger(__name__)


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


_MAY_BE_HUNTED = frozenset(
    {HypothesisState.READY, HypothesisState.CONCLUDED, HypothesisState.BLOCKED}
)


def to_hunt(kit: Kit, hypothesis: Hypothesis, window: Window) -> LedgerAnswer | None:
    """The ledger's answer for a hypothesis that may be hunted; None where it has to wait.

    It waits where no hunt is at hand, where a run has it, while its gaps are open, and where only
    our own intel, come back, speaks for it.
    """
    if hypothesis.state not in _MAY_BE_HUNTED or not can_hunt(
        kit, hypothesis.technique_id, hypothesis.scope
    ):
        return None
    if only_ours(hypothesis):
        return None
    answer = ledger(kit, hypothesis, window)
    # What it could not look at yesterday it cannot today, unless a gap has closed (which makes it
    # ready again) or what a hunt stands on has changed.
    blocked = hypothesis.state is HypothesisState.BLOCKED and answer.answer is not Answer.STALE
    return None if blocked and answer.windows else answer


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


def as_seen(kit: Kit, result: HuntResult) -> HuntRun:
    """A hunt that was only looked at, as a run that is nowhere stored."""
    hypothesis = result.hypothesis
    return HuntRun(
        id="Dry run",
        hypothesis_key=hypothesis.key,
        hypothesis_id=hypothesis.id,
        hunt_name=result.definition.name,
        technique_id=hypothesis.technique_id,
        siem=kit.siem.name,
        start=result.window.start,
        end=result.window.end,
        started_at=kit.clock(),
        state=HuntState.CONCLUDED,
        verdict=result.verdict,
        why=result.why,
        power=result.sight.power,
        floor=kit.policy.power_floor,
        checks=result.checks,
        outcomes=("dry run: nothing was recorded and nothing left",),
    )


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
    with to_its_end(kit, run):
        return answer, finish(kit, run, look_for(kit, hypothesis, sight, gaps))


@contextmanager
def to_its_end(kit: Kit, run: HuntRun) -> Iterator[None]:
    """Within the block a run is alive; one that fails or is cancelled there is given up whole."""
    with alive(kit, run):
        try:
            yield
        except BaseException as error:  # a cancelled run too
            reason = "failed" if isinstance(error, Exception) else "cancelled"
            abandon(kit, run.id, f"{reason}: {str(error) or type(error).__name__}")
            raise


def abandon(kit: Kit, run_id: str, why: str) -> bool:
    """Give up a run that did not end: its claim is free and its hypothesis waits again.

    False where the run has ended already: what it settled stands.
    """
    with kit.open_unit() as unit:
        run = unit.hunts.get(run_id)
        if run is None or run.state is not HuntState.RUNNING:
            return False
        unit.hunts.save(replace(run, state=HuntState.ABANDONED), actor=kit.actor, why=why)
        unit.claims.release(run.id)
        stored = unit.hypotheses.by_key(run.hypothesis_key)
        others = any(
            other.hypothesis_key == run.hypothesis_key and other.id != run.id
            for other in unit.hunts.list(HuntState.RUNNING)
        )
        if stored is not None and stored.state is HypothesisState.HUNTING and not others:
            free = replace(stored, state=HypothesisState.READY)
            unit.hypotheses.save(free, actor=kit.actor, why=f"{run.id}: {why}")
        unit.commit()
    return True


SIGNS = 10
"""A run with a claim gives so many signs of life in the time after which a silent one is dead."""
LONGEST = timedelta(hours=6)
"""After this long a run without a claim is."""


@contextmanager
def alive(kit: Kit, run: HuntRun) -> Iterator[None]:
    """Within the block a run renews its claim, so that others can tell it from a killed one."""
    stop = Event()

    def renew() -> None:
        while not stop.wait(kit.policy.silent_for.total_seconds() / SIGNS):
            try:
                with kit.open_unit() as unit:
                    unit.claims.renew(run.id)
                    unit.commit()
            except HuntonceError:  # the next sign may come through; missing all of them frees it
                _LOG.warning("%s could not renew its claim", run.id)

    thread = Thread(target=renew, name=f"alive {run.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def abandon_dead(kit: Kit) -> tuple[str, ...]:
    """Give up runs that were killed: without a sign of life for long. Returns their ids."""
    now = kit.clock()
    with kit.open_unit() as unit:
        renewed = unit.claims.renewed()
        dead = [
            run.id
            for run in unit.hunts.list(HuntState.RUNNING)
            if (
                now - renewed[run.id] > kit.policy.silent_for
                if run.id in renewed
                else now - run.started_at > LONGEST
            )
        ]
    return tuple(run for run in dead if abandon(kit, run, "its process is gone"))
