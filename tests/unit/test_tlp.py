import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.tlp import MARKINGS, Tlp, tightest


def test_the_levels_run_from_open_to_closed() -> None:
    assert sorted(Tlp, key=lambda tlp: tlp.rank) == [
        Tlp.CLEAR,
        Tlp.GREEN,
        Tlp.AMBER,
        Tlp.AMBER_STRICT,
        Tlp.RED,
    ]


def test_every_marking_of_tlp_2_leads_back_to_its_level() -> None:
    assert {MARKINGS[tlp.marking_id] for tlp in Tlp} == set(Tlp)
    assert len(MARKINGS) == 9


@pytest.mark.parametrize(
    ("marking", "level"),
    [
        ("613f2e26-407d-48c7-9eca-b8e91df99dc9", Tlp.CLEAR),
        ("34098fce-860f-48ae-8e50-ebd3cc5e41da", Tlp.GREEN),
        ("f88d31f6-486f-44da-b317-01333bde0b82", Tlp.AMBER_STRICT),
        ("5e57c739-391a-4eb3-b6be-7d15ca92d5ed", Tlp.RED),
    ],
)
def test_tlp_1_is_read_and_its_amber_is_taken_strictly(marking: str, level: Tlp) -> None:
    assert MARKINGS[f"marking-definition--{marking}"] is level


@given(st.lists(st.sampled_from(Tlp), min_size=1), st.sampled_from(Tlp))
def test_the_tightest_marking_wins_and_the_default_only_stands_in(
    levels: list[Tlp], default: Tlp
) -> None:
    assert tightest(levels, default).rank == max(level.rank for level in levels)
    assert tightest([], default) is default
