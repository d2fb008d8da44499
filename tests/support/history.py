"""A year in the life of a programme, written through the repositories as the stages would.

Nothing is written past the transition log; only the clock is the history's own, so that a year fits
into one transaction.
"""

import heapq
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.detection import Deployment, Detection, DetectionState
from huntonce.models.finding import Disposition, EventRef, Finding, Observable
from huntonce.models.hunt import Check, HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Term, Verdict
from huntonce.models.keeping import UnitOfWork
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.state.store import Store
from huntonce.models.tlp import Tlp
from tests.support.history_plan import DAYS, FLOOR, HOSTS, OF, START, certificate_of, power_of
from tests.support.history_work import Work


class History(Work):
    """Writes the year into a store that was opened with ``clock``."""

    def write(self, store: Store) -> None:
        """All of it, in order of time."""
        for number in range(self.size.hypotheses):
            self.at(self.moment(early=0.4), self.propose(number))
        for number in range(self.size.gaps):
            self.at(self.moment(first=10), self.surface(number))
        for number in range(self.size.detections):
            self.at(self.moment(first=20), self._draft(number))
        for number in range(self.size.cases):
            self.at(self.moment(first=15), self._open(number))
        with store.unit() as unit:
            while self.plan:
                self.clock.now, _, act = heapq.heappop(self.plan)
                act(unit)
            unit.commit()
        self.clock.now = START + timedelta(days=DAYS)

    def _draft(self, number: int) -> Callable[[UnitOfWork], None]:
        def act(unit: UnitOfWork) -> None:
            claim = unit.hypotheses.by_key(self.key())
            if claim is None:
                return
            rule = f"00000000-0000-4000-8000-{number:012}"
            detection = Detection(
                rule_id=rule,
                title=f"{claim.technique_name} by an unusual account",
                technique_ids=(claim.technique_id,),
                hypothesis_key=claim.key,
                hunt_name="rules",
                analytic="burst",
                level=self.dice.choice(("high", "medium")),
                rule=f"title: {claim.technique_name}\nid: {rule}\n",
                atoms=(f"security/{4600 + self.dice.randrange(20)}",),
                certificate=certificate_of(self.dice.expovariate(20)),
            )
            stored = unit.detections.add(detection, **OF)
            if self.dice.random() < 0.9:
                self.later(0.1, 1, self._promote(stored.id, DetectionState.EXPERIMENTAL))

        return act

    def _promote(self, detection_id: str, state: DetectionState) -> Callable[[UnitOfWork], None]:
        def act(unit: UnitOfWork) -> None:
            detection = unit.detections.get(detection_id)
            if detection is None:
                return
            deployed = (Deployment(siem="lake", desired="enabled", observed="enabled"),)
            healthy = self.dice.random() < 0.93
            detection = replace(detection, state=state, deployments=deployed, healthy=healthy)
            unit.detections.save(detection, **OF)
            steps = {
                DetectionState.EXPERIMENTAL: DetectionState.TEST,
                DetectionState.TEST: DetectionState.STABLE,
                DetectionState.STABLE: DetectionState.RETIRED,
            }
            if state in steps and self.dice.random() < 0.7:
                mean = 400 if state is DetectionState.STABLE else 20
                self.later(14, mean, self._promote(detection_id, steps[state]))

        return act

    def _open(self, number: int) -> Callable[[UnitOfWork], None]:
        def act(unit: UnitOfWork) -> None:
            claim = unit.hypotheses.by_key(self.key())
            if claim is None:
                return
            hosts = tuple(sorted(self.dice.sample(HOSTS, self.dice.randint(1, 6))))
            now = self.clock.now
            event = EventRef(
                uid=f"event-{number}",
                host=hosts[0],
                channel="Security",
                event_id=4688,
                record_id=number,
                time=now,
                role="tool",
            )
            finding = unit.findings.add(
                Finding(
                    hypothesis_key=claim.key,
                    technique_id=claim.technique_id,
                    title=f"{claim.technique_name} on {len(hosts)} hosts",
                    reason="many hosts within minutes",
                    entity=f"entity-{number}",
                    score=0.9,
                    terms=(Term(name="burst", value=0.9, why="many hosts within minutes"),),
                    state=Disposition.MALICIOUS,
                    hosts=hosts,
                    accounts=("ACME\\alice",),
                    first=now,
                    last=now,
                    events=(event,),
                    observables=(Observable(type="host", value=hosts[0]),),
                ),
                **OF,
            )
            case = unit.cases.add(
                Case(
                    natural_key=f"case-{number}",
                    title=f"{claim.technique_name} on {len(hosts)} hosts",
                    summary="",
                    hypothesis_key=claim.key,
                    finding_ids=(finding.id,),
                    detection_ids=(),
                    technique_ids=(claim.technique_id,),
                    severity="high",
                    tlp=Tlp.AMBER,
                    hosts=hosts,
                    accounts=("ACME\\alice",),
                    observables=(),
                    events=(event,),
                    actors=claim.actors,
                    source_ids=(),
                    first=now,
                    last=now,
                    desk="builtin",
                ),
                **OF,
            )
            self._found(unit, claim, finding, case)
            self.later(1, 8, self._close(case.id))

        return act

    def _found(self, unit: UnitOfWork, claim: Hypothesis, finding: Finding, case: Case) -> None:
        """The hunt that the case came from."""
        now = self.clock.now
        if claim.state not in {HypothesisState.READY, HypothesisState.CONCLUDED}:
            return
        run = unit.hunts.add(
            HuntRun(
                hypothesis_key=claim.key,
                hypothesis_id=claim.id,
                hunt_name=f"hunt-{claim.technique_id}",
                technique_id=claim.technique_id,
                siem="lake",
                start=now - timedelta(days=14),
                end=now,
                started_at=now,
            ),
            **OF,
        )
        claim = unit.hypotheses.save(replace(claim, state=HypothesisState.HUNTING), **OF)
        unit.hunts.save(
            replace(
                run,
                state=HuntState.CONCLUDED,
                verdict=Verdict.CONFIRMED_MALICIOUS,
                why="found",
                power=power_of(0.9),
                checks=(Check(name="selection", query="SELECT 1", events=4),),
                floor=FLOOR,
                finding_ids=(finding.id,),
                case_ids=(case.id,),
                outcomes=("verdict confirmed_malicious",),
                concluded_at=now,
            ),
            **OF,
        )
        claim = replace(claim, state=HypothesisState.CONCLUDED, verdict=Verdict.CONFIRMED_MALICIOUS)
        unit.hypotheses.save(claim, **OF)

    def _close(self, case_id: str) -> Callable[[UnitOfWork], None]:
        def act(unit: UnitOfWork) -> None:
            case = unit.cases.get(case_id)
            if case is None:
                return
            false = self.dice.random() < 0.25
            case = unit.cases.save(
                replace(
                    case,
                    state=CaseState.CLOSED,
                    determination=Determination.FALSE_POSITIVE
                    if false
                    else Determination.CONFIRMED,
                    closed_at=self.clock.now,
                    note="as found",
                ),
                **OF,
            )
            if not false:
                self._publish(unit, case)

        return act

    def _publish(self, unit: UnitOfWork, case: Case) -> None:
        for kind in ("indicator", "sighting", "report"):
            planned = unit.publications.add(
                Publication(
                    destination="isac",
                    object_id=f"{kind}--{case.id}",
                    object_type=kind,
                    version="1",
                    name=f"{kind} of {case.id}",
                    tlp=Tlp.GREEN,
                    body="{}",
                    subject=case.id,
                ),
                **OF,
            )
            held = self.dice.random() < 0.2
            state = PublicationState.SKIPPED_TLP if held else PublicationState.SENT
            why = "over the ceiling of isac" if held else ""
            unit.publications.save(replace(planned, state=state, why=why), **OF)
