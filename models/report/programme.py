"""Programme: all that the report shows, read from the store in one transaction.

Counts come from the transition log through ``metrics.measure``; nothing is typed in.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from huntonce.models.case import Case
from huntonce.models.demand import Fix, rank
from huntonce.models.entity import Kind
from huntonce.models.finding import Disposition
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.keeping import UnitOfWork
from huntonce.models.metrics.measure import Measures, measure
from huntonce.models.metrics.records import EVER, Period, Records
from huntonce.models.metrics.trends import Step, trend
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
        period: What the numbers and the hunts are of.
        previous: The same numbers for the span just before; None where the period has no length.
        fixes: Open gaps in the order in which mending them helps most.
        tactics: Technique id to the names of its tactics, as far as known.
        gaps: Most important first, open ones before the others.
        detections: Those in need of care first.
        cases: Open ones first, then the newest.
        hunts: Those of the period, newest first.
        hypotheses: Highest priority first.
        techniques: Those of the hypotheses, in their order.
        proposals: Those that wait for a person.
    """

    organisation: str
    at: datetime
    note: str
    tlp: Tlp | None
    period: Period
    measures: Measures
    previous: Measures | None
    trend: tuple[Step, ...]
    fixes: tuple[Fix, ...]
    tactics: Mapping[str, tuple[str, ...]]
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
        return {name: number.value for name, number in self.measures.numbers.items()}

    def whole(self, name: str) -> int:
        """A number that counts things; 0 where nothing is recorded to count."""
        return int(self.numbers[name] or 0)

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


def programme(
    unit: UnitOfWork,
    *,
    organisation: str,
    now: datetime,
    note: str = "",
    period: Period = EVER,
    floor: float = 0.0,
    tactics: Mapping[str, tuple[str, ...]] | None = None,
) -> Programme:
    """The programme as the store has it at this moment, with the numbers of a period.

    ``floor`` is the least power for ruling out: the order of the gaps rests on it.
    """
    records = records_of(unit, now=now)
    lives = lives_of(records.log)
    findings = unit.findings.list()
    # As in the numbers: the last concluded hunt of a hypothesis is the one that counts.
    last = records.last_hunts(EVER)
    views = hypothesis_views(records.hypotheses, last, records.gaps, records.detections)
    before = period.before()
    runs = [run for run in records.hunts if _within(run, records, period)]
    outcomes = (records.gaps, records.detections, records.cases)
    return Programme(
        organisation=organisation,
        at=now,
        note=note,
        tlp=_marking(records.hypotheses, records.cases, records.publications),
        period=period,
        measures=measure(records, period),
        previous=measure(records, before) if before is not None else None,
        trend=trend(records, period),
        fixes=rank(records.gaps, records.hypotheses, floor=floor),
        tactics=tactics or {},
        log=log_status(records.log, unit.log.verify()),
        gaps=gap_views(records.gaps, records.hypotheses, lives),
        detections=detection_views(records.detections, lives),
        cases=case_views(records.cases, findings, lives),
        hunts=hunt_views(runs, records.hypotheses, findings, outcomes),
        hypotheses=views,
        techniques=technique_rows([(v.hypothesis, v.last, v.guards) for v in views]),
        publications=tuple(records.publications),
        set_aside=unit.set_aside.list(),
        proposals=unit.proposals.list(*WAITING),
    )


def records_of(unit: UnitOfWork, *, now: datetime) -> Records:
    """All that numbers are computed from, read from the store."""
    return Records(
        log=unit.log.rows(),
        now=now,
        hypotheses=unit.hypotheses.list(),
        hunts=unit.hunts.list(),
        gaps=unit.gaps.list(),
        detections=unit.detections.list(),
        cases=unit.cases.list(),
        publications=unit.publications.list(),
        alerts=unit.alerts.list(),
    )


def _within(run: HuntRun, records: Records, period: Period) -> bool:
    """Whether a hunt was at work in a period."""
    life = records.of(Kind.HUNT).get(run.id, ())
    return period == EVER or any(period.has(row.at) for row in life)


def _marking(
    hypotheses: Sequence[Hypothesis], cases: Sequence[Case], publications: Sequence[Publication]
) -> Tlp | None:
    levels = [source.tlp for hypothesis in hypotheses for source in hypothesis.sources]
    levels += [case.tlp for case in cases] + [item.tlp for item in publications]
    return tightest(levels, Tlp.CLEAR) if levels else None
