"""A programme with one of everything, in a real store, with a clock that the test turns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from huntonce.models.case import Case
from huntonce.models.detection import Certificate, Deployment, Detection, DetectionState
from huntonce.models.evidence import Remedy
from huntonce.models.finding import Disposition, EventRef, Finding, Observable
from huntonce.models.gap import Gap, GapKind, GapState
from huntonce.models.hunt import Check, HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Term, Verdict
from huntonce.models.intel import SourceRef
from huntonce.models.keeping import UnitOfWork
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.report.programme import Programme, programme
from huntonce.models.setaside import InputKind, SetAside
from huntonce.models.state.store import Store, open_store, sqlite_url
from huntonce.models.tlp import Tlp
from huntonce.models.visibility import GroupPower, Power

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WHO = {"actor": "tester", "why": "for the test"}


@dataclass
class Turning:
    """A clock that stands still until it is turned."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def turn(self, hours: float) -> None:
        self.now += timedelta(hours=hours)


@contextmanager
def opened(folder: Path, clock: Turning | None = None) -> Iterator[Store]:
    with open_store(sqlite_url(folder / "store.db"), clock=clock or Turning()) as store:
        yield store


def read(store: Store, organisation: str = "Acme", note: str = "") -> Programme:
    with store.unit() as unit:
        return programme(unit, organisation=organisation, now=NOW, note=note)


def event(text: str = "HOST1") -> EventRef:
    return EventRef(
        uid=f"u-{text}",
        host=text,
        channel="Security",
        event_id=4698,
        record_id=7,
        time=NOW,
        role="registration",
    )


def hypothesis(technique_id: str = "T1053.005", text: str = "Somebody is here.") -> Hypothesis:
    return Hypothesis(
        technique_id=technique_id,
        technique_name=text,
        scope="windows",
        statement=text,
        state=HypothesisState.READY,
        priority=0.5,
        terms=(Term(name="recency", value=0.5, why=text),),
        actors=(text,),
        sources=(
            SourceRef(
                object_id="report--1",
                object_type="report",
                name=text,
                feed=text,
                tlp=Tlp.RED,
                modified=NOW,
            ),
        ),
    )


def power(value: float) -> Power:
    seen = round(240 * value)
    return Power(
        value=value,
        population=240,
        seen=seen,
        hours=336,
        groups=(
            GroupPower(name="creation", required=True, value=value, hosts=seen, atoms=("a/1",)),
        ),
        blind=("BLIND1",),
        weakest="creation",
        words=f"seen {seen} of 240 hosts",
    )


def concluded(unit: UnitOfWork, claim: Hypothesis, verdict: Verdict, share: float) -> HuntRun:
    """Store a hypothesis with one concluded hunt that found nothing."""
    stored = unit.hypotheses.add(claim, **WHO)
    run = unit.hunts.add(started(stored), **WHO)
    stored = unit.hypotheses.save(replace(stored, state=HypothesisState.HUNTING), **WHO)
    blocked = verdict is Verdict.BLOCKED
    seen = power(share)
    run = unit.hunts.save(
        replace(
            run,
            state=HuntState.CONCLUDED,
            verdict=verdict,
            why=f"so it is: {seen.words}",
            power=seen,
            checks=(Check(name="registered", query="SELECT 1", events=0, executed=not blocked),),
            outcomes=(f"verdict {verdict.value}",),
            concluded_at=NOW,
        ),
        **WHO,
    )
    state = HypothesisState.BLOCKED if blocked else HypothesisState.CONCLUDED
    unit.hypotheses.save(replace(stored, state=state, verdict=verdict), **WHO)
    return run


def started(claim: Hypothesis) -> HuntRun:
    return HuntRun(
        hypothesis_key=claim.key,
        hypothesis_id=claim.id,
        hunt_name="a hunt",
        technique_id=claim.technique_id,
        siem="lake",
        start=NOW - timedelta(days=14),
        end=NOW,
        started_at=NOW,
        ledger="new",
    )


def gap(source: str = "security/tasks", text: str = "Nobody sees it.") -> Gap:
    return Gap(
        gap_kind=GapKind.PARTIAL_POPULATION,
        source=source,
        atom_id="security/4698",
        atom_label=text,
        siem="lake",
        hosts=tuple(f"HOST{n:02}" for n in range(22)),
        population=240,
        group="creation",
        severity="high",
        reason=text,
        remedy=Remedy(text=text, commands=(f"auditpol {text}",)),
        owner=text,
        ticket=text,
    )


def finding(claim: Hypothesis, text: str = "A task", entity: str = "\\Updater") -> Finding:
    return Finding(
        hypothesis_key=claim.key,
        technique_id=claim.technique_id,
        title=text,
        reason=text,
        entity=entity,
        score=0.9,
        terms=(Term(name="burst", value=0.9, why=text),),
        state=Disposition.MALICIOUS,
        hosts=("HOST1", text),
        accounts=(text,),
        first=NOW,
        last=NOW,
        events=(event(), event(text)),
        observables=(Observable(type="command", value=text),),
        details={"command": text, text: "x"},
    )


def detection(claim: Hypothesis, text: str = "A rule", rule_id: str = "r1") -> Detection:
    return Detection(
        rule_id=rule_id,
        title=text,
        technique_ids=(claim.technique_id,),
        hypothesis_key=claim.key,
        hunt_name="a hunt",
        analytic="burst",
        level="high",
        rule=f"title: {text}\n",
        atoms=("security/4698",),
        state=DetectionState.EXPERIMENTAL,
        certificate=Certificate(
            rule_sha256="0",
            fixtures=(event(),),
            fired=5,
            expected=6,
            benign_hits=1,
            benign_events=1234,
            days=14.0,
            alerts_a_day=1 / 14,
            interval=(0.0018, 0.398),
            hosts=5,
            top_share=0.2,
            branches=((text, 5),),
            siems=(),
            holds=True,
        ),
        deployments=(Deployment(siem="lake", desired="enabled", observed="enabled"),),
        healthy=True,
    )


def case(claim: Hypothesis, found: Finding, text: str = "A case") -> Case:
    return Case(
        natural_key="c1",
        title=text,
        summary=text,
        hypothesis_key=claim.key,
        finding_ids=(found.id,),
        detection_ids=(),
        technique_ids=(claim.technique_id,),
        severity="high",
        tlp=Tlp.AMBER,
        hosts=("HOST1",),
        accounts=(text,),
        observables=found.observables,
        events=found.events,
        actors=(text,),
        source_ids=(),
        first=NOW,
        last=NOW,
        note=text,
        desk="builtin",
    )


def publication(name: str, state: PublicationState, why: str = "") -> Publication:
    return Publication(
        destination="isac",
        object_id=f"indicator--{name}",
        object_type="indicator",
        version="1",
        name=name,
        tlp=Tlp.GREEN,
        body="{}",
        subject="CASE-1",
        state=state,
        why=why,
    )


def fill(store: Store, clock: Turning, text: str = "plain words") -> None:
    """One of everything; ``text`` stands wherever the outside world may put a text."""
    with store.unit() as unit:
        claim = unit.hypotheses.add(hypothesis(text=text), **WHO)
        run = unit.hunts.add(started(claim), **WHO)
        unit.hypotheses.save(replace(claim, state=HypothesisState.HUNTING), **WHO)
        found = unit.findings.add(finding(claim, text), **WHO)
        first = unit.gaps.add(gap(text=text), **WHO)
        second = unit.gaps.add(gap("sysmon/1", text), **WHO)
        rule = unit.detections.add(detection(claim, text), **WHO)
        unit.detections.add(
            replace(detection(claim, text, "r2"), healthy=False, deployments=()), **WHO
        )
        opened_case = unit.cases.add(case(claim, found, text), **WHO)
        unit.hunts.save(
            replace(
                run,
                state=HuntState.CONCLUDED,
                verdict=Verdict.CONFIRMED_MALICIOUS,
                why=text,
                power=power(0.95),
                checks=(Check(name=text, query=text, events=3, complete=False, why=text),),
                finding_ids=(found.id,),
                gap_ids=(first.id, second.id),
                detection_ids=(rule.id,),
                case_ids=(opened_case.id,),
                outcomes=(f"not automated: {text}",),
            ),
            **WHO,
        )
        unit.hypotheses.save(
            replace(
                unit.hypotheses.get(claim.id) or claim,
                state=HypothesisState.CONCLUDED,
                verdict=Verdict.CONFIRMED_MALICIOUS,
            ),
            **WHO,
        )
        concluded(unit, hypothesis("T1003.001"), Verdict.RULED_OUT, 0.9)
        concluded(unit, hypothesis("T1105"), Verdict.INCONCLUSIVE, 0.4)
        concluded(unit, hypothesis("T1070.001"), Verdict.BLOCKED, 0.0)
        unit.hypotheses.add(hypothesis("T1021.002", text), **WHO)
        unit.publications.add(publication("sent", PublicationState.SENT), **WHO)
        unit.publications.add(publication(text, PublicationState.SKIPPED_TLP, text), **WHO)
        unit.set_aside.add(
            [SetAside(kind=InputKind.INTEL, source=text, place=text, reason=text, hint=text)],
            at=clock(),
        )
        unit.commit()
    clock.turn(50)
    with store.unit() as unit:
        passing = replace(second, state=GapState.VERIFYING, passes=1)
        passing = unit.gaps.save(passing, **WHO)
        clock.turn(24)
        unit.gaps.save(replace(passing, state=GapState.CLOSED, passes=2), **WHO)
        unit.commit()
