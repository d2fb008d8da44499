"""Which gap to mend first: the greedy order against every order there is."""

from itertools import combinations, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.models.demand import Needs, business, order, rank, told
from huntonce.models.evidence import Remedy
from huntonce.models.gap import Gap, GapKind, GapState, Wait
from huntonce.models.hypothesis import HypothesisState
from tests.support.builders import hypothesis

FLOOR = 0.8


def wait(key: str, group: str = "creation", lit: float = 1.0, **more: float) -> Wait:
    values = {"dark": 1.0, "rest": 1.0, **more}
    return Wait(hypothesis=key, group=group, lit=lit, start="", end="", **values)


def gap(name: str, *waits: Wait, **changes: object) -> Gap:
    values: dict[str, object] = {
        "id": name,
        "gap_kind": GapKind.NO_SOURCE,
        "source": name,
        "atom_id": name,
        "atom_label": name,
        "siem": "lake",
        "hosts": ("PC1",),
        "population": 1,
        "group": "creation",
        "severity": "high",
        "reason": "",
        "remedy": Remedy(text="mend it"),
        "waits": waits,
        "unlocks": tuple(sorted({w.hypothesis for w in waits})),
        **changes,
    }
    return Gap(**values)  # type: ignore[arg-type] - as the keywords say


SHARE = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
NEEDS = st.lists(
    st.lists(
        st.builds(
            lambda key, group, dark, lit, rest: Wait(
                hypothesis=key,
                group=group,
                dark=dark,
                lit=min(lit, dark),
                rest=rest,
                start="",
                end="",
            ),
            st.sampled_from("abc"),
            st.sampled_from(["creation", "actor"]),
            SHARE,
            SHARE,
            st.sampled_from([1.0, 1.0, 0.5]),
        ),
        max_size=4,
    ),
    min_size=1,
    max_size=5,
)
WEIGHTS = st.fixed_dictionaries({key: st.sampled_from([0.05, 0.3, 0.9]) for key in "abc"})


@settings(deadline=None)
@given(NEEDS, WEIGHTS)
def test_the_first_fix_is_the_best_single_one(
    waits: list[list[Wait]], weights: dict[str, float]
) -> None:
    needs = Needs(waits, weights, FLOOR)
    best = max((needs.value([n]) for n in range(len(waits))), default=(0.0, 0.0))

    chosen = order(needs, len(waits))

    if best > (0.0, 0.0):
        assert needs.value(chosen[:1]) == best
    else:
        assert chosen == ()


@settings(deadline=None)
@given(NEEDS, WEIGHTS)
def test_all_that_can_be_unlocked_is_unlocked_in_the_end(
    waits: list[list[Wait]], weights: dict[str, float]
) -> None:
    needs = Needs(waits, weights, FLOOR)

    assert needs.value(order(needs, len(waits))) == needs.value(range(len(waits)))


@settings(deadline=None)
@given(
    st.lists(st.sets(st.sampled_from("abcdef"), max_size=4), min_size=1, max_size=6),
    st.fixed_dictionaries({key: st.sampled_from([0.1, 0.3, 0.9]) for key in "abcdef"}),
)
def test_where_one_fix_is_enough_for_each_greedy_is_as_good_as_it_must_be(
    covers: list[set[str]], weights: dict[str, float]
) -> None:
    """Weighted maximum coverage: greedy reaches 1 - (1 - 1/k)^k of the best k, by brute force."""
    needs = Needs([[wait(key) for key in sorted(keys)] for keys in covers], weights, FLOOR)
    chosen = order(needs, len(covers))

    for k in range(1, len(covers) + 1):
        best = max(needs.value(some)[0] for some in combinations(range(len(covers)), k))
        assert needs.value(chosen[:k])[0] >= (1 - (1 - 1 / k) ** k) * best - 1e-9


@settings(deadline=None, max_examples=40)
@given(NEEDS, WEIGHTS)
def test_mending_more_never_shows_less(waits: list[list[Wait]], weights: dict[str, float]) -> None:
    needs = Needs(waits, weights, FLOOR)

    for ordered in permutations(range(min(len(waits), 4))):
        seen = [needs.value(ordered[:count]) for count in range(len(ordered) + 1)]
        assert seen == sorted(seen)


def test_a_fix_that_needs_another_one_comes_before_what_helps_nobody() -> None:
    both = [wait("h", "creation"), wait("h", "actor", lit=0.5)]
    gaps = [gap("GAP-1", *both), gap("GAP-2", wait("h", "actor")), gap("GAP-3")]
    (known,) = [hypothesis(id="H-1", priority=0.5, actors=("APT29",))]
    waits = [gap(g.id, *(wait(known.key, w.group, w.lit) for w in g.waits)) for g in gaps]

    first, second = rank(waits, [known], floor=FLOOR)

    assert (first.gap.id, first.unlocks, first.helps) == ("GAP-1", (), ("H-1",))
    assert (second.gap.id, second.unlocks) == ("GAP-2", ("H-1",))
    assert told(second) == "unlocks H-1 (APT29)"


def test_the_weight_of_the_intel_decides_and_closed_gaps_count_no_more() -> None:
    urgent, usual, other = (
        hypothesis(id=f"H-{n}", technique_id=f"T100{n}", priority=p)
        for n, p in ((1, 0.9), (2, 0.3), (3, 0.3))
    )
    gone = hypothesis(
        id="H-4", technique_id="T1004", priority=1.0, state=HypothesisState.SUPERSEDED
    )
    gaps = [
        gap("GAP-1", wait(usual.key), wait(other.key), wait(gone.key)),
        gap("GAP-2", wait(urgent.key)),
        gap("GAP-3", wait(urgent.key), wait(usual.key), state=GapState.CLOSED),
    ]

    fixes = rank(gaps, [urgent, usual, other, gone], floor=FLOOR)

    assert [(f.gap.id, f.unlocks) for f in fixes] == [
        ("GAP-2", ("H-1",)),
        ("GAP-1", ("H-2", "H-3")),
    ]


def test_a_group_that_nothing_lights_keeps_a_hypothesis_locked() -> None:
    known = hypothesis(id="H-1")

    (fix,) = rank([gap("GAP-1", wait(known.key, rest=0.4))], [known], floor=FLOOR)

    assert (fix.unlocks, fix.helps) == ((), ("H-1",))


def test_the_business_reason_names_what_waits_and_who_is_behind_it() -> None:
    known = hypothesis(id="H-1", priority=0.87, actors=("APT29", "FIN7"))

    words = business(gap("GAP-1", wait(known.key), guards=("D-2",)), {known.key: known})

    assert words == (
        "1 hypothesis cannot be looked at in full: H-1 T1053.005; among them what APT29, FIN7 "
        "would do here; highest priority 0.87; D-2 no longer sees"
    )
