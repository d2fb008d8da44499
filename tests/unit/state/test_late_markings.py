"""A marking defined on another page than it is used on: cautious until then, right after."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huntonce.connectors.intel.batch import Intake
from huntonce.models.state.store import Store
from huntonce.models.tlp import MARKINGS, Tlp, effective_tlp, marked_anew, marking_levels
from tests.unit.state.examples import NOW

TOOL = "tool--00000000-0000-4000-8000-000000000001"
RED, GREEN, TEXT = (f"marking-definition--00000000-0000-4000-8000-00000000000{n}" for n in "123")
STAMP = "2026-01-01T00:00:00.000Z"


def definition(marking_id: str, tlp: str = "") -> dict[str, Any]:
    said = {"tlp": tlp} if tlp else {"statement": "Copyright somebody"}
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": marking_id,
        "created": STAMP,
        "definition_type": "tlp" if tlp else "statement",
        "definition": said,
    }


def tool(*markings: str, part: str = "") -> dict[str, Any]:
    granular = [{"marking_ref": part, "selectors": ["name"]}] if part else []
    return {
        "type": "tool",
        "spec_version": "2.1",
        "id": TOOL,
        "created": STAMP,
        "modified": STAMP,
        "name": "a tool",
        **({"object_marking_refs": list(markings)} if markings else {}),
        **({"granular_markings": granular} if granular else {}),
    }


def deliver(store: Store, *objects: dict[str, Any], default: Tlp = Tlp.AMBER) -> None:
    """One page, by an intake that knows no other."""
    taken, refused = Intake("feed", default).take(json.dumps(one).encode() for one in objects)
    assert not refused
    with store.unit() as unit:
        unit.intel.add(taken, feed="feed", at=NOW)
        unit.commit()


def level(store: Store) -> Tlp:
    with store.unit() as unit:
        item = unit.intel.get(TOOL)
    assert item is not None
    return item.tlp


@pytest.mark.parametrize(
    ("used", "defined", "before", "after"),
    [
        (tool(RED), [definition(RED, "red")], Tlp.AMBER, Tlp.RED),
        (tool(GREEN), [definition(GREEN, "green")], Tlp.AMBER, Tlp.GREEN),
        (tool(TEXT), [definition(TEXT)], Tlp.AMBER, Tlp.AMBER),
        # It may be anything: a known GREEN beside it does not open it.
        (tool(Tlp.GREEN.marking_id, RED), [definition(RED, "red")], Tlp.AMBER, Tlp.RED),
        (tool(Tlp.GREEN.marking_id, TEXT), [definition(TEXT)], Tlp.AMBER, Tlp.GREEN),
        (tool(GREEN, RED), [definition(GREEN, "green")], Tlp.AMBER, Tlp.AMBER),
        (tool(part=RED), [definition(RED, "red")], Tlp.AMBER, Tlp.RED),
        (tool(part=GREEN), [definition(GREEN, "green")], Tlp.AMBER, Tlp.AMBER),
    ],
)
def test_a_later_definition_gives_the_right_level(
    store: Store, used: dict[str, Any], defined: list[dict[str, Any]], before: Tlp, after: Tlp
) -> None:
    deliver(store, used)
    assert level(store) is before

    deliver(store, *defined)

    assert level(store) is after


def test_a_definition_that_another_pull_stored_counts_at_once(store: Store) -> None:
    deliver(store, definition(RED, "red"))

    deliver(store, tool(RED))

    assert level(store) is Tlp.RED


def test_an_object_that_names_the_marking_elsewhere_keeps_its_level(store: Store) -> None:
    deliver(store, {**tool(), "description": f"see {RED}"})

    deliver(store, definition(RED, "red"))

    assert level(store) is Tlp.AMBER


MARKS = [RED, GREEN, TEXT, Tlp.GREEN.marking_id, Tlp.CLEAR.marking_id]
DEFINED = [definition(RED, "red"), definition(GREEN, "green"), definition(TEXT)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(MARKS), max_size=4, unique=True),
    st.sampled_from(["", *MARKS]),
    st.permutations(DEFINED),
    st.sampled_from(Tlp),
)
def test_in_whatever_order_definitions_come_the_end_is_the_same_and_never_too_open(
    whole: list[str], part: str, order: list[dict[str, Any]], default: Tlp
) -> None:
    content = tool(*whole, part=part)
    final = effective_tlp(content, default, marking_levels(DEFINED))
    known = dict(MARKINGS)
    held = effective_tlp(content, default, known)

    for one in order:
        unknown = {*whole, part} - known.keys() - {""}
        assert not unknown or held.rank >= default.rank
        known = {**known, **marking_levels([one])}
        held = marked_anew(content, held, known)

    assert held is final
