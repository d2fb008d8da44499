"""From records to findings."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.analytics.asking import Setting
from huntonce.models.analytics.records import Record
from huntonce.models.errors import DomainError
from huntonce.models.finding import Disposition, Finding
from huntonce.models.huntdef import AllowEntry, AnalyticSpec, HuntDefinition
from huntonce.models.hunting import (
    LONGEST_FACT,
    Looked,
    conclude,
    evaluate,
    interesting,
    placeholders,
    terms_of,
)
from huntonce.models.profile import Profile
from tests.support.builders import T0, definition, fact_spec, record, ref, spec

TODAY = date(2026, 3, 2)
SETTING = Setting(profile=Profile(), population=100)


def look(records: list[Record], hunt: HuntDefinition, today: date = TODAY) -> Looked:
    allowed = evaluate(records, hunt, SETTING, today)
    return conclude(records, allowed, hunt, hypothesis_key="h", technique_id="T1053.005")


def find(records: list[Record], *specs: AnalyticSpec) -> tuple[Finding, ...]:
    return look(records, definition(*specs)).findings


# ---------------------------------------------------------------- scores


SPECS = st.lists(
    st.builds(
        lambda name, weight, family: fact_spec(name, weight, family=family),
        st.sampled_from([f"a{n}" for n in range(8)]),
        st.floats(-1, 1),
        st.sampled_from(["f", "g", "h"]),
    ),
    max_size=8,
    unique_by=lambda one: one.name,
)


@given(SPECS)
def test_terms_sum_to_the_score_and_the_score_stays_within_0_and_1(
    specs: list[AnalyticSpec],
) -> None:
    score, terms = terms_of({one.name: "why" for one in specs}, specs)

    assert sum(term.value for term in terms) == pytest.approx(score)
    assert -1e-9 <= score <= 1 + 1e-9


@given(SPECS, st.randoms())
def test_the_score_does_not_depend_on_the_order_of_the_analytics(
    specs: list[AnalyticSpec], random: st.DataObject
) -> None:
    fired = {one.name: "why" for one in specs}
    turned = list(specs)
    random.shuffle(turned)  # type: ignore[attr-defined] - a random.Random

    assert terms_of(fired, specs)[0] == pytest.approx(terms_of(fired, turned)[0])


def test_reasons_of_different_families_add_up_as_noisy_or() -> None:
    specs = [fact_spec("a", 0.5), fact_spec("b", 0.4)]

    assert terms_of({"a": "", "b": ""}, specs)[0] == pytest.approx(1 - 0.5 * 0.6)


def test_three_ways_to_say_one_thing_are_one_reason() -> None:
    specs = [fact_spec(name, w, family="f") for name, w in (("a", 0.2), ("b", 0.5), ("c", 0.4))]

    score, terms = terms_of(dict.fromkeys("abc", ""), specs)

    assert score == pytest.approx(0.5)
    assert [term.name for term in terms] == ["b"]


def test_the_usual_dampens_what_doubts_add_up_to() -> None:
    specs = [fact_spec("usual", -0.6), fact_spec("odd", 0.5)]

    score, terms = terms_of({"usual": "", "odd": ""}, specs)

    assert score == pytest.approx(0.5 * 0.4)
    assert [term.name for term in terms] == ["odd", "usual"]


def test_what_did_not_fire_does_not_count() -> None:
    assert terms_of({"a": ""}, [fact_spec("b", 0.9)]) == (0.0, ())


# ---------------------------------------------------------------- findings


ODD = [fact_spec("a", 0.5), fact_spec("b", 0.5), fact_spec("c", 0.5)]


def odd(host: str = "PC1", **facts: str) -> Record:
    return record(host=host, **{"action": "x.exe", "a": "1", "b": "1", "c": "1", **facts})


def test_three_reasons_make_malice_and_two_make_suspicion() -> None:
    three = find([odd()], *ODD)
    two = find([odd()], fact_spec("a", 0.7), fact_spec("b", 0.7), fact_spec("c", 0.1))

    assert three[0].disposition is Disposition.MALICIOUS
    assert two[0].score > 0.8
    assert two[0].disposition is Disposition.SUSPICIOUS


def test_what_scores_low_is_no_finding() -> None:
    assert find([record(a="1")], fact_spec("a", 0.49)) == ()


def test_one_pattern_on_many_hosts_is_one_finding() -> None:
    found = find([odd("PC1", task="\\T1"), odd("PC2"), odd("PC3")], *ODD)

    assert len(found) == 1
    assert found[0].hosts == ("PC1", "PC2", "PC3")
    assert len(found[0].events) == 3
    assert "3 hosts" in found[0].title


def test_another_action_is_another_finding() -> None:
    assert len(find([odd(), odd(action="y.exe")], *ODD)) == 2


def test_reassurance_counts_only_where_every_member_has_it() -> None:
    specs = [*ODD, fact_spec("usual", -0.1)]

    some = find([odd("PC1", usual="1"), odd("PC2")], *specs)
    every = find([odd("PC1", usual="1"), odd("PC2", usual="1")], *specs)

    assert "usual" not in some[0].analytics
    assert "usual" in every[0].analytics
    assert every[0].score < some[0].score


def test_a_cluster_has_the_doubts_of_all_its_members() -> None:
    specs = [fact_spec(name, 0.4) for name in "abc"]
    members = [
        record(host="PC1", action="x", a="1"),
        record(host="PC2", action="x", b="1"),
        record(host="PC3", action="x", c="1"),
    ]

    (found,) = find(members, *specs)

    assert found.analytics == ("a", "b", "c")
    assert found.score == pytest.approx(1 - 0.6**3, abs=1e-4)


def test_an_event_is_counted_once_however_many_records_show_it() -> None:
    left, right = odd("PC1"), odd("PC2")
    right.refs.append(left.refs[0])

    (found,) = find([left, right], *ODD)

    assert len(found.events) == 2


def test_the_worst_finding_comes_first() -> None:
    records = [odd(action="weak", c=""), odd(action="strong")]

    assert [f.details["action"] for f in find(records, *ODD)] == ["strong", "weak"]


def test_a_finding_hands_on_hosts_accounts_tasks_commands_and_addresses() -> None:
    remote = odd(remote_address="10.0.0.9")
    remote.hosts.add("PC9")

    (found,) = find([remote], *ODD)

    assert {(o.type, o.value) for o in found.observables} == {
        ("host", "PC1"),
        ("host", "PC9"),
        ("user", "CORP\\ann"),
        ("task", "\\Updater"),
        ("command", "x.exe"),
        ("ip", "10.0.0.9"),
    }


def test_records_that_stay_below_are_the_benign_fixtures() -> None:
    looked = look([odd(), record(host="PC7")], definition(*ODD))

    assert (looked.records, looked.patterns) == (2, 2)
    assert [found.host for found in looked.benign] == ["PC7"]


def test_only_what_stands_out_is_looked_at_more_closely() -> None:
    records = [record(a="1"), record(b="1")]
    hunt = definition(fact_spec("a", 0.3), fact_spec("b", 0.29))
    evaluate(records, hunt, SETTING, TODAY)

    assert interesting(records, hunt) == [records[0]]


def test_a_second_look_forgets_the_first() -> None:
    one = odd()
    hunt = definition(*ODD)
    evaluate([one], hunt, SETTING, TODAY)
    one.facts.pop("a")

    evaluate([one], hunt, SETTING, TODAY)

    assert set(one.fired) == {"b", "c"}


# ---------------------------------------------------------------- allow entries


def entry(expires: str = "", **when: str) -> AllowEntry:
    return AllowEntry(name="known", when=when, owner="IT", reason="ours", expires=expires)


@pytest.mark.parametrize(
    ("expires", "allowed"), [("", True), ("2026-03-02", True), ("2026-03-01", False)]
)
def test_an_allow_entry_holds_until_the_day_it_expires(expires: str, *, allowed: bool) -> None:
    looked = look([odd()], definition(*ODD, allow=[entry(expires, action="^x")]))

    assert looked.allowed == ({"known": 1} if allowed else {})
    assert bool(looked.findings) is not allowed


def test_every_condition_of_an_entry_must_hold() -> None:
    hunt = definition(*ODD, allow=[entry(action="^x", run_as="^ann$")])

    assert look([odd(run_as="SYSTEM")], hunt).findings
    assert not look([odd(run_as="ann")], hunt).findings


def test_an_allowed_first_action_does_not_allow_a_second_one() -> None:
    hunt = definition(*ODD, allow=[entry(action=r"^good\.exe$")])

    assert not look([odd(action="good.exe")], hunt).findings
    assert look([odd(action="good.exe\nevil.exe")], hunt).findings
    assert look([odd(action="evil.exe\ngood.exe")], hunt).findings


def test_an_entry_that_no_longer_applies_leaves_no_mark() -> None:
    one = odd()
    evaluate([one], definition(*ODD, allow=[entry(action="x")]), SETTING, TODAY)

    evaluate([one], definition(*ODD), SETTING, TODAY)

    assert "allowed_by" not in one.facts


# ---------------------------------------------------------------- sentences


def said(why: str, **facts: str) -> str:
    one = record(a="1", **facts)
    evaluate([one], definition(fact_spec("a", 0.5, why=why)), SETTING, TODAY)
    return one.fired["a"]


def test_a_sentence_is_filled_from_facts() -> None:
    assert said("{registered_by} on {host} ran {action}", action="x") == "CORP\\ann on PC1 ran x"
    assert said("{never_known}") == "unknown"


@pytest.mark.parametrize(
    "why",
    [
        "{host.__class__}",
        "{host.__class__.__mro__}",
        "{host[0]}",
        "{0}",
        "{}",
        "{host.__init__.__globals__}",
        "{action.__class__}",
    ],
)
def test_no_placeholder_reaches_an_attribute(why: str) -> None:
    assert said(why, action="x") == "unknown"


def test_facts_that_look_like_placeholders_stay_text() -> None:
    evil = "{host.__class__} %s {0!r} {registered_by}"

    assert said("ran {action}", action=evil) == f"ran {evil}"


def test_no_width_of_a_placeholder_makes_a_sentence_long() -> None:
    assert len(said("{host:>1000000}")) < 100
    assert len(said("{host:{action}}", action=">1000000")) < 100


def test_broken_braces_leave_the_sentence_as_it_is() -> None:
    assert said("ran {action") == "ran {action"


def test_long_facts_are_cut_in_sentences_only() -> None:
    long = "x" * 500
    one = record(a="1", action=long)
    evaluate([one], definition(fact_spec("a", 0.5, why="{action}")), SETTING, TODAY)

    assert len(one.fired["a"]) == LONGEST_FACT
    assert one.facts["action"] == long


@pytest.mark.parametrize("why", ["{host", "}", "{host.name}", "{host!r}", "{host:>3}", "{}", "{0}"])
def test_content_is_told_of_placeholders_that_are_more_than_a_name(why: str) -> None:
    with pytest.raises(DomainError):
        placeholders(why)


def test_placeholders_are_listed() -> None:
    assert placeholders("{a} and {b_c} {{not this}}") == ("a", "b_c")


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 9)), max_size=12), st.randoms())
def test_findings_do_not_depend_on_the_order_of_the_records(
    drawn: list[tuple[str, int]], random: st.DataObject
) -> None:
    def made() -> list[Record]:
        return [
            odd(f"PC{n}", time=T0 + timedelta(hours=n), action=name)  # type: ignore[arg-type]
            for name, n in drawn
        ]

    turned = made()
    random.shuffle(turned)  # type: ignore[attr-defined] - a random.Random

    left, right = find(made(), *ODD), find(turned, *ODD)

    assert {(f.key, f.score, f.hosts) for f in left} == {(f.key, f.score, f.hosts) for f in right}


def test_roles_of_events_are_kept() -> None:
    one = odd()
    one.refs.append(ref("t", role="tool", host="PC9"))

    (found,) = find([one], *ODD)

    assert sorted(event.role for event in found.events) == ["registration", "tool"]
    assert spec().weight == 0.4
