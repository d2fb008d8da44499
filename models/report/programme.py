"""Programme: all that the report shows, read from the store in one transaction.

Counts come from the transition log and the hunts through ``metrics.measure``; nothing is typed in.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from huntonce.models.case import Case
from huntonce.models.finding import Disposition
from huntonce.models.hypothesis import Hypothesis, HypothesisState
from huntonce.models.metrics import Metrics, measure
from huntonce.models.ports import UnitOfWork
from huntonce.models.proposal import WAITING, Proposal
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.report.techniques import TechniqueRow, technique_rows
from huntonce.models.report.views import (
    CaseView,
    DetectionView,
    GapView,
    HuntView,
    HypothesisView,
    LogStatus,
    case_views,
    detection_views,
    gap_views,
    hunt_views,
    hypothesis_views,
    lives_of,
    log_status,
)
from huntonce.models.setaside import SetAside
from huntonce.models.tlp import Tlp, tightest


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
            "not_hunted": self.not_hunted,
        }

    @property
    def not_hunted(self) -> int:
        """Hypotheses that still count and have no concluded hunt."""
        return sum(
            view.last is None and view.hypothesis.state is not HypothesisState.SUPERSEDED
            for view in self.hypotheses
        )

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
        """Hosts of the malicious findings of the hunts that count."""
        counting = {view.last.id for view in self.judged if view.last is not None}
        found = [f for h in self.hunts if h.run.id in counting for f in (*h.findings, *h.again)]
        evil = [f for f in found if f.disposition is Disposition.MALICIOUS]
        return tuple(sorted({host for finding in evil for host in finding.hosts}))


def programme(unit: UnitOfWork, *, organisation: str, now: datetime, note: str = "") -> Programme:
    """The programme as the store has it at this moment."""
    rows = unit.log.rows()
    lives = lives_of(rows)
    hunts = unit.hunts.list()
    hypotheses = unit.hypotheses.list()
    gaps, detections, cases = unit.gaps.list(), unit.detections.list(), unit.cases.list()
    findings = unit.findings.list()
    publications = unit.publications.list()
    # As in metrics.measure: the last concluded hunt of a hypothesis is the one that counts.
    last = {run.hypothesis_key: run for run in hunts if run.verdict is not None}
    views = hypothesis_views(hypotheses, last, gaps, detections)
    return Programme(
        organisation=organisation,
        at=now,
        note=note,
        tlp=_marking(hypotheses, cases, publications),
        metrics=measure(rows, hunts),
        log=log_status(rows, unit.log.verify()),
        gaps=gap_views(gaps, hypotheses, lives),
        detections=detection_views(detections, lives),
        cases=case_views(cases, findings, lives),
        hunts=hunt_views(hunts, hypotheses, findings, (gaps, detections, cases)),
        hypotheses=views,
        techniques=technique_rows([(v.hypothesis, v.last, v.guards) for v in views]),
        publications=publications,
        set_aside=unit.set_aside.list(),
        proposals=unit.proposals.list(*WAITING),
    )


def _marking(
    hypotheses: Sequence[Hypothesis], cases: Sequence[Case], publications: Sequence[Publication]
) -> Tlp | None:
    levels = [source.tlp for hypothesis in hypotheses for source in hypothesis.sources]
    levels += [case.tlp for case in cases] + [item.tlp for item in publications]
    return tightest(levels, Tlp.CLEAR) if levels else None
