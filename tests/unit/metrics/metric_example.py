"""The worked example of docs/metrics.md: its tables as read there, its things as told there."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from huntonce.models.alert import Alert
from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.detection import Certificate, Deployment, Detection, DetectionState
from huntonce.models.entity import Kind
from huntonce.models.evidence import Remedy
from huntonce.models.finding import EventRef
from huntonce.models.gap import Gap, GapKind
from huntonce.models.hunt import Check, HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, Verdict
from huntonce.models.intel import SourceRef
from huntonce.models.metrics.records import Period, Records
from huntonce.models.publication import Publication
from huntonce.models.tlp import Tlp
from huntonce.models.transition import Transition
from tests.support.builders import power

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
START, END = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
PERIOD = Period(start=START, end=END)


def rows_of(header: str) -> Iterator[list[str]]:
    """Cells of the rows of the page's table with a header."""
    text = PAGE.read_text().partition(f"{header}\n")[2]
    for line in text.splitlines()[1:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def log() -> list[Transition]:
    states: dict[str, str] = {}
    rows = []
    for number, (at, subject, after) in enumerate(rows_of("| time | thing | becomes |"), start=1):
        rows.append(
            Transition(
                seq=number,
                kind=Kind(re.sub(r"-\d+$", "", subject)),
                subject=subject,
                before=states.get(subject, ""),
                after=after,
                at=moment(at),
                actor="test",
                why="",
                evidence="",
            )
        )
        states[subject] = after
    return rows


def expected() -> dict[str, float]:
    return {name: float(value) for name, value, _ in rows_of("| number | value | worked out |")}


def source(object_id: str, feed: str, modified: str) -> SourceRef:
    return SourceRef(
        object_id=object_id,
        object_type="report",
        name=object_id,
        feed=feed,
        tlp=Tlp.GREEN,
        modified=moment(modified),
    )


def hypothesis(number: int, *sources: SourceRef) -> Hypothesis:
    return Hypothesis(
        id=f"H-{number}",
        technique_id=f"T100{number}",
        technique_name="a technique",
        scope="windows",
        statement="it is here",
        actors=("APT1",) if number < 3 else (),
        sources=sources,
    )


def gap(number: int, kind: GapKind, owner: str = "", unlocks: tuple[str, ...] = ()) -> Gap:
    return Gap(
        id=f"GAP-{number}",
        gap_kind=kind,
        source=f"source/{number}",
        atom_id="security/4698",
        atom_label="Security 4698",
        siem="lake",
        hosts=("A",),
        population=2,
        group="creation",
        severity="high",
        reason="",
        remedy=Remedy(text="mend it", commands=()),
        unlocks=unlocks,
        owner=owner,
    )


def run(
    number: int,
    claim: Hypothesis,
    verdict: Verdict,
    value: float = 1.0,
    queries: int = 0,
    hours: int = 168,
) -> HuntRun:
    checks = [Check(name=f"q{n}", query="SELECT 1", events=0) for n in range(queries)]
    refused = Check(name="refused", query="", events=0, executed=False)
    return HuntRun(
        id=f"HUNT-{number}",
        hypothesis_key=claim.key,
        hypothesis_id=claim.id,
        hunt_name="a-hunt",
        technique_id=claim.technique_id,
        siem="lake",
        start=START - timedelta(hours=hours),
        end=START,
        started_at=START,
        state=HuntState.CONCLUDED,
        verdict=verdict,
        power=power(value),
        checks=(*checks, refused),
        outcomes=("verdict",),
    )


def alert_on(day: int, *uids: str) -> Alert:
    at = datetime(2026, 3, day, 12, tzinfo=UTC)
    return Alert(
        id=f"ALERT-{day}",
        rule_id="rule-1",
        siem="lake",
        day=at.date(),
        count=len(uids),
        hosts=("pc1",),
        first=at,
        last=at,
        uids=uids,
    )


def detection(
    number: int, claim: Hypothesis, techniques: tuple[str, ...], **changes: Any
) -> Detection:
    values: dict[str, Any] = {
        "id": f"D-{number}",
        "rule_id": f"rule-{number}",
        "title": "a rule",
        "technique_ids": techniques,
        "hypothesis_key": claim.key,
        "hunt_name": "a-hunt",
        "analytic": "burst",
        "level": "high",
        "rule": "title: a rule\n",
        "atoms": ("security/4698",),
        "state": DetectionState.EXPERIMENTAL,
        "healthy": True,
        "deployments": (Deployment(siem="lake", desired="enabled", observed="enabled"),),
        **changes,
    }
    return Detection(**values)


def certificate(rate: float) -> Certificate:
    return Certificate(
        rule_sha256="0",
        fixtures=(),
        fired=1,
        expected=1,
        benign_hits=0,
        benign_events=1,
        days=14.0,
        alerts_a_day=rate,
        interval=(0.0, 1.0),
        hosts=1,
        top_share=1.0,
        branches=(),
        siems=(),
        holds=True,
    )


def case(
    number: int, claim: Hypothesis, determination: Determination | None, closed: str, uids: str
) -> Case:
    events = tuple(
        EventRef(uid=u, host="A", channel="Security", event_id=1, record_id=1, time=START)
        for u in uids
    )
    return Case(
        id=f"CASE-{number}",
        natural_key=f"case-{number}",
        title="a case",
        summary="",
        hypothesis_key=claim.key,
        finding_ids=(),
        detection_ids=(),
        technique_ids=(),
        severity="high",
        tlp=Tlp.GREEN,
        hosts=("A",),
        accounts=(),
        observables=(),
        events=events,
        actors=(),
        source_ids=(),
        first=START,
        last=START,
        state=CaseState.CLOSED if determination else CaseState.OPEN,
        determination=determination,
        closed_at=moment(closed) if closed else None,
    )


def publication(number: int, object_id: str, destination: str) -> Publication:
    return Publication(
        id=f"PUB-{number}",
        destination=destination,
        object_id=object_id,
        object_type="indicator",
        version="1",
        name="",
        tlp=Tlp.GREEN,
        body="{}",
        subject="CASE-1",
    )


def records() -> Records:
    one = hypothesis(1, source("report--1", "isac", "2026-02-19 09:00"))
    two = hypothesis(2, source("report--2", "vendor", "2026-03-02 06:00"))
    three = hypothesis(
        3,
        source("report--3", "isac", "2026-03-01 00:00"),
        source("indicator--1", "own", "2026-03-25 00:00"),
    )
    healthy = detection(
        1, one, ("T1053.005",), state=DetectionState.TEST, certificate=certificate(0.5)
    )
    blind = detection(
        2, three, ("T1053.005", "T1003.001"), healthy=False, certificate=certificate(0.25)
    )
    return Records(
        log=log(),
        now=END,
        hypotheses=(one, two, three, hypothesis(4), hypothesis(5)),
        hunts=(
            run(1, one, Verdict.RULED_OUT, 0.9, queries=1),
            run(2, one, Verdict.CONFIRMED_MALICIOUS, queries=4, hours=336),
            run(3, two, Verdict.INCONCLUSIVE, 0.4, queries=1),
            run(4, two, Verdict.BLOCKED, 0.0),
            run(5, three, Verdict.RULED_OUT, 0.85, queries=2),
        ),
        gaps=(
            gap(1, GapKind.NO_SOURCE, "windows"),
            gap(2, GapKind.MISSING_FIELD, "windows"),
            gap(3, GapKind.NO_SOURCE, "network", (one.key, two.key)),
            gap(4, GapKind.LAG),
            gap(5, GapKind.NO_SOURCE, "network", (two.key,)),
        ),
        detections=(
            healthy,
            blind,
            detection(3, two, ("T1105",), state=DetectionState.RETIRED),
        ),
        cases=(
            case(1, one, Determination.CONFIRMED, "2026-03-15 08:00", "ab"),
            case(2, three, Determination.FALSE_POSITIVE, "2026-03-18 00:00", "c"),
            case(3, three, None, "", ""),
        ),
        publications=(
            publication(1, "indicator--1", "one"),
            publication(2, "report--4", "one"),
            publication(3, "indicator--1", "two"),
        ),
        alerts=(
            alert_on(12, "a", "b", "c"),
            alert_on(13, "d"),
        ),
    )
