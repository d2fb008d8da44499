"""Programme: all that the report shows, read from the store in one transaction.

Counts come from the transition log and the hunts through ``metrics.measure``; nothing is typed in.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from huntonce.models.case import Case, CaseState
from huntonce.models.detection import Detection
from huntonce.models.entity import Kind
from huntonce.models.finding import Disposition, Finding
from huntonce.models.gap import OPEN, Gap, GapState
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis, HypothesisState
from huntonce.models.ledger import Guard
from huntonce.models.metrics import Metrics, measure, remediation_hours
from huntonce.models.ports import UnitOfWork
from huntonce.models.proposal import Proposal, ProposalState
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.report.techniques import TechniqueRow, technique_rows
from huntonce.models.setaside import SetAside
from huntonce.models.tlp import Tlp, tightest
from huntonce.models.transition import Transition

Lives = Mapping[tuple[Kind, str], Sequence[Transition]]
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
    """A hunt with all that it led to; ``hypothesis`` is None where the store lost it."""

    run: HuntRun
    hypothesis: Hypothesis | None
    findings: tuple[Finding, ...]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """Everything the page shows.

    Attributes:
        note: What a reader must know first (that it is the demo); "" where nothing.
        tlp: Tightest marking of the intel that the page names; None where it names none.
        gaps: Most important first, open ones before the others.
        detections: Those in need of care first.
        cases: Open ones first, then the newest.
        hunts: Newest first.
        hypotheses: Highest priority first.
        techniques: Those of the hypotheses, in their order.
        proposals: Those that wait for a person.
    """

    organisation: str
    at: datetime
    note: str
    tlp: Tlp | None
    metrics: Metrics
    log: LogStatus
    gaps: tuple[GapView, ...]
    detections: tuple[DetectionView, ...]
    cases: tuple[CaseView, ...]
    hunts: tuple[HuntView, ...]
    hypotheses: tuple[HypothesisView, ...]
    techniques: tuple[TechniqueRow, ...]
    publications: tuple[Publication, ...]
    set_aside: tuple[SetAside, ...]
    proposals: tuple[Proposal, ...]

    @property
    def numbers(self) -> Mapping[str, float | None]:
        """Every number of the page by its name in ``DEFINITIONS``."""
        return {
            **asdict(self.metrics),
            "detections_guarding": self.guarding,
            "techniques_guarded": len(
                {t for v in self.detections if v.guard.stands for t in v.detection.technique_ids}
            ),
            "not_hunted": sum(
                view.last is None and view.hypothesis.state is not HypothesisState.SUPERSEDED
                for view in self.hypotheses
            ),
        }

    @property
    def guarding(self) -> int:
        """Detections that stand guard now."""
        return sum(view.guard.stands for view in self.detections)

    @property
    def leaving(self) -> tuple[tuple[str, PublicationState, str, int], ...]:
        """Destination, state, reason and number of the publications that share them."""
        groups = Counter((p.destination, p.state, p.why) for p in self.publications)
        ordered = sorted(groups.items(), key=lambda item: (item[0][0], -item[1]))
        return tuple((*key, number) for key, number in ordered)

    @property
    def judged(self) -> tuple[HypothesisView, ...]:
        """Hypotheses with a concluded hunt."""
        return tuple(view for view in self.hypotheses if view.last is not None)

    @property
    def evil_hosts(self) -> tuple[str, ...]:
        """Hosts of the malicious findings."""
        evil = [f for h in self.hunts for f in h.findings if f.disposition is Disposition.MALICIOUS]
        return tuple(sorted({host for finding in evil for host in finding.hosts}))


def programme(unit: UnitOfWork, *, organisation: str, now: datetime, note: str = "") -> Programme:
    """The programme as the store has it at this moment."""
    rows = unit.log.rows()
    lives = _lives(rows)
    hunts = unit.hunts.list()
    hypotheses = unit.hypotheses.list()
    gaps, detections, cases = unit.gaps.list(), unit.detections.list(), unit.cases.list()
    findings = unit.findings.list()
    publications = unit.publications.list()
    # As in metrics.measure: the last concluded hunt of a hypothesis is the one that counts.
    last = {run.hypothesis_key: run for run in hunts if run.verdict is not None}
    views = _hypotheses(hypotheses, last, gaps, detections)
    return Programme(
        organisation=organisation,
        at=now,
        note=note,
        tlp=_marking(hypotheses, cases, publications),
        metrics=measure(rows, hunts),
        log=_log(rows, unit.log.verify()),
        gaps=_gaps(gaps, hypotheses, lives),
        detections=_detections(detections, lives),
        cases=_cases(cases, findings, lives),
        hunts=_hunts(hunts, hypotheses, findings, (gaps, detections, cases)),
        hypotheses=views,
        techniques=technique_rows([(v.hypothesis, v.last, v.guards) for v in views]),
        publications=publications,
        set_aside=unit.set_aside.list(),
        proposals=unit.proposals.list(ProposalState.PENDING),
    )


def guard_of(detection: Detection) -> Guard:
    """A detection as the ledger looks at it."""
    certificate = detection.certificate
    return Guard(
        detection_id=detection.id,
        state=detection.state.value,
        certified=certificate is not None and certificate.holds,
        scheduled=any(d.observed == "enabled" for d in detection.deployments),
        healthy=detection.healthy,
    )


def _lives(rows: Sequence[Transition]) -> Lives:
    lives: dict[tuple[Kind, str], list[Transition]] = defaultdict(list)
    for row in rows:
        lives[row.kind, row.subject].append(row)
    return lives


def _born(lives: Lives, kind: Kind, subject: str) -> datetime | None:
    life = lives.get((kind, subject))
    return life[0].at if life else None


def _log(rows: Sequence[Transition], broken_at: int | None) -> LogStatus:
    kinds = Counter(row.kind.name.lower() for row in rows)
    return LogStatus(
        rows=len(rows),
        by_kind=tuple(kinds.most_common()),
        first=rows[0].at if rows else None,
        last=rows[-1].at if rows else None,
        broken_at=broken_at,
    )


def _marking(
    hypotheses: Sequence[Hypothesis], cases: Sequence[Case], publications: Sequence[Publication]
) -> Tlp | None:
    levels = [source.tlp for hypothesis in hypotheses for source in hypothesis.sources]
    levels += [case.tlp for case in cases] + [item.tlp for item in publications]
    return tightest(levels, Tlp.CLEAR) if levels else None


def _gaps(
    gaps: Sequence[Gap], hypotheses: Sequence[Hypothesis], lives: Lives
) -> tuple[GapView, ...]:
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


def _detections(detections: Sequence[Detection], lives: Lives) -> tuple[DetectionView, ...]:
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


def _cases(
    cases: Sequence[Case], findings: Sequence[Finding], lives: Lives
) -> tuple[CaseView, ...]:
    known = {finding.id: finding for finding in findings}
    views = [
        CaseView(
            case=case,
            opened_at=_born(lives, Kind.CASE, case.id),
            findings=tuple(known[i] for i in case.finding_ids if i in known),
        )
        for case in reversed(cases)
    ]
    return tuple(sorted(views, key=lambda view: view.case.state is CaseState.CLOSED))


def _hunts(
    hunts: Sequence[HuntRun],
    hypotheses: Sequence[Hypothesis],
    findings: Sequence[Finding],
    outcomes: tuple[Sequence[Gap], Sequence[Detection], Sequence[Case]],
) -> tuple[HuntView, ...]:
    claims = {hypothesis.key: hypothesis for hypothesis in hypotheses}
    found = {finding.id: finding for finding in findings}
    gaps = {gap.id: gap for gap in outcomes[0]}
    detections = {detection.id: detection for detection in outcomes[1]}
    cases = {case.id: case for case in outcomes[2]}
    return tuple(
        HuntView(
            run=run,
            hypothesis=claims.get(run.hypothesis_key),
            findings=tuple(found[i] for i in run.finding_ids if i in found),
            gaps=tuple(gaps[i] for i in run.gap_ids if i in gaps),
            detections=tuple(detections[i] for i in run.detection_ids if i in detections),
            cases=tuple(cases[i] for i in run.case_ids if i in cases),
        )
        for run in reversed(hunts)
    )


def _hypotheses(
    hypotheses: Sequence[Hypothesis],
    last: Mapping[str, HuntRun],
    gaps: Sequence[Gap],
    detections: Sequence[Detection],
) -> tuple[HypothesisView, ...]:
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
