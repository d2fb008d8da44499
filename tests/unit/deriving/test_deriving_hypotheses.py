from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from huntonce.models.attack import load_catalogue
from huntonce.models.deriving import WEIGHTS, derive, outside, scopes
from huntonce.models.deriving.phrases import PHRASES, PLACES, TACTICS
from huntonce.models.hypothesis import Hypothesis, fingerprint
from huntonce.models.intel import Behaviour
from huntonce.models.profile import Profile

CATALOGUE = load_catalogue()
NOW = datetime(2026, 8, 25, tzinfo=UTC)
Make = Callable[..., Behaviour]


def hypotheses(*claims: Behaviour, **more: Any) -> tuple[Hypothesis, ...]:
    values: dict[str, Any] = {"guarded": lambda _: None, "visible": lambda _: None, "now": NOW}
    profile = more.pop("profile", Profile())
    return derive(claims, CATALOGUE, profile, **(values | more))


def term(hypothesis: Hypothesis, name: str) -> tuple[float, str]:
    found = next(term for term in hypothesis.terms if term.name == name)
    return found.value / WEIGHTS[name], found.why


def test_the_statement_says_who_what_where_and_how(claim: Make) -> None:
    (found,) = hypotheses(
        claim(procedure="Registering a SYSTEM task remotely with a stolen account."),
        claim(actor="APT29"),
        claim(actor="RAT", actor_type="malware"),
    )

    assert found.statement == (
        "COPPER HERON (and 2 others) keeps access to our Windows endpoints with a scheduled task "
        "that runs a payload at logon or on a timer (T1053.005): seen done by registering a SYSTEM "
        "task remotely with a stolen account."
    )
    assert found.actors == ("APT29", "COPPER HERON", "RAT")
    assert found.technique_name == "Scheduled Task/Job: Scheduled Task"
    assert found.attack_version == "18.1"


def test_the_evidence_is_forecast_where_a_phrase_is_known(claim: Make) -> None:
    (found,) = hypotheses(
        claim(procedure="HERON has used schtasks. Then it left."),
        evidence_phrase=lambda technique_id, scope: f"Security 4698 ({technique_id}, {scope}).",
    )

    assert found.statement.endswith(
        "As reported: HERON has used schtasks. It would leave Security 4698 (T1053.005, windows)."
    )


@pytest.mark.parametrize(
    ("more", "start"),
    [
        ({"actor": ""}, "An adversary keeps"),
        ({"actor": "", "report": "Big Report"}, 'An adversary, as reported in "Big Report", keeps'),
        ({"actor": "", "own": True}, "The intruder of our own incident keeps"),
        ({"actor": "C0015", "actor_type": "campaign"}, "The actor behind C0015 keeps"),
        ({"actor": "RAT", "actor_type": "malware"}, "The malware RAT keeps"),
        ({"actor": "PsExec", "actor_type": "tool"}, "A user of the tool PsExec keeps"),
    ],
)
def test_the_subject_is_said_as_it_is_known(claim: Make, more: dict[str, Any], start: str) -> None:
    (found,) = hypotheses(claim(**more))

    assert found.statement.startswith(start)


def test_the_procedure_quoted_fits_the_scope(claim: Make) -> None:
    claims = (
        claim("T1078", procedure="AAA signed in to Azure with a global administrator."),
        claim("T1078", actor="B", procedure="B used a stolen account over RDP on Windows servers."),
    )

    (found,) = hypotheses(*claims)

    assert "As reported: B used a stolen account over RDP" in found.statement
    assert found.procedures[0].startswith("B used")
    assert len(found.procedures) == 2


def test_every_active_technique_has_a_sound_sentence_on_every_platform(claim: Make) -> None:
    platforms = tuple(p.casefold() for p in CATALOGUE.platforms if p != "PRE")
    every = [claim(technique.id) for technique in CATALOGUE.active]

    found = hypotheses(*every, profile=Profile(platforms=platforms))

    assert len(found) > 1500
    for hypothesis in found:
        assert "{" not in hypothesis.statement
        assert hypothesis.statement.startswith("COPPER HERON ")
        assert hypothesis.statement.endswith(f"({hypothesis.technique_id}).")
    assert {h.scope for h in found} == set(PLACES)


def test_phrases_are_of_active_techniques_and_tactics_are_all_known() -> None:
    assert {CATALOGUE.resolve(technique_id).outcome for technique_id in PHRASES} == {"current"}
    assert set(CATALOGUE.tactics) <= set(TACTICS)


def test_one_hypothesis_a_technique_and_scope_however_many_reports(claim: Make) -> None:
    reports = [claim(report=f"report--{n}", feed=f"feed{n % 3}") for n in range(20)]

    (found,) = hypotheses(*reports)

    assert len(found.sources) == 20
    assert found.key == fingerprint("T1053.005", "windows")


def test_windows_comes_first_and_only_our_platforms_count(claim: Make) -> None:
    profile = Profile(platforms=("Linux", "windows", "Azure AD"))

    assert scopes("T1078", CATALOGUE, profile) == ("windows", "identity provider", "linux")
    assert scopes("T1053.005", CATALOGUE, profile) == ("windows",)
    assert [h.scope for h in hypotheses(claim("T1059.004"), profile=profile)] == ["linux"]


def test_techniques_that_give_no_hypothesis_are_told(claim: Make) -> None:
    claims = (claim("T1583.001"), claim("T1059.004"), claim("T1053.005"), claim("T9999"))

    assert [h.technique_id for h in hypotheses(*claims)] == ["T1053.005"]
    assert outside(claims, CATALOGUE, Profile()) == (
        ("T1059.004", "is about ESXi, Linux, Network Devices, macOS, none of them ours"),
        ("T1583.001", "happens before the attack, outside our systems"),
        ("T9999", "T9999 is not in ATT&CK v18.1"),
    )


def test_own_feedback_alone_is_marked_and_mixed_is_not(claim: Make) -> None:
    own = claim(actor="", own=True)

    assert hypotheses(own)[0].own_only
    assert not hypotheses(own, claim())[0].own_only


def test_the_order_and_the_priorities_do_not_depend_on_the_order_of_the_input(claim: Make) -> None:
    claims = [claim(i, actor=a) for i in ("T1053.005", "T1003.001", "T1082") for a in ("A", "B")]

    assert hypotheses(*claims) == hypotheses(*reversed(claims))


def test_the_weights_sum_to_one_and_the_terms_to_the_priority(claim: Make) -> None:
    (found,) = hypotheses(claim(procedure="It makes a task remotely."))

    assert sum(WEIGHTS.values()) == pytest.approx(1)
    assert found.priority == pytest.approx(sum(t.value for t in found.terms))
    assert [t.name for t in found.terms] == list(WEIGHTS)
    assert all(t.why and 0 <= t.value <= WEIGHTS[t.name] for t in found.terms)


def test_the_best_case_is_worth_one(claim: Make) -> None:
    profile = Profile(sectors=("energy",), regions=("europe",), technologies=("PsExec",))
    claims = [
        claim(
            actor=f"actor {n}",
            procedure=f"Way {n} with psexec",
            sectors=("energy",),
            regions=("western-europe",),
            confidence=100,
            modified=NOW,
        )
        for n in range(6000)
    ]

    (found,) = hypotheses(*claims, profile=profile, visible=lambda _: 1.0)

    assert found.priority == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("age", "share"), [(0, 1.0), (180, 0.5), (360, 0.25), (-2, 0.0), (-0.5, 1.0)]
)
def test_recency_halves_every_180_days_and_a_date_in_the_future_is_not_believed(
    claim: Make, age: float, share: float
) -> None:
    (found,) = hypotheses(claim(modified=NOW - timedelta(days=age)))

    assert term(found, "recency")[0] == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize(("guarded", "share"), [(True, 0.0), (False, 1.0), (None, 1.0)])
def test_a_healthy_detection_takes_the_urgency_away(
    claim: Make, guarded: bool | None, share: float
) -> None:
    asked = []

    (found,) = hypotheses(claim(), guarded=lambda key: asked.append(key) or guarded)

    assert term(found, "unguarded")[0] == share
    assert asked == [found.key]


@pytest.mark.parametrize(("visible", "share"), [(None, 0.5), (0.0, 0.0), (0.4, 0.4), (7.0, 1.0)])
def test_evidence_that_is_there_makes_a_hunt_worth_more(
    claim: Make, visible: float | None, share: float
) -> None:
    (found,) = hypotheses(claim(), visible=lambda _: visible)

    assert term(found, "evidence")[0] == pytest.approx(share)


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (("Government",), [("government-national",)], "aims at our sector (government)"),
        (("energy",), [("education",)], "aims at other sectors (education)"),
        (("energy",), [("education",), ()], "in part unsaid"),
        (("energy",), [()], "no sector to compare"),
        ((), [("energy",)], "no sector to compare"),
    ],
)
def test_relevance_compares_sectors(
    claim: Make, ours: tuple[str, ...], theirs: list[tuple[str, ...]], words: str
) -> None:
    claims = [claim(actor=str(n), sectors=sectors) for n, sectors in enumerate(theirs)]

    (found,) = hypotheses(*claims, profile=Profile(sectors=ours))

    assert words in term(found, "relevance")[1]


def test_one_report_counts_once_however_many_relationships_it_brings(claim: Make) -> None:
    many = [claim(actor=f"m{n}", report="report--1", feed=f"f{n}") for n in range(9)]

    assert term(hypotheses(*many)[0], "sources") == (0.25, "1 independent source")
    assert term(hypotheses(*many, claim())[0], "sources")[1] == "2 independent sources"


def test_everyday_administration_ranks_below_what_stands_out(claim: Make) -> None:
    found = hypotheses(claim("T1082"), claim("T1053"), claim("T1053.005"))

    assert [h.technique_id for h in found] == ["T1053.005", "T1053", "T1082"]
