"""How often, how widely, how lately; and what belongs together."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.analytics.asking import Setting
from huntonce.models.analytics.questions import ask, check
from huntonce.models.analytics.records import Record
from huntonce.models.errors import DomainError
from huntonce.models.profile import Profile
from tests.support.builders import after, record, spec

SETTING = Setting(profile=Profile(), population=100)


def fired(records: list[Record], kind: str, setting: Setting = SETTING, **options: Any) -> set[int]:
    return set(ask(records, spec("it", kind, **options), setting))


def test_a_stack_fires_on_the_rare_value_only_where_there_are_many_to_compare() -> None:
    usual = [record(host=f"PC{n}", action="a") for n in range(12)]
    odd = record(host="PC3", action="b")

    assert fired([*usual, odd], "stack", key="action", over="host", most=1, least=10) == {12}
    assert fired([*usual[:5], odd], "stack", key="action", over="host", most=1, least=10) == set()


def test_first_seen_says_nothing_without_a_baseline() -> None:
    now = [record(action="a"), record(action="b")]
    before = Setting(profile=Profile(), population=1, before=[record(action="A ")], baseline="then")

    assert fired(now, "first_seen", key="action") == set()
    assert fired(now, "first_seen", before, key="action") == {1}


def test_first_seen_may_be_new_on_a_host_that_is_not_new_elsewhere() -> None:
    before = Setting(profile=Profile(), population=1, before=[record(host="PC1", action="a")])
    now = [record(host="PC2", action="a")]

    assert fired(now, "first_seen", before, key="action", on="host") == {0}
    assert fired(now, "first_seen", before, key="action") == set()


@given(st.integers(0, 300), st.integers(1, 5))
def test_a_rare_pair_is_a_small_share_of_a_common_left(usual: int, odd: int) -> None:
    records = [record(parent="p", child="a") for _ in range(usual)]
    records += [record(parent="p", child="b") for _ in range(odd)]

    hit = fired(records, "rare_pair", left="parent", right="child", share=0.02, least=50)

    total = usual + odd
    expected = set(range(usual, total)) if total >= 50 and odd <= 0.02 * total else set()
    if total >= 50 and usual <= 0.02 * total:
        expected |= set(range(usual))
    assert hit == expected


@given(st.lists(st.integers(0, 60), min_size=1, max_size=20), st.integers(2, 6))
def test_many_fires_exactly_where_a_span_holds_enough_different_values(
    minutes: list[int], least: int
) -> None:
    records = [
        record(time=after(minutes=minute), actor="ann", tool=f"t{n}")
        for n, minute in enumerate(minutes)
    ]

    hit = fired(records, "many", by="actor", value="tool", least=least, minutes=10)

    def crowded(minute: int) -> bool:
        starts = [m for m in minutes if m <= minute <= m + 10]
        return any(sum(s <= m <= s + 10 for m in minutes) >= least for s in starts)

    assert hit == {n for n, minute in enumerate(minutes) if crowded(minute)}


STEPS = [{"all": {"action": "^made$"}}, {"all": {"action": "^added$"}}]


def test_a_sequence_needs_its_order_its_span_and_its_session() -> None:
    def step(action: str, minute: int, session: str = "0x1", host: str = "PC1") -> Record:
        return record(time=after(minutes=minute), host=host, action=action, logon_id=session)

    def hit(*records: Record, **more: Any) -> set[int]:
        return fired(list(records), "sequence", steps=STEPS, by="logon_id", minutes=10, **more)

    assert hit(step("made", 0), step("added", 5)) == {0, 1}
    assert hit(step("added", 0), step("made", 5)) == set()
    assert hit(step("added", 0), step("made", 5), ordered=False) == {0, 1}
    assert hit(step("made", 0), step("added", 11)) == set()
    assert hit(step("made", 0), step("added", 5, "0x2")) == set()
    assert hit(step("made", 0), step("added", 5, host="PC2")) == set()
    assert hit(step("made", 0, ""), step("added", 5, "")) == set()


@pytest.mark.parametrize(
    ("image", "original", "hit"),
    [
        ("evil.exe", "PowerShell.EXE", True),
        ("powershell.exe", "PowerShell.EXE", False),
        ("regsvr32.exe", "REGSVR32.EXE.MUI", False),
        ("evil.exe", "", False),
    ],
)
def test_a_renamed_program_is_told_by_what_it_was_built_as(
    image: str, original: str, *, hit: bool
) -> None:
    one = record(image_name=image, original=original)

    assert bool(fired([one], "renamed", left="image_name", right="original")) is hit


def test_people_who_do_not_administer_are_told_apart_only_where_somebody_does() -> None:
    records = [record(actor="CORP\\ann"), record(actor="CORP\\adm-bob")]
    for one in records:
        del one.facts["registered_by"]
    declared = Setting(profile=Profile(privileged_accounts=("CORP\\adm-*",)), population=1)

    assert fired(records, "unprivileged", declared) == {0}
    assert fired(records, "unprivileged") == set()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("sequence", {"steps": [{"all": {"x": "y"}}]}),
        ("sequence", {"steps": [{"all": {"x": "("}}, {"all": {"x": "y"}}]}),
        ("stack", {"over": "moon"}),
        ("matches", {}),
        ("rare_pair", {"left": "x"}),
    ],
)
def test_wrong_options_are_told_before_a_hunt(kind: str, options: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        check(spec("it", kind, **options))
