"""The analytics that a hunt can name: where each fires, and where not."""

from collections.abc import Sequence
from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.analytics.accounts import is_person, same_account
from huntonce.models.analytics.asking import Setting, normal
from huntonce.models.analytics.questions import ANALYTICS, ask, check
from huntonce.models.analytics.records import Record
from huntonce.models.errors import DomainError
from huntonce.models.profile import ChangeWindow, Profile
from tests.support.builders import T0, record, spec

MONDAY_NIGHT = ChangeWindow(days=(0,), start=time(22), end=time(2))
PROFILE = Profile(
    change_windows=(MONDAY_NIGHT,),
    privileged_accounts=("CORP\\adm-*",),
    task_authors=("svc-deploy",),
)
NIGHT = T0.replace(hour=23)


def fires(
    kind: str,
    records: Sequence[Record],
    profile: Profile = PROFILE,
    population: int = 100,
    **options: Any,
) -> list[int]:
    setting = Setting(profile=profile, population=population)
    return sorted(ask(records, spec("it", kind, **options), setting))


def one(kind: str, facts: dict[str, str], profile: Profile = PROFILE, **options: Any) -> bool:
    return bool(fires(kind, [record(**facts)], profile, **options))


# ---------------------------------------------------------------- matches


def test_all_facts_must_match_any_of_their_patterns() -> None:
    options = {"all": {"action": ["-enc", "iex"], "run_as": "^system$"}}

    assert one("matches", {"action": "x -ENC y", "run_as": "SYSTEM"}, **options)
    assert not one("matches", {"action": "x -enc y", "run_as": "ann"}, **options)
    assert not one("matches", {"action": "x"}, **options)


def test_none_bars_what_would_match() -> None:
    options = {"all": {"action": "x"}, "none": {"author": "."}}

    assert one("matches", {"action": "x"}, **options)
    assert not one("matches", {"action": "x", "author": "ann"}, **options)


def test_a_second_action_cannot_hide_behind_the_first() -> None:
    options = {"all": {"command": r"(?:^|\\)mshta(?:\.exe)?$"}}

    assert one("matches", {"command": "C:\\good.exe\nmshta.exe"}, **options)
    assert one("matches", {"command": "mshta.exe\nC:\\good.exe"}, **options)


def test_the_sentence_gets_what_was_hit() -> None:
    asked = ask(
        [record(action="cmd -enc  abc")],
        spec("it", "matches", all={"action": "-enc"}),
        Setting(profile=PROFILE, population=1),
    )

    assert asked == {0: {"hit_action": "-enc"}}


def test_a_pattern_that_matches_nothing_at_all_does_not_fire() -> None:
    assert not one("matches", {"action": "x"}, all={"action": "y*"})


# ---------------------------------------------------------------- accounts


@pytest.mark.parametrize(
    ("account", "sid", "person"),
    [
        ("CORP\\ann", "", True),
        ("CORP\\ann", "S-1-5-21-1-2-3-1001", True),
        ("ann@corp.example", "S-1-12-1-1-2-3-4", True),
        ("CORP\\ann", "S-1-5-18", False),
        ("NT AUTHORITY\\SYSTEM", "", False),
        ("CORP\\PC1$", "", False),
        ("NT SERVICE\\TrustedInstaller", "", False),
        ("", "S-1-5-21-1-2-3-1001", False),
        ("-", "", False),
    ],
)
def test_a_person_is_an_account_that_nothing_built_in_has(
    account: str, sid: str, *, person: bool
) -> None:
    assert is_person(account, sid) is person


def test_spellings_of_one_account_are_the_same() -> None:
    assert same_account("CORP\\Ann", "ann@corp.example")
    assert same_account("S-1-5-18", "NT AUTHORITY\\SYSTEM")
    assert not same_account("CORP\\ann", "CORP\\bob")


@pytest.mark.parametrize(
    ("facts", "fired"),
    [
        ({"run_as": "S-1-5-18"}, True),
        ({"run_as": "SYSTEM", "registered_by": "CORP\\adm-1"}, False),
        ({"run_as": "SYSTEM", "registered_by": "CORP\\svc-deploy"}, False),
        ({"run_as": "SYSTEM", "registered_by": "CORP\\PC1$"}, False),
        ({"run_as": "CORP\\ann"}, False),
        ({}, False),
    ],
)
def test_system_tasks_of_people_without_privileges(facts: dict[str, str], *, fired: bool) -> None:
    assert one("system_by_user", facts, privileged="unprivileged") is fired
    assert not one("system_by_user", facts, privileged="unknown")


def test_who_is_privileged_must_be_declared_to_say_that_one_is_not() -> None:
    facts = {"run_as": "SYSTEM"}

    assert one("system_by_user", facts, Profile(), privileged="unknown")
    assert not one("system_by_user", facts, Profile(), privileged="unprivileged")


@pytest.mark.parametrize(
    ("author", "fired"), [("CORP\\bob", True), ("ann", False), ("CORP\\ANN", False), ("", False)]
)
def test_an_author_that_is_not_the_registrar(author: str, *, fired: bool) -> None:
    assert (
        one("account_mismatch", {"author": author}, left="author", right="registered_by") is fired
    )


def test_the_system_may_register_what_others_wrote() -> None:
    facts = {"author": "CORP\\bob", "registered_by": "SYSTEM"}

    assert not one("account_mismatch", facts, left="author", right="registered_by")


def test_by_person_is_matches_for_people_only() -> None:
    options = {"all": {"task": "Updater"}}

    assert one("by_person", {}, **options)
    assert not one("by_person", {"registered_by": "SYSTEM"}, **options)
    assert not one("by_person", {"registrar_sid": "S-1-5-18"}, **options)


def test_built_in_and_privileged_authors_are_known_by_name_or_sid() -> None:
    assert one("built_in_author", {"registered_by": "CORP\\PC1$"})
    assert one("built_in_author", {"registered_by": "Lokales System", "registrar_sid": "S-1-5-18"})
    assert not one("built_in_author", {})
    assert one("privileged_author", {"registered_by": "CORP\\ADM-x"})
    assert not one("privileged_author", {})


# ---------------------------------------------------------------- time and business


def test_outside_change_windows_counts_for_others_accounts_only() -> None:
    day, night = record(run_as="SYSTEM"), record(run_as="SYSTEM", time=NIGHT)
    oneself = record(run_as="CORP\\ann")

    assert fires("outside_change_window", [day, night, oneself]) == [0]
    assert fires("outside_change_window", [day], Profile()) == []


def test_no_business_needs_declared_task_authors_and_another_account() -> None:
    others = record(run_as="SYSTEM")
    oneself = record(run_as="ann")
    admin = record(run_as="SYSTEM", registered_by="CORP\\adm-1")

    assert fires("no_business", [others, oneself, admin, record()]) == [0]
    assert fires("no_business", [others], Profile()) == []


def test_a_task_author_is_known_only_while_a_window_is_open() -> None:
    day = record(registered_by="CORP\\svc-deploy")
    night = record(registered_by="CORP\\svc-deploy", time=NIGHT)

    assert fires("known_author", [day, night, record(time=NIGHT)]) == [1]
    assert fires("known_author", [day], Profile(task_authors=("svc-*",))) == [0]


def test_hosts_that_are_never_deployed_to_stand_out_where_others_are() -> None:
    deployed = record(host="PC1", registered_by="CORP\\svc-deploy")
    records = [deployed, record(host="PC1"), record(host="PC2")]

    assert fires("no_deployments", records) == [2]
    assert fires("no_deployments", records[1:]) == []


# ---------------------------------------------------------------- burst


def test_the_same_task_on_many_hosts_within_minutes_is_a_burst() -> None:
    records = [
        record(host=f"PC{n}", time=T0 + timedelta(minutes=20 * n), action="x") for n in range(3)
    ]
    options = {"key": ["task", "action"], "hosts": 3, "minutes": 40}

    assert fires("burst", records, **options) == [0, 1, 2]
    assert fires("burst", records, **{**options, "minutes": 39}) == []
    assert fires("burst", records[:2] * 2, **options) == []


def test_deployment_in_its_window_and_the_system_are_no_burst() -> None:
    deployed = [
        record(host=f"PC{n}", time=NIGHT, action="x", registered_by="CORP\\svc-deploy")
        for n in range(5)
    ]
    own = [record(host=f"PC{n}", action="y", registered_by="SYSTEM") for n in range(5)]

    assert fires("burst", deployed + own, hosts=3, minutes=60) == []


MOMENTS = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from(["A", "B", "C", "D"])), max_size=25
)


@given(MOMENTS, st.integers(1, 4), st.integers(0, 90))
def test_a_burst_is_what_trying_every_window_finds(
    drawn: list[tuple[int, str]], least: int, minutes: int
) -> None:
    records = [record(host=h, time=T0 + timedelta(minutes=m), action="x") for m, h in drawn]

    expected = set()
    for start, _ in drawn:
        inside = [n for n, (m, _) in enumerate(drawn) if start <= m <= start + minutes]
        if len({drawn[n][1] for n in inside}) >= least:
            expected.update(inside)

    assert fires("burst", records, hosts=least, minutes=minutes) == sorted(expected)


# ---------------------------------------------------------------- rarity


def test_rare_is_few_hosts_of_a_fleet() -> None:
    records = [record(host="PC1", action="x"), record(host="PC2", action="x"), record(action="y")]

    assert fires("rare", records, hosts=1) == [2]
    assert fires("rare", records, hosts=2) == [0, 1, 2]
    assert fires("rare", records, population=19, hosts=2) == []


def test_common_is_many_hosts_over_days_as_software_comes() -> None:
    slow = [record(host=f"PC{n}", time=T0 + timedelta(hours=12 * n), action="x") for n in range(5)]
    fast = [record(host=f"PC{n}", time=T0 + timedelta(hours=n), action="y") for n in range(5)]

    assert fires("common", slow + fast, hosts=5, share=0.05, days=2) == [0, 1, 2, 3, 4]
    assert fires("common", slow, hosts=5, share=0.06, days=2) == []
    assert fires("common", slow, hosts=6, share=0, days=2) == []


def test_what_differs_from_host_to_host_is_not_told_apart() -> None:
    left = '"C:\\Users\\ann\\AppData\\x-1.2.exe" {6F9619FF-8B86-D011-B42D-00CF4FC964FF}'
    right = '"c:\\users\\Bob.B\\appdata\\X-10.33.EXE" {6f9619ff-0000-d011-b42d-00cf4fc964aa}'

    assert normal(left) == normal(right)
    assert normal("S-1-5-21-1-2-3-1001") == normal("S-1-5-21-9-8-7-500")
    assert normal("C:\\Users\\Public\\a") != normal("C:\\Users\\ann\\a")
    assert normal("x.exe") != normal("y.exe")


@given(st.text())
def test_normal_values_have_neither_case_nor_numbers(text: str) -> None:
    value = normal(text)

    assert not any(c in "0123456789" for c in value)
    assert normal(text.upper()) == normal(text.upper().lower().upper())


def test_a_fact_is_present_or_not() -> None:
    assert one("present", {"tool": "x"}, fact="tool")
    assert not one("present", {"tool": ""}, fact="tool")


# ---------------------------------------------------------------- faults of content


def test_an_unknown_type_is_named_with_those_that_are_known() -> None:
    with pytest.raises(DomainError, match="unknown type 'magic'") as caught:
        ask([], spec("it", "magic"), Setting(profile=PROFILE, population=1))

    assert "burst" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("matches", {"all": {"a": "("}}),
        ("by_person", {"none": {"a": ["ok", "*"]}}),
        ("matches", {"all": "x"}),
        ("matches", {"all": {"a": 3}}),
        ("burst", {"hosts": "three"}),
        ("burst", {"minutes": -1}),
        ("burst", {"minutes": 1e300}),
        ("burst", {"key": 3}),
        ("rare", {"population": True}),
        ("common", {"share": None}),
        ("present", {}),
        ("account_mismatch", {"left": "author"}),
        ("magic", {}),
    ],
)
def test_wrong_options_are_found_before_a_hunt_runs(kind: str, options: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        check(spec("it", kind, **options))


@pytest.mark.parametrize("kind", sorted(ANALYTICS))
def test_every_analytic_takes_no_records_and_records_without_facts(kind: str) -> None:
    options: dict[str, Any] = {
        "fact": "x",
        "left": "author",
        "right": "registered_by",
        "all": {"x": "y"},
    }
    if kind == "sequence":
        options = {"steps": [{"all": {"x": "y"}}, {"all": {"x": "z"}}]}
    bare = Record(entity="t", host="PC1", time=T0, facts={}, refs=[])

    assert fires(kind, [], **options) == []
    assert fires(kind, [bare], **options) == []
