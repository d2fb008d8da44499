"""Techniques: four marks for each one of the hypotheses: intel, sight, hunted, guarded."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Verdict
from huntonce.models.ledger import Guard
from huntonce.models.report.words import count, percent

Claim = tuple[Hypothesis, HuntRun | None, tuple[Guard, ...]]


class Level(IntEnum):
    """How far a mark is filled, least first."""

    STOP = 0
    NONE = 1
    PART = 2
    FULL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A mark: a shape, and the words that say the same and more."""

    name: str
    level: Level
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TechniqueRow:
    """A technique with its four marks, in the order intel, sight, hunted, guarded."""

    technique_id: str
    name: str
    hypothesis_ids: tuple[str, ...]
    marks: tuple[Mark, Mark, Mark, Mark]


def technique_rows(claims: Iterable[Claim]) -> tuple[TechniqueRow, ...]:
    """One row a technique, in the order of the claims; superseded hypotheses are left out.

    Where several hypotheses are about one technique, each mark is that of the weakest.
    """
    groups: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim[0].state is not HypothesisState.SUPERSEDED:
            groups[claim[0].technique_id].append(claim)
    return tuple(_row(technique_id, group) for technique_id, group in groups.items())


def _row(technique_id: str, group: Sequence[Claim]) -> TechniqueRow:
    return TechniqueRow(
        technique_id=technique_id,
        name=group[0][0].technique_name,
        hypothesis_ids=tuple(hypothesis.id for hypothesis, _, _ in group),
        marks=(
            _weakest(_intel(hypothesis) for hypothesis, _, _ in group),
            _weakest(_sight(run) for _, run, _ in group),
            _weakest(_hunted(hypothesis, run) for hypothesis, run, _ in group),
            _joined([_guarded(guards) for _, _, guards in group]),
        ),
    )


def _weakest(marks: Iterable[Mark]) -> Mark:
    return min(marks, key=lambda mark: mark.level)


def _joined(marks: Sequence[Mark]) -> Mark:
    """The weakest, but a part where a detection stands for some of the hypotheses only."""
    standing = [mark for mark in marks if mark.level is Level.FULL]
    if not standing or len(standing) == len(marks):
        return _weakest(marks)
    names = ", ".join(dict.fromkeys(mark.words for mark in standing))
    words = f"{names}, for {len(standing)} of {count(len(marks), 'hypothesis')}"
    return Mark(name="guarded", level=Level.PART, words=words)


def _intel(hypothesis: Hypothesis) -> Mark:
    if not hypothesis.sources:
        return Mark(name="intel", level=Level.NONE, words="none: started by an analyst")
    newest = max(source.modified for source in hypothesis.sources)
    words = f"{count(len(hypothesis.sources), 'source')}, newest {newest:%Y-%m-%d}"
    if hypothesis.own_only:
        return Mark(name="intel", level=Level.PART, words=f"our own only: {words}")
    return Mark(name="intel", level=Level.FULL, words=words)


def _sight(run: HuntRun | None) -> Mark:
    power = run.power if run is not None else None
    if power is None:
        return Mark(name="sight", level=Level.NONE, words="not measured")
    if not power.value:
        return Mark(name="sight", level=Level.STOP, words="no host shows all of its evidence")
    seen = f"{power.seen:,} of {power.population:,} hosts, {percent(power.value)} of host-hours"
    return Mark(name="sight", level=Level.FULL if power.value >= 1 else Level.PART, words=seen)


def _hunted(hypothesis: Hypothesis, run: HuntRun | None) -> Mark:
    if run is None:
        if hypothesis.state is HypothesisState.BLOCKED:
            return Mark(name="hunted", level=Level.STOP, words="blocked: could not look")
        under_way = hypothesis.state is HypothesisState.HUNTING
        words = "under way" if under_way else "never hunted"
        return Mark(name="hunted", level=Level.NONE, words=words)
    level, words = {
        Verdict.CONFIRMED_MALICIOUS: (Level.FULL, "found: malicious"),
        Verdict.CONFIRMED_BENIGN: (Level.FULL, "found: benign"),
        Verdict.RULED_OUT: (Level.FULL, "ruled out where seen"),
        Verdict.INCONCLUSIVE: (Level.PART, "inconclusive: not ruled out"),
        Verdict.BLOCKED: (Level.STOP, "blocked: could not look"),
        None: (Level.NONE, "no verdict"),
    }[run.verdict]
    return Mark(name="hunted", level=level, words=f"{words} ({run.id})")


def _guarded(guards: Sequence[Guard]) -> Mark:
    standing = [guard.detection_id for guard in guards if guard.stands]
    if standing:
        return Mark(name="guarded", level=Level.FULL, words=", ".join(standing))
    promoted = [guard for guard in guards if guard.promoted]
    if promoted:
        faults = "; ".join(f"{g.detection_id}: {', '.join(g.faults())}" for g in promoted)
        return Mark(name="guarded", level=Level.PART, words=f"not standing: {faults}")
    words = "drafts only" if guards else "no detection"
    return Mark(name="guarded", level=Level.NONE, words=words)
