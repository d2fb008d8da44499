import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huntonce.models.entity import Kind
from huntonce.models.errors import StateError
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.state.codec import KEY_LIMIT, TYPES, decode, dumps, encode, stored_key
from tests.unit.state.examples import a_finding, a_hypothesis, any_of


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_thing_has_a_stored_form(kind: Kind) -> None:
    assert kind in TYPES


@pytest.mark.parametrize("kind", list(Kind))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_thing_comes_back_as_it_was_stored(kind: Kind, data: st.DataObject) -> None:
    of = TYPES[kind]
    thing = data.draw(any_of(of))

    text = encode(thing)
    again = decode(of, text)

    assert again == thing
    assert type(again.state) is type(thing.state)
    assert again.key == thing.key
    assert encode(again) == text


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    at: datetime
    colours: tuple[Colour, ...]
    pair: tuple[str, int] | None
    data: bytes
    more: Mapping[str, object]


def test_times_enums_tuples_bytes_and_mappings_keep_their_types() -> None:
    sample = Sample(
        at=datetime(2026, 1, 1, 1, 1, 1, 123456, tzinfo=UTC),
        colours=(Colour.RED,),
        pair=("a", 2**80),
        data=b"bytes",
        more={"list": [1, None, {"deep": True}]},
    )

    assert decode(Sample, encode(sample)) == sample


def test_a_change_is_stored_in_place_of_the_field() -> None:
    assert decode(Hypothesis, encode(a_hypothesis(), id="H-7")).id == "H-7"


def test_a_lone_surrogate_from_hostile_data_is_replaced_not_refused() -> None:
    finding = replace(a_finding(), title="a\ud800b")

    assert decode(type(finding), encode(finding)).title == "a\ufffdb"


def test_nan_is_refused_when_written_and_so_never_met_when_read() -> None:
    with pytest.raises(StateError, match="JSON"):
        encode(replace(a_finding(), score=math.nan))


def test_bytes_that_are_not_text_are_refused_when_written() -> None:
    sample = Sample(at=datetime.now(UTC), colours=(), pair=None, data=b"\xff", more={})

    with pytest.raises(StateError):
        encode(sample)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"technique_id": 1}'])
def test_a_damaged_document_is_a_state_error_with_a_hint(text: str) -> None:
    with pytest.raises(StateError) as caught:
        decode(Hypothesis, text)

    assert caught.value.hint


def test_a_field_that_a_later_version_wrote_is_passed_over() -> None:
    text = json.dumps({**json.loads(encode(a_hypothesis())), "from_the_future": 1})

    assert decode(Hypothesis, text) == a_hypothesis()


def test_what_has_no_form_in_json_is_refused() -> None:
    with pytest.raises(StateError):
        dumps({"x": object()})


@given(st.text(min_size=KEY_LIMIT + 1), st.text(min_size=KEY_LIMIT + 1))
def test_long_keys_fit_the_index_and_stay_apart(one: str, other: str) -> None:
    assert len(stored_key(one)) <= KEY_LIMIT
    assert (stored_key(one) == stored_key(other)) == (
        one.replace("\0", "\ufffd") == other.replace("\0", "\ufffd")
    )
