"""From findings to rules, and from replays to certificates."""

from datetime import date

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.connectors.sigma.rules import validate_rule
from huntonce.models.detecting import (
    EXACT_UP_TO,
    Replay,
    applicable,
    canonical_sha256,
    certify,
    met,
    poisson_interval,
    rule_id,
    sigma_rule,
)
from huntonce.models.huntdef import DetectionTemplate, HuntDefinition
from huntonce.models.query import EVENT_COLUMNS
from tests.support.builders import T0, definition, finding, ref, window
from tests.support.kits import catalogue, library

DAY = date(2026, 3, 2)


def template(name: str = "odd", *needs: str) -> DetectionTemplate:
    return DetectionTemplate(
        name=name,
        title="An Odd Task",
        description="Detects an odd\n  task.",
        level="high",
        needs=needs or ("odd",),
        logsource={"product": "windows", "service": "security"},
        detection={"selection": {"EventID": 4698}, "condition": "selection"},
        falsepositives=("Odd administrators",),
    )


def written(one: DetectionTemplate, hunt: HuntDefinition, **changes: date) -> str:
    return sigma_rule(
        one,
        hunt,
        tactics=("execution", "persistence"),
        references=("https://example.org/report",),
        author="Us",
        today=changes.get("today", DAY),
        modified=changes.get("modified"),
    )


# ---------------------------------------------------------------- rules


SHIPPED = [(hunt, one) for hunt in library().hunts for one in hunt.detections]


@pytest.mark.parametrize(("hunt", "one"), SHIPPED, ids=[one.name for _, one in SHIPPED])
def test_every_shipped_template_gives_a_sound_rule(
    hunt: HuntDefinition, one: DetectionTemplate
) -> None:
    technique = catalogue().technique(hunt.techniques[0])
    assert technique is not None

    rule = sigma_rule(
        one,
        hunt,
        tactics=technique.tactics,
        references=(),
        author="Huntonce",
        today=DAY,
        modified=date(2026, 3, 3),
    )

    assert validate_rule(rule) == ()


def test_a_rule_carries_what_sigma_asks_for() -> None:
    rule = yaml.safe_load(written(template(), definition()))

    assert rule["title"] == "An Odd Task"
    assert rule["description"] == "Detects an odd task."
    assert rule["status"] == "experimental"
    assert rule["tags"] == ["attack.execution", "attack.persistence", "attack.t1053.005"]
    assert rule["references"] == ["https://example.org/report"]
    assert "modified" not in rule


def test_the_id_of_a_rule_is_a_function_of_hunt_and_pattern() -> None:
    hunt = definition()

    assert rule_id(hunt, template()) == rule_id(hunt, template())
    assert rule_id(hunt, template()) != rule_id(hunt, template("other"))


def test_the_hash_is_of_what_a_rule_means_and_not_of_its_layout() -> None:
    rule = written(template(), definition())
    again = yaml.safe_dump(yaml.safe_load(rule), sort_keys=True, default_flow_style=True)
    other = rule.replace("4698", "4702")

    assert again != rule
    assert canonical_sha256(again) == canonical_sha256(rule)
    assert canonical_sha256(other) != canonical_sha256(rule)


@pytest.mark.parametrize(
    ("need", "fired", "answer"),
    [
        ("a", {"a"}, True),
        ("a", {"ab"}, False),
        ("a*", {"ab"}, True),
        ("a*", {"ba"}, False),
        ("a|b", {"b"}, True),
        ("a|b*", {"bc"}, True),
        ("a|b", {"c"}, False),
    ],
)
def test_a_need_is_one_of_several_or_a_beginning(
    need: str, fired: set[str], *, answer: bool
) -> None:
    assert met(need, fired) is answer


def test_a_template_applies_where_all_its_needs_are_met() -> None:
    both, one = template("both", "a", "b"), template("one", "a")
    hunt = definition(detections=[both, one])

    assert applicable(finding(analytics=("a",)), hunt) == (one,)
    assert applicable(finding(analytics=("a", "b")), hunt) == (both, one)
    assert applicable(finding(), hunt) == ()


# ---------------------------------------------------------------- rates


@pytest.mark.parametrize(
    ("events", "low", "high"),
    [
        (0, 0.0, 3.6889),
        (1, 0.0253, 5.5716),
        (3, 0.6187, 8.7673),
        (10, 4.7954, 18.3904),
        (100, 81.3640, 121.6273),
    ],
)
def test_the_interval_is_garwoods(events: int, low: float, high: float) -> None:
    assert poisson_interval(events, 1) == pytest.approx((low, high), abs=1e-3)


def test_a_longer_replay_gives_a_narrower_interval_of_the_rate() -> None:
    assert poisson_interval(10, 10) == pytest.approx((0.47954, 1.83904), abs=1e-4)


def test_many_events_cost_nothing_and_come_close_to_the_exact_interval() -> None:
    # The exact limits of 500 events, computed from the Poisson distribution itself.
    assert poisson_interval(500, 1) == pytest.approx((457.128577, 545.809269), rel=1e-5)
    assert EXACT_UP_TO < 500
    low, high = poisson_interval(10_000_000, 1)
    assert low < 10_000_000 < high


@settings(deadline=None)
@given(st.integers(0, 500), st.floats(0.01, 1e4))
def test_an_interval_holds_the_rate_and_grows_with_the_events(events: int, days: float) -> None:
    low, high = poisson_interval(events, days)
    more = poisson_interval(events + 1, days)

    assert 0 <= low <= events / days <= high
    assert low <= more[0]
    assert high <= more[1]


@pytest.mark.parametrize("days", [0, -1])
def test_no_time_gives_no_rate(days: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        poisson_interval(1, days)


# ---------------------------------------------------------------- certificates


def hits(*uids: str, host: str = "PC1") -> pa.Table:
    rows = [
        {"uid": uid, "time": T0, "host": host, "channel": "Security", "event_id": 4698}
        for uid in uids
    ]
    return pa.Table.from_pylist(rows, pa.schema(list(EVENT_COLUMNS)))


def replay(table: pa.Table, *, days: int = 10, **changes: object) -> Replay:
    values: dict[str, object] = {
        "siem": "lake",
        "window": window(24 * days),
        "hits": table,
        "branches": {"selection": 1},
        "faults": (),
        **changes,
    }
    return Replay(**values)  # type: ignore[arg-type] - sound values of its fields


RULE = written(template(), definition())
TARGET = finding([f"e{n}" for n in range(5)])


def test_a_rule_that_finds_its_events_and_no_others_holds() -> None:
    made = certify(
        RULE,
        replay(hits("e0", "e1", "e2", "e3", "e4")),
        targets=[TARGET],
        spared=[],
        benign_events=7,
    )

    assert made.holds
    assert (made.fired, made.expected, made.benign_hits, made.benign_events) == (5, 5, 0, 7)
    assert made.alerts_a_day == 0
    assert made.interval == pytest.approx((0, 0.36889), abs=1e-4)
    assert made.rule_sha256 == canonical_sha256(RULE)
    assert made.siems[0][0] == "lake"


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ((), "it does not find the events that it was made from"),
        (("e0", "e1", "e2"), "it finds only 3 of the 5 events that it was made from"),
    ],
)
def test_a_rule_that_misses_what_it_is_made_from_does_not_hold(
    found: tuple[str, ...], fault: str
) -> None:
    made = certify(RULE, replay(hits(*found)), targets=[TARGET], spared=[], benign_events=0)

    assert not made.holds
    assert fault in made.faults


def test_a_loud_rule_does_not_hold_and_says_how_loud() -> None:
    noise = hits("e0", "e1", "e2", "e3", "e4", *(f"n{n}" for n in range(11)))

    made = certify(RULE, replay(noise), targets=[TARGET], spared=[], benign_events=0)

    assert (made.alerts_a_day, made.benign_hits) == (1.1, 11)
    assert made.faults == ("it would raise 1.1 false alerts a day (11 in the replay)",)
    assert made.top_share == 1


def test_alerts_on_other_findings_are_neither_hits_nor_false() -> None:
    other = finding(["s1"])

    made = certify(
        RULE,
        replay(hits("e0", "e1", "e2", "e3", "e4", "s1")),
        targets=[TARGET],
        spared=[other],
        benign_events=0,
    )

    assert (made.benign_hits, made.fired) == (0, 5)


def test_a_rule_on_tools_is_measured_by_tools() -> None:
    tool = ref("t", role="tool", event_id=4688)
    run = ref("r", role="run", event_id=4688)
    target = finding(events=(ref("e"), tool, run))

    made = certify(RULE, replay(hits("t")), targets=[target], spared=[], benign_events=0)

    assert (made.fired, made.expected) == (1, 1)


def test_what_the_validator_says_is_a_fault() -> None:
    made = certify(
        RULE, replay(hits(), faults=("bad tag",)), targets=[TARGET], spared=[], benign_events=0
    )

    assert made.faults[0] == "bad tag"
    assert not made.holds


def test_a_rule_of_which_nothing_matched_is_told_so() -> None:
    made = certify(
        RULE,
        replay(hits(), branches={"a": 0, "b": 0}),
        targets=[TARGET],
        spared=[],
        benign_events=0,
    )

    assert "no selection of it matched anything" in made.faults


def test_a_rule_on_occurrences_is_measured_by_them_and_not_by_what_was_joined() -> None:
    found = [ref(f"o{n}", role="occurrence", event_id=4688) for n in range(2)]
    joined = ref("l", role="logon", event_id=4624)
    target = finding(events=(*found, joined))

    made = certify(RULE, replay(hits("o0")), targets=[target], spared=[], benign_events=0)

    assert (made.fired, made.expected) == (1, 2)
