"""Explain: the chain from intel to outcome for one thing, where it stops, and what would move it.

intel ──> hypothesis ──> evidence ──> hunt ──> detection ──> case ──> shared
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from huntonce.models.case import Case, CaseState
from huntonce.models.demand import Fix, rank, told
from huntonce.models.detection import Detection, guard_of
from huntonce.models.entity import Kind
from huntonce.models.gap import OPEN, Gap
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Verdict
from huntonce.models.metrics.records import EVER, Records
from huntonce.models.report.words import (
    VERDICTS,
    count,
    determination,
    duration,
    gap_where,
    gap_wrong,
    health,
    percent,
    publication,
    runs_on,
    some,
    standing,
)


class Stand(StrEnum):
    """How a link of the chain stands."""

    DONE = "done"
    PART = "in part"
    NONE = "not yet"
    STOP = "stops here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of the chain."""

    name: str
    stand: Stand
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The chain of one hypothesis, or of a technique that has none.

    Attributes:
        about: Id of the hypothesis; "" where there is none.
        stops: Where and why it stops, in a sentence.
        move: The one thing to do; "" where nothing is to be done.
        command: What does it; "" where no command does.
    """

    about: str
    technique_id: str
    name: str
    links: tuple[Link, ...]
    stops: str
    move: str
    command: str

    @property
    def halt(self) -> int:
        """How far the chain goes: position of its first link that stops, or its length."""
        return next((i for i, x in enumerate(self.links) if x.stand is Stand.STOP), len(self.links))


class Explainer:
    """Explains hypotheses out of what is recorded.

    Args:
        floor: Least power for ruling out.
        huntable: Whether a hunt is at hand for a technique.
    """

    def __init__(self, records: Records, *, floor: float, huntable: Callable[[str], bool]) -> None:
        self._records = records
        self._huntable = huntable
        self._last = records.last_hunts(EVER)
        self._fixes = {f.gap.id: f for f in rank(records.gaps, records.hypotheses, floor=floor)}

    def technique(self, technique_id: str, name: str) -> tuple[Explanation, ...]:
        """A technique: each of its hypotheses, those that stop first before the others."""
        found = [
            self.hypothesis(h)
            for h in self._records.hypotheses
            if h.technique_id == technique_id and h.state is not HypothesisState.SUPERSEDED
        ]
        if found:
            return tuple(sorted(found, key=lambda one: one.halt))
        none = Link(name="intel", stand=Stand.STOP, words="no intelligence here claims it")
        later = ("hypothesis", "evidence", "hunt", "detection", "case", "shared")
        return (
            Explanation(
                about="",
                technique_id=technique_id,
                name=name,
                links=(none, *(Link(name=x, stand=Stand.NONE, words="none") for x in later)),
                stops="Nothing suspects it: no hypothesis is about it.",
                move="load intelligence that claims it, or hunt it all the same"
                if self._huntable(technique_id)
                else "load intelligence that claims it",
                command=f"huntonce hunt {technique_id}"
                if self._huntable(technique_id)
                else "huntonce intel pull",
            ),
        )

    def actor(self, name: str) -> tuple[Explanation, ...]:
        """Everything that an actor is said to do, those that stop first before the others."""
        folded = name.casefold()
        found = [
            self.hypothesis(h)
            for h in self._records.hypotheses
            if h.state is not HypothesisState.SUPERSEDED
            and any(actor.casefold() == folded for actor in h.actors)
        ]
        return tuple(sorted(found, key=lambda one: one.halt))

    def hypothesis(self, hypothesis: Hypothesis) -> Explanation:
        """The chain of one hypothesis."""
        run = self._last.get(hypothesis.key)
        gaps = self._gaps(hypothesis)
        detections = [d for d in self._records.detections if d.hypothesis_key == hypothesis.key]
        cases = [c for c in self._records.cases if c.hypothesis_key == hypothesis.key]
        links = [
            self._intel(hypothesis),
            self._claim(hypothesis),
            _evidence(run, gaps),
            self._hunt(hypothesis, run),
            _detection(detections),
            _case(cases, run),
            self._shared(cases),
        ]
        stops, move, command, at = self._halt(hypothesis, run, gaps, detections, cases)
        if at is not None:
            links[at] = Link(name=links[at].name, stand=Stand.STOP, words=links[at].words)
        return Explanation(
            about=hypothesis.id,
            technique_id=hypothesis.technique_id,
            name=hypothesis.technique_name,
            links=tuple(links),
            stops=stops,
            move=move,
            command=command,
        )

    # ------------------------------------------------------------ the links

    def _intel(self, hypothesis: Hypothesis) -> Link:
        if not hypothesis.sources:
            return Link(name="intel", stand=Stand.NONE, words="none: started by an analyst")
        newest = max(source.modified for source in hypothesis.sources)
        who = f"{some(hypothesis.actors)}; " if hypothesis.actors else ""
        own = ", all of them our own" if hypothesis.own_only else ""
        words = f"{who}{count(len(hypothesis.sources), 'source')}{own}, newest {newest:%Y-%m-%d}"
        return Link(name="intel", stand=Stand.DONE, words=words)

    def _claim(self, hypothesis: Hypothesis) -> Link:
        life = self._records.of(Kind.HYPOTHESIS).get(hypothesis.id, ())
        since = ""
        if life:
            hours = (self._records.now - life[-1].at).total_seconds() / 3600
            since = f", for {duration(max(0.0, hours))}"
        words = f"{hypothesis.id} {standing(hypothesis)}{since}; priority {hypothesis.priority:.2f}"
        return Link(name="hypothesis", stand=Stand.DONE, words=words)

    def _hunt(self, hypothesis: Hypothesis, run: HuntRun | None) -> Link:
        if run is None or run.verdict is None:
            at_hand = self._huntable(hypothesis.technique_id)
            words = "never run" if at_hand else "never run: no hunt for this technique is at hand"
            return Link(name="hunt", stand=Stand.NONE, words=words)
        good = {Verdict.RULED_OUT, Verdict.CONFIRMED_MALICIOUS, Verdict.CONFIRMED_BENIGN}
        stand = Stand.DONE if run.verdict in good else Stand.PART
        seen = f", {percent(run.power.value)} seen" if run.power is not None else ""
        words = f"{run.id} {VERDICTS[run.verdict]}{seen} ({run.start:%Y-%m-%d} to {run.end:%m-%d})"
        return Link(name="hunt", stand=stand, words=words)

    def _shared(self, cases: Sequence[Case]) -> Link:
        ids = {case.id for case in cases}
        states = [publication(p.state) for p in self._records.publications if p.subject in ids]
        if not states:
            return Link(name="shared", stand=Stand.NONE, words="nothing")
        told_ = (f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        stand = (
            Stand.DONE if any(s in {"sent", "was there already"} for s in states) else Stand.PART
        )
        return Link(name="shared", stand=stand, words="; ".join(told_))

    def _gaps(self, hypothesis: Hypothesis) -> list[Gap]:
        """Open gaps in its way, the one that gives most first."""
        order = list(self._fixes)
        found = [g for g in self._records.gaps if g.state in OPEN and hypothesis.key in g.unlocks]
        return sorted(found, key=lambda g: order.index(g.id) if g.id in order else len(order))

    # ------------------------------------------------------------ where it stops

    def _halt(
        self,
        hypothesis: Hypothesis,
        run: HuntRun | None,
        gaps: Sequence[Gap],
        detections: Sequence[Detection],
        cases: Sequence[Case],
    ) -> tuple[str, str, str, int | None]:
        """Why it stops, what to do, the command, and the position of the link it stops at."""
        guards = [guard_of(d) for d in detections]
        if any(guard.stands for guard in guards):
            names = some([g.detection_id for g in guards if g.stands])
            waits = [case.id for case in cases if case.state is CaseState.OPEN]
            if waits:
                return (*_close(waits[0]), 5)
            return (
                f"It does not stop: {names} watch for it, and it is not hunted again.",
                "",
                "",
                None,
            )
        broken = [guard for guard in guards if guard.promoted]
        if broken:
            why = f"{broken[0].detection_id} does not stand guard: {', '.join(broken[0].faults())}."
            return why, "mend what it needs", f"huntonce show {broken[0].detection_id}", 4
        verdict = run.verdict if run is not None else None
        blind = hypothesis.state is HypothesisState.BLOCKED or verdict in {
            Verdict.BLOCKED,
            Verdict.INCONCLUSIVE,
        }
        if blind and gaps:
            return (*self._mend(gaps[0]), 2)
        if run is None or verdict is None:
            return (*self._first(hypothesis), 3)
        return _after(run, cases)

    def _first(self, hypothesis: Hypothesis) -> tuple[str, str, str]:
        if self._huntable(hypothesis.technique_id):
            return "No hunt has looked for it.", "hunt it", f"huntonce hunt {hypothesis.id}"
        why = f"No hunt for {hypothesis.technique_id} is at hand."
        return why, "write a hunt definition for it", "huntonce hunts"

    def _mend(self, gap: Gap) -> tuple[str, str, str]:
        fix: Fix | None = self._fixes.get(gap.id)
        gives = f", which {told(fix)}" if fix is not None and told(fix) else ""
        why = f"{gap.id}: {gap_wrong(gap)} ({gap_where(gap)})."
        move = f"mend {gap.id}{gives}"
        return why, move, next(iter(gap.remedy.commands), f"huntonce show {gap.id}")


def _close(case: str) -> tuple[str, str, str]:
    why = (
        f"{case} is with incident response; what it learns becomes intelligence when it is closed."
    )
    return why, f"close {case} when its work is done", f"huntonce cases close {case}"


def _after(run: HuntRun, cases: Sequence[Case]) -> tuple[str, str, str, int | None]:
    """Where it stands after a hunt with a verdict that no detection followed."""
    match run.verdict:
        case Verdict.RULED_OUT:
            why = "It rests: ruled out where it could be seen, and no detection watches for it."
            return (
                why,
                "hunt again when there is newer telemetry or intelligence",
                "huntonce loop",
                4,
            )
        case Verdict.INCONCLUSIVE | Verdict.BLOCKED:
            why = f"{run.id} could not decide: {run.why}."
            return (
                why,
                "look at it, mend what it names and hunt again",
                f"huntonce show {run.id}",
                3,
            )
        case _:
            waits = [case.id for case in cases if case.state is CaseState.OPEN]
            if waits:
                return (*_close(waits[0]), 5)
            why = f"{run.id} found something, and no detection has come of it."
            return why, "see why it was not automated", f"huntonce show {run.id}", 4


def _evidence(run: HuntRun | None, gaps: Sequence[Gap]) -> Link:
    named = f"; open gaps: {some([gap.id for gap in gaps])}" if gaps else ""
    if run is None or run.power is None:
        words = f"not measured: no hunt has asked for it{named}"
        return Link(name="evidence", stand=Stand.PART if gaps else Stand.NONE, words=words)
    power = run.power
    stand = Stand.DONE if power.value >= (run.floor or 1.0) else Stand.PART
    weak = f"; weakest: {power.weakest}" if power.value < 1 and power.weakest else ""
    words = (
        f"seen on {power.seen:,} of {count(power.population, 'host')}, {percent(power.value)} of "
        f"the host-hours{weak}{named}"
    )
    return Link(name="evidence", stand=stand, words=words)


def _detection(detections: Sequence[Detection]) -> Link:
    if not detections:
        return Link(name="detection", stand=Stand.NONE, words="none")
    guards = [guard_of(d) for d in detections]
    standing_ = [d for d, guard in zip(detections, guards, strict=True) if guard.stands]
    shown = (standing_ or list(detections))[0]
    more = f"; {len(detections) - 1} more" if len(detections) > 1 else ""
    words = f"{shown.id} {shown.state.value}, runs on {runs_on(shown)}, {health(shown)}{more}"
    return Link(name="detection", stand=Stand.DONE if standing_ else Stand.PART, words=words)


def _case(cases: Sequence[Case], run: HuntRun | None) -> Link:
    if cases:
        words = "; ".join(f"{case.id} {determination(case)}" for case in cases[:3])
        return Link(name="case", stand=Stand.DONE, words=words)
    looked = run is not None and run.verdict not in {None, Verdict.BLOCKED}
    words = "none" if looked else "none: nothing has been looked at"
    return Link(name="case", stand=Stand.NONE, words=words)
