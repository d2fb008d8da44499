"""The programme's numbers, by an example that was worked out by hand."""

from datetime import datetime
from typing import Any

from huntonce.models.entity import Kind
from huntonce.models.hunt import HuntRun, HuntState
from huntonce.models.hypothesis import Verdict
from huntonce.models.metrics import measure, remediation_hours
from huntonce.models.transition import Transition
from tests.support.builders import T0, after, check, power

_PREFIX = {"GAP": Kind.GAP, "D": Kind.DETECTION, "CASE": Kind.CASE, "H": Kind.HYPOTHESIS}


def life(subject: str, *steps: tuple[float, str]) -> list[Transition]:
    """Transitions of one thing: hours after ``T0`` and the state then."""
    before, rows = "", []
    for hours, state in steps:
        rows.append(
            Transition(
                kind=_PREFIX[subject.partition("-")[0]],
                subject=subject,
                before=before,
                after=state,
                at=after(hours=hours),
                actor="test",
                why="",
                evidence="",
            )
        )
        before = state
    return rows


def run(key: str, verdict: Verdict | None, value: float = 1.0, start: datetime = T0) -> HuntRun:
    values: dict[str, Any] = {
        "hypothesis_key": key,
        "hypothesis_id": key,
        "hunt_name": "a-hunt",
        "technique_id": "T1053.005",
        "siem": "lake",
        "start": start,
        "end": after(hours=1),
        "started_at": start,
    }
    if verdict is not None:
        values |= {
            "state": HuntState.CONCLUDED,
            "verdict": verdict,
            "outcomes": ("verdict",),
            "checks": (check(),),
            "power": power(value),
        }
    return HuntRun(**values)


STRAIGHT = life("GAP-1", (0, "surfaced"), (10, "verifying"), (12, "closed"))
RELAPSED = life(
    "GAP-2", (0, "surfaced"), (4, "verifying"), (5, "surfaced"), (20, "verifying"), (21, "closed")
)
BACK_AND_MENDED = life(
    "GAP-3",
    (0, "surfaced"),
    (2, "verifying"),
    (3, "closed"),
    (100, "regressed"),
    (106, "verifying"),
    (107, "closed"),
)
BACK = life("GAP-4", (0, "surfaced"), (2, "verifying"), (3, "closed"), (9, "regressed"))
ACCEPTED = life("GAP-5", (0, "surfaced"), (1, "risk_accepted"))
OPEN = life("GAP-6", (0, "surfaced"))


def test_remediation_runs_to_the_first_pass_of_the_run_that_verified() -> None:
    assert remediation_hours(STRAIGHT) == 10
    assert remediation_hours(RELAPSED) == 20
    assert remediation_hours(OPEN) is None


def test_a_gap_that_came_back_is_measured_from_its_return() -> None:
    assert remediation_hours(BACK_AND_MENDED) == 6


def test_a_gap_that_is_back_says_how_long_its_last_mending_took() -> None:
    assert remediation_hours(BACK) == 2


def test_the_whole_example() -> None:
    log = [
        *STRAIGHT,
        *RELAPSED,
        *BACK_AND_MENDED,
        *BACK,
        *ACCEPTED,
        *OPEN,
        *life("D-1", (0, "experimental")),
        *life("D-2", (0, "draft")),
        *life("D-3", (0, "experimental"), (1, "test"), (9, "retired")),
        *life("CASE-1", (0, "open"), (5, "closed")),
        *life("CASE-2", (0, "open")),
        *life("H-1", (0, "proposed")),
        *life("H-2", (0, "proposed")),
        *life("H-3", (0, "proposed")),
    ]
    runs = [
        run("h1", Verdict.BLOCKED, 0),
        run("h1", Verdict.RULED_OUT, 0.9, after(hours=1)),
        run("h2", Verdict.RULED_OUT, 0.85),
        run("h3", Verdict.CONFIRMED_MALICIOUS),
        run("h4", Verdict.INCONCLUSIVE, 0.5),
        run("h5", None),
    ]

    found = measure(log, runs)

    assert (found.gaps_surfaced, found.gaps_closed, found.gaps_open) == (6, 3, 2)
    assert found.gaps_regressed == 2
    assert found.remediation_hours == 10
    assert (found.detections_promoted, found.detections_retired) == (2, 1)
    assert (found.cases_opened, found.cases_closed) == (2, 1)
    assert (found.hypotheses, found.hunts) == (3, 5)
    assert (found.confirmed, found.ruled_out, found.inconclusive, found.blocked) == (1, 2, 1, 0)
    assert found.ruled_out_power == 0.9 + 0.85


def test_a_programme_that_did_nothing_yet_has_numbers_too() -> None:
    found = measure([], [])

    assert found.remediation_hours is None
    assert (found.gaps_surfaced, found.hunts, found.ruled_out_power) == (0, 0, 0)
