"""When a claim was made, what traces a technique leaves, and what is broader than what."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from huntonce.models.attack import load_catalogue
from huntonce.models.deriving import behaviours, broader, traces
from huntonce.models.deriving.priority import score
from huntonce.models.hypothesis import Hypothesis, HypothesisState
from huntonce.models.intel import Behaviour
from huntonce.models.profile import Profile
from tests.unit.deriving.conftest import Stix

CATALOGUE = load_catalogue()
TASK = "attack-pattern--T1053.005"


def dated(*objects: Any) -> datetime | None:
    (found,), _ = behaviours(objects, CATALOGUE, feeds=lambda _: ("feed",))
    return found.dated


def test_a_catalogue_that_touches_all_its_objects_does_not_make_old_claims_new(stix: Stix) -> None:
    edge = stix.edge(
        "tool--t", "uses", TASK, created="2018-01-01T00:00:00Z", modified="2026-04-01T00:00:00Z"
    )

    assert dated(stix.pattern("T1053.005"), edge) == datetime(2018, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("more", "year"),
    [
        ({"start_time": "2019-01-01T00:00:00Z"}, 2019),
        ({"start_time": "2019-01-01T00:00:00Z", "stop_time": "2020-01-01T00:00:00Z"}, 2020),
        ({"stop_time": "no time", "created": "2018-01-01T00:00:00Z"}, 2018),
    ],
)
def test_when_it_was_seen_comes_before_when_it_was_written(
    stix: Stix, more: dict[str, str], year: int
) -> None:
    edge = stix.edge("tool--t", "uses", TASK, **{"created": "2025-01-01T00:00:00Z", **more})

    found = dated(stix.pattern("T1053.005"), edge)

    assert found is not None
    assert found.year == year


def test_a_report_says_its_relationships_again_on_the_day_it_is_published(stix: Stix) -> None:
    edge = stix.edge("tool--t", "uses", TASK, created="2018-01-01T00:00:00Z")
    report = stix(
        "report--r", name="R", published="2024-05-05T00:00:00Z", object_refs=[edge.id, TASK]
    )

    assert dated(stix.pattern("T1053.005"), edge, report) == datetime(2024, 5, 5, tzinfo=UTC)


def test_a_campaign_is_as_recent_as_it_was_last_seen(stix: Stix) -> None:
    campaign = stix.named("campaign", "Op", last_seen="2023-03-03T00:00:00Z")
    edge = stix.edge(campaign.id, "uses", TASK, created="2018-01-01T00:00:00Z")

    assert dated(stix.pattern("T1053.005"), campaign, edge) == datetime(2023, 3, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("profile", "share", "words"),
    [
        (Profile(regions=("western-europe",)), 1.0, "aims at our region (western-europe)"),
        (Profile(regions=("africa",)), 0.2, "aims at other regions"),
        (Profile(regions=()), 0.5, "no region to compare"),
    ],
)
def test_relevance_compares_regions(
    claim: Callable[..., Behaviour], profile: Profile, share: float, words: str
) -> None:
    claims = [claim(regions=("europe",))]
    technique = CATALOGUE.techniques["T1053.005"]

    _, terms = score(
        technique,
        "windows",
        claims,
        profile,
        guarded=None,
        visible=None,
        now=datetime(2026, 8, 2, tzinfo=UTC),
    )

    relevance = next(term for term in terms if term.name == "relevance")
    assert words in relevance.why
    assert relevance.value == pytest.approx(0.15 * (0.4 * 0.5 + 0.3 * share + 0.3 * 0.5), abs=1e-4)


@pytest.mark.parametrize(
    ("technologies", "words"),
    [
        (("Exchange", "PsExec"), "names technology of ours (PsExec)"),
        (("Psexe",), "names none of our technologies"),
        ((), "no technology to compare"),
    ],
)
def test_relevance_looks_for_our_technologies_as_whole_words(
    claim: Callable[..., Behaviour], technologies: tuple[str, ...], words: str
) -> None:
    claims = [claim(procedure="They run psexec on every server they find")]

    _, terms = score(
        CATALOGUE.techniques["T1053.005"],
        "windows",
        claims,
        Profile(technologies=technologies),
        guarded=None,
        visible=None,
        now=datetime(2026, 8, 2, tzinfo=UTC),
    )

    assert words in next(term.why for term in terms if term.name == "relevance")


def test_traces_are_the_log_sources_of_attacks_analytics_in_words() -> None:
    found = traces("T1003.001", "windows", CATALOGUE)

    assert found.startswith("traces in Sysmon 10 (process access), Sysmon 1 (process start)")
    assert "Security 4673 (use of a privilege)" in found


def test_traces_differ_by_platform_and_are_empty_where_nothing_is_known() -> None:
    assert "auditd" in traces("T1486", "linux", CATALOGUE)
    assert traces("T1486", "saas", CATALOGUE) == ""
    assert traces("T9999", "windows", CATALOGUE) == ""


def test_event_ids_that_a_channel_cannot_have_are_not_forecast() -> None:
    everything = [
        traces(technique.id, scope.casefold(), CATALOGUE)
        for technique in CATALOGUE.active
        for scope in technique.platforms
    ]

    assert not any("Security 4103" in text or "System 106" in text for text in everything)
    assert max(map(len, everything)) < 500


def hypothesis(technique_id: str, **more: Any) -> Hypothesis:
    values = {"technique_name": "x", "scope": "windows", "statement": "A claim.", **more}
    return Hypothesis(technique_id=technique_id, **values)


def test_a_whole_technique_is_broader_than_its_parts_in_the_same_scope_only() -> None:
    whole, part = hypothesis("T1053"), hypothesis("T1053.005")
    elsewhere = hypothesis("T1053", scope="linux")
    alone = hypothesis("T1547")
    gone = hypothesis("T1547.001", state=HypothesisState.SUPERSEDED)

    found = broader([whole, part, elsewhere, alone, gone])

    assert found == {whole.key: (part.key,)}
