"""Where a chain stops and what would move it, for every place where it can stop."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.flows.bootstrap import Home
from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.detection import Detection, DetectionState
from huntonce.models.gap import Gap, GapKind, Wait
from huntonce.models.hypothesis import HypothesisState, Verdict
from huntonce.models.metrics.records import Records
from huntonce.models.report.explain import Explainer, Explanation, Stand
from tests.unit.metrics import metric_example as example
from tests.unit.report.report_examples import Turning, fill

CLAIM = replace(example.hypothesis(1), state=HypothesisState.CONCLUDED, actors=("APT1",))


def explained(
    *,
    huntable: bool = True,
    verdict: Verdict | None = None,
    gaps: tuple[Gap, ...] = (),
    detections: tuple[Detection, ...] = (),
    cases: tuple[Case, ...] = (),
) -> Explanation:
    value = 0.9 if verdict is Verdict.RULED_OUT else 0.4
    runs = (example.run(1, CLAIM, verdict, value, queries=1),) if verdict else ()
    records = Records(
        log=(),
        now=example.END,
        hypotheses=(CLAIM,),
        hunts=runs,
        gaps=gaps,
        detections=detections,
        cases=cases,
    )
    return Explainer(records, floor=0.8, huntable=lambda _: huntable).hypothesis(CLAIM)


def stop_of(one: Explanation) -> str:
    return one.links[one.halt].name if one.halt < len(one.links) else ""


def gap() -> Gap:
    wait = Wait(
        hypothesis=CLAIM.key, group="creation", dark=0.5, lit=0.5, rest=1.0, start="", end=""
    )
    made = example.gap(3, GapKind.NO_SOURCE, "network", (CLAIM.key,))
    return replace(made, waits=(wait,), remedy=replace(made.remedy, commands=("auditpol /set",)))


def test_a_technique_that_nothing_claims_stops_at_intel() -> None:
    explainer = Explainer(Records(log=(), now=example.END), floor=0.8, huntable=lambda _: True)
    (one,) = explainer.technique("T1490", "Inhibit System Recovery")

    assert stop_of(one) == "intel"
    assert one.command == "huntonce hunt T1490"
    assert all(link.stand is not Stand.DONE for link in one.links)


def test_never_hunted_stops_at_the_hunt_and_says_whether_one_is_at_hand() -> None:
    assert stop_of(explained()) == "hunt"
    assert explained().command == "huntonce hunt H-1"
    assert "is at hand" in explained(huntable=False).stops


@pytest.mark.parametrize("verdict", [Verdict.BLOCKED, Verdict.INCONCLUSIVE])
def test_what_could_not_be_looked_at_stops_at_its_evidence(verdict: Verdict) -> None:
    one = explained(verdict=verdict, gaps=(gap(),))

    assert stop_of(one) == "evidence"
    assert "GAP-3" in one.stops
    assert "unlocks H-1" in one.move
    assert one.command == "auditpol /set"
    assert not any("none found" in link.words for link in one.links)


def test_inconclusive_without_a_gap_stops_at_the_hunt() -> None:
    assert stop_of(explained(verdict=Verdict.INCONCLUSIVE)) == "hunt"


def test_ruled_out_rests_until_something_new() -> None:
    one = explained(verdict=Verdict.RULED_OUT)

    assert stop_of(one) == "detection"
    assert "rests" in one.stops


def test_a_detection_that_stands_is_the_end_of_the_chain() -> None:
    found = example.detection(1, CLAIM, ("T1001",), certificate=example.certificate(0.1))
    one = explained(verdict=Verdict.CONFIRMED_MALICIOUS, detections=(found,))

    assert stop_of(one) == ""
    assert one.move == ""
    assert "D-1" in one.stops


def test_a_detection_that_lost_its_sight_is_where_it_stops() -> None:
    blind = example.detection(
        1, CLAIM, ("T1001",), certificate=example.certificate(0.1), healthy=False
    )
    one = explained(verdict=Verdict.CONFIRMED_MALICIOUS, detections=(blind,))

    assert stop_of(one) == "detection"
    assert "its evidence does not arrive" in one.stops


def test_an_open_case_is_what_the_rest_waits_for() -> None:
    case = example.case(1, CLAIM, None, "", "")
    one = explained(verdict=Verdict.CONFIRMED_MALICIOUS, cases=(case,))

    assert stop_of(one) == "case"
    assert one.command == "huntonce cases close CASE-1"
    closed = replace(case, state=CaseState.CLOSED, determination=Determination.CONFIRMED)
    after = explained(verdict=Verdict.CONFIRMED_MALICIOUS, cases=(closed,))
    assert stop_of(after) == "detection"


def test_a_retired_detection_watches_for_nothing() -> None:
    retired = example.detection(1, CLAIM, ("T1001",), state=DetectionState.RETIRED)

    assert stop_of(explained(verdict=Verdict.RULED_OUT, detections=(retired,))) == "detection"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clock = Turning()
    clock.turn(-24)
    made = Home(path=tmp_path_factory.mktemp("explain"), clock=clock)
    fill(made.store, clock, "[red]plain\x1b[2J words[/red]")
    made.close()
    return made.path


@pytest.mark.parametrize(
    ("target", "technique"),
    [
        ("T1053.005", "T1053.005"),
        ("h-1", "T1053.005"),
        ("CASE-1", "T1053.005"),
        ("C-1", "T1053.005"),
        ("D-1", "T1053.005"),
        ("r1", "T1053.005"),
        ("HUNT-2", "T1003.001"),
        ("T1490", "T1490"),
    ],
)
def test_the_command_finds_what_is_asked_for(home: Path, target: str, technique: str) -> None:
    answer = CliRunner().invoke(app, ["explain", target, "--home", str(home), "--json"])

    assert answer.exit_code == 0, answer.output
    chains = json.loads(answer.output)["chains"]
    assert [chain["technique"] for chain in chains] == [technique]
    assert len(chains[0]["chain"]) == 7


@pytest.mark.parametrize("width", ["80", "120"])
def test_a_chain_is_one_screen_and_what_comes_from_data_is_text(
    home: Path, width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    answer = CliRunner().invoke(app, ["explain", "H-1", "--home", str(home)])

    lines = answer.output.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= int(width)
    assert "[red]plain\\x1b[2J words[/red]" in answer.output
    assert "\x1b[2J" not in answer.output


def test_an_actor_is_a_line_for_each_hypothesis(home: Path) -> None:
    answer = CliRunner().invoke(app, ["explain", "plain words", "--home", str(home)])
    assert answer.exit_code == 2
    answer = CliRunner().invoke(
        app, ["explain", "[RED]plain\x1b[2J words[/red]", "--home", str(home)]
    )
    assert answer.exit_code == 0, answer.output
    assert "2 hypotheses" in answer.output
