"""The hunt-once ledger: whether a hypothesis is still to be hunted, and which hours of it.

hunted with other versions?      -> stale              (hunt the whole window anew)
a live run is looking            -> running            (wait)
a promoted detection, healthy    -> covered            (do not hunt)
a promoted detection, unhealthy  -> covered_unhealthy  (hunt what no hunt has seen)
hunted before                    -> concluded          (hunt what no hunt has seen)
otherwise                        -> new                (hunt the window)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from huntonce.models.errors import DomainError
from huntonce.models.hypothesis import Hypothesis, HypothesisState
from huntonce.models.windows import Window, merge, subtract, utc

LAKE = "lake"
"""The SIEM of windows that were recorded before the ledger told SIEMs apart."""
_PROMOTED = frozenset({"experimental", "test", "stable"})


class Answer(StrEnum):
    """What the ledger says of a hypothesis."""

    NEW = "new"
    RUNNING = "running"
    CONCLUDED = "concluded"
    COVERED = "covered"
    COVERED_UNHEALTHY = "covered_unhealthy"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What a hunt stands on; a change makes earlier verdicts stale. "" = not known."""

    logic: str = ""
    evidence: str = ""
    attack: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A detection, as far as the ledger needs to know it.

    Attributes:
        detection_id: As people read it ("D-4").
        state: Of its life ("draft", "experimental", "test", "stable" ...).
        certified: Its certificate holds.
        scheduled: It was observed on the SIEM in question (the lake is one), which runs it.
        healthy: Its evidence arrives; None before the first check.
    """

    detection_id: str
    state: str
    certified: bool
    scheduled: bool
    healthy: bool | None

    @property
    def promoted(self) -> bool:
        """Whether it is meant to stand guard; a draft is not."""
        return self.state in _PROMOTED

    @property
    def stands(self) -> bool:
        """Whether it does."""
        return self.promoted and not self.faults()

    def faults(self) -> tuple[str, ...]:
        """Why it cannot be relied on, in words."""
        found = []
        if not self.certified:
            found.append("its certificate does not hold")
        if not self.scheduled:
            found.append("it is not observed to run")
        if self.healthy is None:
            found.append("its health was never checked")
        elif not self.healthy:
            found.append("its evidence does not arrive")
        return tuple(found)


class NotDueError(DomainError):
    """A hunt that was due is no more: another run has the hypothesis, or has hunted it since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAnswer:
    """The answer, and the windows that are still to be hunted (none = do not hunt)."""

    answer: Answer
    why: str
    windows: tuple[Window, ...] = ()


def consult(
    hypothesis: Hypothesis | None,
    *,
    wanted: Window,
    siem: str = LAKE,
    versions: Versions | None = None,
    guards: Sequence[Guard] = (),
    running: Iterable[Window] | None = None,
) -> LedgerAnswer:
    """What the ledger says of hunting ``wanted`` on a SIEM.

    What was seen on another SIEM says nothing of this one, nor does what runs there.
    Only ``stale`` gives hours that a concluded hunt has seen already.

    Args:
        hypothesis: As stored; None where it is not known yet. Its ``hunted`` holds what concluded
            hunts have really seen: a hunt that was blind to a span must not have added it.
        wanted: What one would like to hunt.
        siem: Where; ``guards`` and ``running`` are those of it.
        versions: What a hunt would stand on now, to compare with the stored hypothesis.
        guards: Every detection of this hypothesis.
        running: Windows of live runs; None where unknown, then the hypothesis' state decides. An
            empty list says that a run in state hunting was killed.
    """
    seen = hunted_windows(hypothesis, siem) if hypothesis else ()
    unseen = subtract(wanted, seen)
    if changed := _changed(hypothesis, versions or Versions()) if hypothesis and seen else ():
        why = f"hunted before, but since then {' and '.join(changed)}: the whole window again"
        return _unless_running(hypothesis, running, Answer.STALE, why, (wanted,))
    if any(guard.stands for guard in guards):
        return LedgerAnswer(answer=Answer.COVERED, why=_covered(guards))
    promoted = [guard for guard in guards if guard.promoted]
    if promoted:
        why = f"{_unhealthy(promoted)}; {_left(unseen)}"
        return _unless_running(hypothesis, running, Answer.COVERED_UNHEALTHY, why, unseen)
    if seen:
        return _unless_running(hypothesis, running, Answer.CONCLUDED, _left(unseen, seen), unseen)
    why = "known, never hunted" if hypothesis else "never seen before"
    return _unless_running(hypothesis, running, Answer.NEW, why, unseen)


def hunted_windows(hypothesis: Hypothesis, siem: str = LAKE) -> tuple[Window, ...]:
    """The windows that concluded hunts of it have seen on a SIEM, sorted and disjoint.

    Raises:
        DomainError: The record is not made of ISO times and a SIEM.
    """
    return _hunted(hypothesis).get(siem, ())


def add_hunted(
    hypothesis: Hypothesis, window: Window, siem: str = LAKE
) -> tuple[tuple[str, ...], ...]:
    """The ``hunted`` value of a hypothesis after one more window was seen on a SIEM."""
    hunted = _hunted(hypothesis)
    more = Window(utc(window.start), utc(window.end))
    return _written({**hunted, siem: merge([*hunted.get(siem, ()), more])})


def join_hunted(one: Hypothesis, other: Hypothesis) -> tuple[tuple[str, ...], ...]:
    """The ``hunted`` value of two hypotheses that become one."""
    mine, theirs = _hunted(one), _hunted(other)
    return _written(
        {siem: merge([*mine.get(siem, ()), *theirs.get(siem, ())]) for siem in {*mine, *theirs}}
    )


def still_hunted(hypothesis: Hypothesis, versions: Versions) -> tuple[tuple[str, ...], ...]:
    """The ``hunted`` value that a hunt with these versions finds: what others saw is stale."""
    return () if _changed(hypothesis, versions) else hypothesis.hunted


def _hunted(hypothesis: Hypothesis) -> dict[str, tuple[Window, ...]]:
    spans: dict[str, list[Window]] = {}
    try:
        for start, end, *siem in hypothesis.hunted:
            spans.setdefault(siem[0] if siem else LAKE, []).append(Window(_time(start), _time(end)))
    except ValueError as error:
        raise DomainError(f"{hypothesis.id or hypothesis.key}: hunted windows: {error}") from error
    return {siem: merge(windows) for siem, windows in spans.items()}


def _written(hunted: Mapping[str, Sequence[Window]]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (window.start.isoformat(), window.end.isoformat(), siem)
        for siem in sorted(hunted)
        for window in hunted[siem]
    )


def _time(text: str) -> datetime:
    return utc(datetime.fromisoformat(text))


def _changed(hypothesis: Hypothesis, now: Versions) -> tuple[str, ...]:
    """What differs from the versions that the stored verdict stands on."""
    pairs = (
        ("the hunt logic", hypothesis.logic_version, now.logic),
        ("the evidence it asks for", hypothesis.evidence_version, now.evidence),
        ("ATT&CK", hypothesis.attack_version, now.attack),
    )
    return tuple(
        f"{name} changed ({old} to {new})" for name, old, new in pairs if old and new and old != new
    )


def _unless_running(
    hypothesis: Hypothesis | None,
    running: Iterable[Window] | None,
    answer: Answer,
    why: str,
    windows: tuple[Window, ...],
) -> LedgerAnswer:
    """The answer, or ``running`` where a live run may be looking at the same hours."""
    if running is None:
        if hypothesis and hypothesis.state is HypothesisState.HUNTING:
            return LedgerAnswer(answer=Answer.RUNNING, why="a hunt for it is under way")
    else:
        live = merge(running)
        taken = [window for window in windows if any(window.overlap(other) for other in live)]
        if taken:
            why = f"a hunt for it is looking at {_list(live)} now"
            return LedgerAnswer(answer=Answer.RUNNING, why=why)
    return LedgerAnswer(answer=answer, why=why, windows=windows)


def _covered(guards: Sequence[Guard]) -> str:
    standing = [guard.detection_id for guard in guards if guard.stands]
    verb = "stands" if len(standing) == 1 else "stand"
    words = f"{', '.join(standing)} {verb} guard, certified, scheduled and healthy"
    broken = [guard for guard in guards if guard.promoted and not guard.stands]
    return f"{words}; but {_unhealthy(broken)}" if broken else words


def _unhealthy(guards: Sequence[Guard]) -> str:
    return "; ".join(
        f"{guard.detection_id} does not stand guard: {', '.join(guard.faults())}"
        for guard in guards
    )


def _left(unseen: tuple[Window, ...], seen: tuple[Window, ...] = ()) -> str:
    known = f"hunted {_list(seen)}; " if seen else ""
    return f"{known}still unseen: {_list(unseen)}" if unseen else f"{known}nothing is left unseen"


def _list(windows: Sequence[Window]) -> str:
    shown = ", ".join(str(window) for window in windows[:3])
    hours = sum((w.end - w.start for w in windows), timedelta()) / timedelta(hours=1)
    more = f" and {len(windows) - 3} more" if len(windows) > 3 else ""  # noqa: PLR2004 - as above
    return f"{shown}{more} ({hours:.0f} h)"
