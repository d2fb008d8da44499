"""The SPL that is built: whatever a rule or a setting says, it stays a value."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.siem.splunk import spl
from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.connectors.sigma.ir import And, Atom, Condition, Not, Op, Or
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.errors import DomainError
from tests.support.splunk_spl import Run
from tests.support.splunk_tokens import tokens

SETTINGS = SplunkSettings(url="https://splunk.example:8089", token="t")
NASTY = st.text(alphabet='"\\|[]`*%_$?=,() \nabkK\u212a\u0130', max_size=12)
WORDS = {"AND", "OR", "NOT", "true", "false", "like", spl.TEXT, spl.ID}

atoms = st.builds(
    Atom,
    st.sampled_from(["Image", "CommandLine", "a|b", 'x" OR 1=1', "IntegrityLevel"]),
    st.sampled_from([Op.EQ, Op.CONTAINS, Op.STARTSWITH, Op.C_ENDSWITH, Op.REGEX]),
    NASTY,
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda items: And(tuple(items)), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda items: Or(tuple(items)), st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)


@given(conditions)
def test_no_value_leaves_its_literal(condition: Condition) -> None:
    for kind, text in tokens(spl.candidates(condition, Variant())):
        if kind == "word":
            assert text in WORDS
        elif kind == "text":
            assert re.fullmatch(r"[a-z0-9 ._%\-]*", text)
        else:
            assert text in {"(", ")", ",", "="} or kind == "number"


@given(NASTY, NASTY, NASTY)
def test_what_has_the_value_is_always_a_candidate(before: str, value: str, after: str) -> None:
    condition = Atom("Image", Op.CONTAINS, value)
    text = spl.candidates(condition, Variant())
    raw = f"<Data Name='Image'>{before}{value}{after}</Data>"
    event = {"_raw": raw, "_time": "1", "index": "i", "sourcetype": "s"}
    search = f'search (index="i") | {spl.folding("xml")} | where {text} | table _time'
    assert Run(search, [event]).results()


@given(st.text(max_size=20))
def test_a_channel_is_quoted_or_refused(channel: str) -> None:
    place = Variant(channel=channel, event_ids=(1,))
    try:
        made = tokens(spl.in_place(place))
    except DomainError:
        return
    texts = [text for kind, text in made if kind == "text"]
    assert texts == ([channel.lower()] if channel else [])


@pytest.mark.parametrize("field", ['x" | delete', "a`b`", "[search x]", "Image', 1", "Ж"])
def test_a_field_s_name_is_a_word_or_nothing(field: str) -> None:
    assert spl.value_of(SETTINGS, field, "f") is None
    test = spl.may_have(SETTINGS, Variant(), field)
    for kind, text in tokens(test):
        if kind == "text":
            assert re.fullmatch(r"[a-z0-9 ._%=<>\-]*", text)


@pytest.mark.parametrize("name", ['a" | delete', "a b", "", "a]", "[x", "`m`", "-a"])
def test_an_index_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of an index"):
        SplunkSettings(url="https://s.example", token="t", indexes=[name])


@pytest.mark.parametrize(
    ("url", "token"), [("http://splunk.example:8089", "t"), ("https://s.example", " ")]
)
def test_a_token_is_needed_and_is_not_sent_in_the_clear(url: str, token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        SplunkSettings(url=url, token=token)
