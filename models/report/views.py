"""Views: each thing of the programme with its times and what belongs to it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from huntonce.models.case import Case, CaseState
from huntonce.models.detection import Detection, guard_of
from huntonce.models.entity import Kind
from huntonce.models.finding import Finding
from huntonce.models.gap import OPEN, Gap, GapState
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis, HypothesisState
from huntonce.models.ledger import Guard
from huntonce.models.metrics import remediation_hours
from huntonce.models.transition import Transition

T = TypeVar("T")
Lives = Mapping[tuple[str, str], Sequence[Transition]]
_SEVERITY = ("critical", "high", "medium", "low", "informational")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStatus:
    """The transition log, as far as a reader can trust it.

    Attributes:
        by_kind: Name of a kind of thing and its rows, most first.
        broken_at: Seq of the first row whose hash or link is wrong; None where the chain holds.
    """

    rows: int
    by_kind: tuple[tuple[str, int], ...]
    first: datetime | None
    last: datetime | None
    broken_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GapView:
    """A gap with its times and what waits on it.

    Attributes:
        weakens: Ids of the hypotheses that it blocks or weakens.
        hours: From surfaced to the first passing probe; None where it is not closed.
    """

    gap: Gap
    surfaced_at: datetime | None
    hours: float | None
    weakens: tuple[str, ...]

    @property
    def open(self) -> bool:
        """Whether somebody still has to do something."""
        return self.gap.state in OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionView:
    """A detection and whether it stands guard."""

    detection: Detection
    guard: Guard
    promoted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """A case with its findings."""

    case: Case
    opened_at: datetime | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntView:
    """A hunt with all that it led to.

    Attributes:
        hypothesis: None where the store does not hold it.
        findings: Those that no later hunt found again.
        again: Those that a later hunt shows.
    """

    run: HuntRun
    hypothesis: Hypothesis | None
    findings: tuple[Finding, ...]
    again: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    detections: tuple[Detection, ...]
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HypothesisView:
    """A hypothesis, its last concluded hunt, and what guards or hinders it."""

    hypothesis: Hypothesis
    last: HuntRun | None
    guards: tuple[Guard, ...]
    open_gaps: tuple[str, ...]


def lives_of(rows: Sequence[Transition]) -> Lives:
    """The rows of each thing, in order."""
    lives: dict[tuple[str, str], list[Transition]] = defaultdict(list)
    for row in rows:
        lives[row.kind, row.subject].append(row)
    return lives


def _born(lives: Lives, kind: Kind, subject: str) -> datetime | None:
    life = lives.get((kind, subject))
    return life[0].at if life else None


def log_status(rows: Sequence[Transition], broken_at: int | None) -> LogStatus:
    """What the log holds and whether its chain does."""
    kinds = Counter(
        row.kind.name.lower() if isinstance(row.kind, Kind) else row.kind for row in rows
    )
    return LogStatus(
        rows=len(rows),
        by_kind=tuple(kinds.most_common()),
        first=rows[0].at if rows else None,
        last=rows[-1].at if rows else None,
        broken_at=broken_at,
    )


def gap_views(
    gaps: Sequence[Gap], hypotheses: Sequence[Hypothesis], lives: Lives
) -> tuple[GapView, ...]:
    """Most important first, open ones before the others."""
    ids = {hypothesis.key: hypothesis.id for hypothesis in hypotheses}
    views = [
        GapView(
            gap=gap,
            surfaced_at=_born(lives, Kind.GAP, gap.id),
            hours=_hours(gap, lives),
            weakens=tuple(ids[key] for key in gap.unlocks if key in ids),
        )
        for gap in gaps
    ]
    return tuple(sorted(views, key=_gap_rank))


def _hours(gap: Gap, lives: Lives) -> float | None:
    closed = gap.state is GapState.CLOSED
    return remediation_hours(lives.get((Kind.GAP, gap.id), ())) if closed else None


def _gap_rank(view: GapView) -> tuple[bool, int, int, int]:
    worst = _SEVERITY.index(view.gap.severity) if view.gap.severity in _SEVERITY else 1
    return (not view.open, worst, -len(view.weakens), -len(view.gap.hosts))


def detection_views(detections: Sequence[Detection], lives: Lives) -> tuple[DetectionView, ...]:
    """Those in need of care first."""
    views = []
    for detection in detections:
        life = lives.get((Kind.DETECTION, detection.id), ())
        promoted = [row.at for row in life if row.after in {"experimental", "test", "stable"}]
        views.append(
            DetectionView(
                detection=detection,
                guard=guard_of(detection),
                promoted_at=promoted[0] if promoted else None,
            )
        )
    return tuple(sorted(views, key=_detection_rank))


def _detection_rank(view: DetectionView) -> tuple[bool, bool, int]:
    level = view.detection.level
    worst = _SEVERITY.index(level) if level in _SEVERITY else 1
    return (not view.guard.promoted, view.guard.stands, worst)


def case_views(
    cases: Sequence[Case], findings: Sequence[Finding], lives: Lives
) -> tuple[CaseView, ...]:
    """Open ones first, then the newest."""
    known = {finding.id: finding for finding in findings}
    views = [
        CaseView(
            case=case,
            opened_at=_born(lives, Kind.CASE, case.id),
            findings=_of(known, case.finding_ids),
        )
        for case in reversed(cases)
    ]
    return tuple(sorted(views, key=lambda view: view.case.state is CaseState.CLOSED))


def hunt_views(
    hunts: Sequence[HuntRun],
    hypotheses: Sequence[Hypothesis],
    findings: Sequence[Finding],
    outcomes: tuple[Sequence[Gap], Sequence[Detection], Sequence[Case]],
) -> tuple[HuntView, ...]:
    """Newest first; ``outcomes`` are all gaps, detections and cases."""
    claims = {hypothesis.key: hypothesis for hypothesis in hypotheses}
    found = {finding.id: finding for finding in findings}
    gaps = {gap.id: gap for gap in outcomes[0]}
    detections = {detection.id: detection for detection in outcomes[1]}
    cases = {case.id: case for case in outcomes[2]}
    shown: set[str] = set()
    views = []
    for run in reversed(hunts):
        views.append(
            HuntView(
                run=run,
                hypothesis=claims.get(run.hypothesis_key),
                findings=_of(found, [i for i in run.finding_ids if i not in shown]),
                again=_of(found, [i for i in run.finding_ids if i in shown]),
                gaps=_of(gaps, run.gap_ids),
                detections=_of(detections, run.detection_ids),
                cases=_of(cases, run.case_ids),
            )
        )
        shown.update(run.finding_ids)
    return tuple(views)


def _of(known: Mapping[str, T], ids: Sequence[str]) -> tuple[T, ...]:
    return tuple(known[item] for item in ids if item in known)


def hypothesis_views(
    hypotheses: Sequence[Hypothesis],
    last: Mapping[str, HuntRun],
    gaps: Sequence[Gap],
    detections: Sequence[Detection],
) -> tuple[HypothesisView, ...]:
    """Hunted ones first, then by priority; ``last`` is the hunt that counts, by key."""
    guards: dict[str, list[Guard]] = defaultdict(list)
    for detection in detections:
        guards[detection.hypothesis_key].append(guard_of(detection))
    waiting: dict[str, list[str]] = defaultdict(list)
    for gap in gaps:
        for key in gap.unlocks if gap.state in OPEN else ():
            waiting[key].append(gap.id)
    views = [
        HypothesisView(
            hypothesis=hypothesis,
            last=last.get(hypothesis.key),
            guards=tuple(guards.get(hypothesis.key, ())),
            open_gaps=tuple(waiting.get(hypothesis.key, ())),
        )
        for hypothesis in hypotheses
    ]
    return tuple(sorted(views, key=_hypothesis_rank))


def _hypothesis_rank(view: HypothesisView) -> tuple[bool, bool, float]:
    superseded = view.hypothesis.state is HypothesisState.SUPERSEDED
    return (superseded, view.last is None, -view.hypothesis.priority)
