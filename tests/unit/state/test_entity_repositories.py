import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huntonce.models import gap, hypothesis
from huntonce.models.entity import Kind
from huntonce.models.errors import DomainError, StateError
from huntonce.models.gap import GapState
from huntonce.models.hypothesis import HypothesisState
from huntonce.models.state.entities import check_step
from huntonce.models.state.store import Store
from huntonce.models.transition import Transition
from tests.unit.state.examples import a_finding, a_gap, a_hypothesis

WHO = {"actor": "analyst", "why": "a reason"}
NUMBERS = itertools.count()


def rows(store: Store) -> tuple[Transition, ...]:
    with store.unit() as unit:
        return unit.log.rows()


def test_a_new_thing_gets_the_next_short_id_of_its_kind(store: Store) -> None:
    with store.unit() as unit:
        first = unit.gaps.add(a_gap("one"), **WHO)
        second = unit.gaps.add(a_gap("two"), **WHO)
        other = unit.hypotheses.add(a_hypothesis(), **WHO)
        unit.commit()

    assert (first.id, second.id, other.id) == ("GAP-1", "GAP-2", "H-1")


def test_the_same_key_again_gives_the_stored_thing_back_as_it_is(store: Store) -> None:
    with store.unit() as unit:
        first = unit.gaps.add(a_gap(), **WHO)
        unit.commit()
    with store.unit() as unit:
        again = unit.gaps.add(replace(a_gap(), reason="something else"), **WHO)
        third = unit.gaps.add(a_gap("another"), **WHO)
        unit.commit()

    assert again == first
    assert third.id == "GAP-2"
    assert [row.subject for row in rows(store)] == ["GAP-1", "GAP-2"]


def test_leaving_without_commit_keeps_nothing(store: Store) -> None:
    with store.unit() as unit:
        unit.gaps.add(a_gap(), **WHO)

    with store.unit() as unit:
        assert unit.gaps.list() == ()
        assert unit.log.rows() == ()
        assert unit.gaps.add(a_gap(), **WHO).id == "GAP-1"


def test_an_error_in_the_block_keeps_nothing(store: Store) -> None:
    def fail() -> None:
        with store.unit() as unit:
            unit.gaps.add(a_gap(), **WHO)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert rows(store) == ()


def test_a_unit_may_go_on_after_its_commit(store: Store) -> None:
    with store.unit() as unit:
        unit.gaps.add(a_gap("kept"), **WHO)
        unit.commit()
        unit.gaps.add(a_gap("dropped"), **WHO)

    assert len(rows(store)) == 1


def test_birth_and_change_of_state_are_logged_and_other_changes_are_not(store: Store) -> None:
    with store.unit() as unit:
        thing = unit.gaps.add(a_gap(), actor="probe", why="not seen")
        thing = unit.gaps.save(replace(thing, owner="IT"), actor="analyst", why="named")
        unit.gaps.save(replace(thing, state=GapState.ACCEPTED), actor="IT", why="ours")
        unit.commit()

    assert [(r.before, r.after, r.actor, r.why) for r in rows(store)] == [
        ("", "surfaced", "probe", "not seen"),
        ("surfaced", "accepted", "IT", "ours"),
    ]


def test_what_is_saved_is_what_is_read(store: Store) -> None:
    with store.unit() as unit:
        thing = unit.findings.add(a_finding(), **WHO)
        saved = unit.findings.save(replace(thing, details={"command": "x\0y"}), **WHO)
        unit.commit()

    with store.unit() as unit:
        assert unit.findings.get(thing.id) == saved
        assert unit.findings.by_key(thing.key) == saved
        assert unit.findings.get("F-99") is None
        assert unit.findings.by_key("nothing") is None


def test_things_are_listed_by_number_and_by_state(store: Store) -> None:
    with store.unit() as unit:
        for number in range(11):
            state = GapState.SURFACED if number % 2 else GapState.CLOSED
            unit.gaps.add(a_gap(f"source {number}", state), **WHO)

        assert [gap.id for gap in unit.gaps.list()] == [f"GAP-{n}" for n in range(1, 12)]
        assert len(unit.gaps.list(GapState.SURFACED)) == 5
        assert len(unit.gaps.list("surfaced", "closed")) == 11
        assert unit.gaps.list("accepted") == ()


def test_a_thing_that_is_not_stored_cannot_be_saved(store: Store) -> None:
    with store.unit() as unit:
        for thing in (a_gap(), replace(a_gap(), id="GAP-5")):
            with pytest.raises(StateError, match="not stored"):
                unit.gaps.save(thing, **WHO)


def test_a_thing_cannot_become_another(store: Store) -> None:
    with store.unit() as unit:
        thing = unit.gaps.add(a_gap(), **WHO)

        with pytest.raises(DomainError, match="key"):
            unit.gaps.save(replace(thing, source="another"), **WHO)


def test_a_change_by_someone_else_since_it_was_read_is_refused(store: Store) -> None:
    with store.unit() as unit:
        unit.gaps.add(a_gap(), **WHO)
        unit.commit()

    with store.unit() as slow:
        read = slow.gaps.get("GAP-1")
        assert read is not None
        with store.unit() as quick:
            quick.gaps.save(replace(read, owner="quick"), **WHO)
            quick.commit()
        with pytest.raises(StateError, match="changed by someone else"):
            slow.gaps.save(replace(read, owner="slow"), **WHO)

    with store.unit() as unit:
        assert unit.gaps.list()[0].owner == "quick"


def test_one_unit_may_save_a_thing_again_and_again(store: Store) -> None:
    with store.unit() as unit:
        thing = unit.gaps.add(a_gap(), **WHO)
        for owner in "abc":
            thing = unit.gaps.save(replace(thing, owner=owner), **WHO)
        unit.commit()
        thing = unit.gaps.save(replace(thing, owner="d"), **WHO)
        unit.commit()

    with store.unit() as unit:
        assert unit.gaps.list()[0].owner == "d"


def test_an_illegal_step_is_refused_and_leaves_no_trace(store: Store) -> None:
    with store.unit() as unit:
        thing = unit.hypotheses.add(a_hypothesis(), **WHO)
        with pytest.raises(DomainError, match="H-1 cannot go from proposed to concluded"):
            unit.hypotheses.save(replace(thing, state=HypothesisState.CONCLUDED), **WHO)
        unit.commit()

        assert unit.hypotheses.get("H-1") == thing
        assert len(unit.log.rows()) == 1


@pytest.mark.parametrize(
    ("kind", "table"),
    [(Kind.HYPOTHESIS, hypothesis.TRANSITIONS), (Kind.GAP, gap.TRANSITIONS)],
)
def test_exactly_the_steps_of_the_table_are_taken(kind: Kind, table: dict[Any, Any]) -> None:
    for before, allowed in table.items():
        for after in table:
            if after in allowed or after is before:
                check_step(kind, "X-1", before.value, after)
            else:
                with pytest.raises(DomainError):
                    check_step(kind, "X-1", before.value, after)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(walk=st.lists(st.sampled_from(GapState), max_size=12))
def test_a_random_walk_is_logged_step_by_step(store: Store, walk: list[GapState]) -> None:
    with store.unit() as unit:
        thing = unit.gaps.add(a_gap(f"source {next(NUMBERS)}"), **WHO)
        taken = [thing.state]
        for state in walk:
            try:
                thing = unit.gaps.save(replace(thing, state=state), **WHO)
            except DomainError:
                assert state not in gap.TRANSITIONS[thing.state]
            else:
                taken += [state] if state is not taken[-1] else []
        unit.commit()
        logged = [row.after for row in unit.log.rows() if row.subject == thing.id]

        assert logged == [state.value for state in taken]
        assert unit.log.verify() is None


def test_a_unit_outside_its_block_says_so(store: Store) -> None:
    unit = store.unit()
    with pytest.raises(StateError, match="with block"):
        unit.gaps.list()
    with unit:
        assert unit.gaps.list() == ()
    with pytest.raises(StateError, match="with block"):
        unit.gaps.list()


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    with store.unit() as writer:
        writer.gaps.add(a_gap(), **WHO)
        with store.unit() as reader:
            assert reader.gaps.list() == ()
        writer.commit()


@pytest.mark.parametrize("read", [lambda u: u.gaps.list(), lambda u: u.log.verify()])
def test_a_unit_that_read_first_may_write_after_another_wrote(
    store: Store, read: Callable[[Any], Any]
) -> None:
    with store.unit() as first:
        read(first)
        with store.unit() as second:
            second.gaps.add(a_gap("second"), **WHO)
            second.commit()
        first.gaps.add(a_gap("first"), **WHO)
        first.commit()

    assert [row.subject for row in rows(store)] == ["GAP-1", "GAP-2"]
