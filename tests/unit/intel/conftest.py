from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.detection import Detection, DetectionState
from huntonce.models.feedback import CaseIntel, Mask, TechniqueRef, leaks
from huntonce.models.finding import EventRef, Observable
from huntonce.models.intel import SourceRef
from huntonce.models.profile import Asset, Profile
from huntonce.models.tlp import Tlp
from huntonce.models.windows import Window

CLOSED = datetime(2026, 3, 4, 10, 20, 30, 123456, tzinfo=UTC)
FIRST = CLOSED - timedelta(days=2)
SCHEDULED_TASK = "attack-pattern--005a06c6-14bf-4118-afa0-ebcd8aebb0c9"
RULE = """title: Encoded PowerShell in a task run as SYSTEM
id: 7d0a5b86-6f0b-4b63-a3a5-3a2e5f0b7c11
status: experimental
logsource: {product: windows, service: security}
detection:
    selection:
        EventID: 4698
        TaskContent|contains|all: [powershell, ' -enc ']
    condition: selection
level: high
"""


def source(object_type: str, number: int, tlp: Tlp = Tlp.AMBER) -> SourceRef:
    return SourceRef(
        object_id=f"{object_type}--00000000-0000-4000-8000-{number:012d}",
        object_type=object_type,
        name=f"{object_type} {number}",
        feed="upstream",
        tlp=tlp,
        modified=FIRST,
    )


@pytest.fixture
def profile() -> Profile:
    return Profile(
        name="Example Works",
        internal_names=("corp.example",),
        internal_networks=("100.64.0.0/10",),
        assets=(Asset(host="WS01.corp.example", ip="100.64.3.4"), Asset(host="DC01")),
    )


@pytest.fixture
def case() -> Case:
    return Case(
        id="CASE-1",
        natural_key="hypothesis|finding",
        title="Scheduled task \\Updater\\Sync on WS01 and WS02",
        summary="j.doe registered the same task on WS01 and ws02.corp.example from 10.1.2.3.",
        hypothesis_key="h",
        finding_ids=("F-1",),
        detection_ids=("D-1",),
        technique_ids=("T1053.005", "T1059.001"),
        severity="high",
        tlp=Tlp.AMBER,
        hosts=("WS01", "WS02.corp.example"),
        accounts=("CORP\\j.doe", "NT AUTHORITY\\SYSTEM"),
        observables=(
            Observable(type="task", value="\\Updater\\Sync"),
            Observable(type="command", value="powershell.exe -enc SQBFAFgA"),
            Observable(type="file", value="C:\\Users\\j.doe\\run.ps1"),
            Observable(type="hash", value="SHA256=" + "ab" * 32),
            Observable(type="ip", value="203.0.113.9"),
            Observable(type="ip", value="10.1.2.3"),
            Observable(type="host", value="WS01"),
            Observable(type="user", value="CORP\\j.doe"),
        ),
        events=(
            EventRef(
                uid="e1", host="WS01", channel="Security", event_id=4698, record_id=1, time=FIRST
            ),
            EventRef(
                uid="e2", host="WS02", channel="Security", event_id=4698, record_id=2, time=FIRST
            ),
        ),
        actors=("COPPER HERON",),
        source_ids=(),
        first=FIRST,
        last=FIRST + timedelta(hours=1),
        state=CaseState.CLOSED,
        determination=Determination.CONFIRMED,
        note="j.doe's password was stolen.",
        closed_at=CLOSED,
    )


@pytest.fixture
def detection() -> Detection:
    return Detection(
        id="D-1",
        rule_id="7d0a5b86-6f0b-4b63-a3a5-3a2e5f0b7c11",
        title="Encoded PowerShell in a task run as SYSTEM",
        technique_ids=("T1053.005",),
        hypothesis_key="h",
        hunt_name="scheduled-task",
        analytic="task_content",
        level="high",
        rule=RULE,
        atoms=("security/4698",),
        state=DetectionState.EXPERIMENTAL,
    )


@pytest.fixture
def intel(case: Case, detection: Detection) -> CaseIntel:
    return CaseIntel(
        case=case,
        detections=(detection, replace(detection, rule_id="x", state=DetectionState.DRAFT)),
        source_refs=(
            source("campaign", 1),
            source("report", 2),
            source("report", 3),
            source("relationship", 4),
        ),
        organisation="Example Works",
        window=Window(FIRST - timedelta(days=7), FIRST + timedelta(days=1)),
        power="Power 0.93 over 12 hosts.",
        created=CLOSED,
        techniques=(TechniqueRef(id="T1053.005", name="Scheduled Task", stix_id=SCHEDULED_TASK),),
    )


@pytest.fixture
def mask(case: Case, profile: Profile) -> Mask:
    return Mask(b"k" * 32, hosts=case.hosts, accounts=case.accounts, leaks=leaks(profile))
