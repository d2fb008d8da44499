"""The condition tree: what pySigma parses arrives in it, and its JSON form loses nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.sigma.compiling import compile_detections
from huntonce.connectors.sigma.ir import (
    ANY_CHARACTER,
    ANY_TEXT,
    And,
    Atom,
    Condition,
    Named,
    Not,
    Op,
    Or,
    branches,
    decode,
    encode,
    fields_of,
)
from huntonce.connectors.sigma.rules import search_rule
from huntonce.models.errors import DomainError
from huntonce.models.query import SigmaSearch


def compiled(detection: dict[str, Any], **placeholders: list[str]) -> Condition:
    search = SigmaSearch(
        name="probe", logsource={"product": "windows", "service": "system"}, detection=detection
    )
    return compile_detections(search_rule(search).detection, placeholders)


def only(detection: dict[str, Any], **placeholders: list[str]) -> Condition:
    found = compiled({"s": detection, "condition": "s"}, **placeholders)
    assert isinstance(found, Named)
    return found.item


@pytest.mark.parametrize(
    ("key", "value", "op", "expected"),
    [
        ("F", "text", Op.EQ, "text"),
        ("F", "", Op.EQ, ""),
        ("F|contains", "a", Op.CONTAINS, "a"),
        ("F|startswith", "a", Op.STARTSWITH, "a"),
        ("F|endswith", "a", Op.ENDSWITH, "a"),
        ("F", "*a*", Op.CONTAINS, "a"),
        ("F", r"\*a", Op.EQ, "*a"),
        ("F", "*", Op.EXISTS, True),
        ("F", "a*b?", Op.GLOB, ("a", ANY_TEXT, "b", ANY_CHARACTER)),
        ("F|cased", "A", Op.C_EQ, "A"),
        ("F|cased|contains", "A", Op.C_CONTAINS, "A"),
        ("F|cased", "A*b", Op.C_STARTSWITH, None),
        ("F", 7, Op.NUMBER, 7),
        ("F", 2**60, Op.C_EQ, str(2**60)),
        ("F", True, Op.BOOL, True),
        ("F", None, Op.NULL, None),
        ("F|exists", False, Op.EXISTS, False),
        ("F|re", r"a\s?b*", Op.REGEX, r"a\s?b*"),
        ("F|re|i|m", "a", Op.REGEX, "(?im)a"),
        ("F|cidr", "10.0.0.0/8", Op.CIDR, "10.0.0.0/8"),
        ("F|gte", 5, Op.COMPARE, ("gte", 5)),
        ("F|fieldref", "G", Op.FIELD, ("G", "eq")),
        ("F|fieldref|endswith", "G", Op.FIELD, ("G", "endswith")),
        ("F|hour", 5, Op.TIME_PART, ("%H", 5)),
        ("F|base64", "a", Op.EQ, "YQ=="),
        ("F|wide|base64", "a", Op.EQ, "YQA="),
    ],
)
def test_each_modifier_becomes_one_question(key: str, value: Any, op: Op, expected: Any) -> None:
    found = only({key: value})

    assert isinstance(found, Atom)
    if expected is None and op is not Op.NULL:
        assert found.op is Op.C_GLOB
    else:
        assert (found.field, found.op, found.value) == ("F", op, expected)


def test_expansions_are_alternatives_even_under_all() -> None:
    found = only({"F|windash|contains|all": ["-a", "-b"]})

    assert isinstance(found, And)
    assert all(isinstance(item, Or) for item in found.items)


def test_a_keyword_stands_anywhere_in_a_value_of_no_field() -> None:
    found = compiled({"k": ["one", "t*o"], "condition": "k"})

    assert found == Named(
        "k",
        Or(
            (
                Atom(None, Op.CONTAINS, "one"),
                Atom(None, Op.GLOB, (ANY_TEXT, "t", ANY_TEXT, "o", ANY_TEXT)),
            )
        ),
    )


def test_placeholders_are_filled_and_keep_their_case() -> None:
    plain = only({"F|expand": "%x%"}, x=["One", "tw*"])
    cased = only({"F|expand|cased": "%x%"}, x=["One"])

    assert plain == Or((Atom("F", Op.EQ, "One"), Atom("F", Op.EQ, "tw*")))
    assert cased == Atom("F", Op.C_EQ, "One")


@pytest.mark.parametrize(
    ("detection", "reason"),
    [
        ({"s": {"F|re": "(?=a)b"}, "condition": "s"}, "linear time"),
        ({"s": {"F|re": r"(a)\1"}, "condition": "s"}, "linear time"),
        ({"s": {"F|expand": "%x%"}, "condition": "s"}, "%x%"),
        ({"s": {"F|contains": "a" * 8_001}, "condition": "s"}, "longer than"),
        ({"s": {"F": "?" * 2_000_000}, "condition": "s"}, "linear time"),
        ({"s": {"F": "a"}, "condition": "s and t"}, "'t'"),
        ({"s": {"F": "a"}, "condition": "1 of t*"}, "'t\\*'"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_reason(
    detection: dict[str, Any], reason: str
) -> None:
    with pytest.raises(DomainError, match=reason):
        compiled(detection)


def test_only_selections_under_no_not_are_branches() -> None:
    found = compiled(
        {
            "a": {"F": 1},
            "b": {"F": 2},
            "c": {"F": 3},
            "condition": "(a or not (not b)) and not 1 of c*",
        }
    )

    assert [branch.name for branch in branches(found)] == ["a", "b"]


text = st.text(max_size=5)
atoms = st.one_of(
    st.builds(Atom, st.none() | text, st.sampled_from((Op.EQ, Op.C_CONTAINS, Op.REGEX)), text),
    st.builds(
        Atom,
        text,
        st.just(Op.GLOB),
        st.lists(st.sampled_from(("a", ANY_TEXT, ANY_CHARACTER)), min_size=1).map(tuple),
    ),
    st.builds(Atom, text, st.just(Op.NUMBER), st.integers(-(2**53), 2**53)),
    st.builds(Atom, text, st.just(Op.FIELD), st.tuples(text, st.just("eq"))),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda items: And(tuple(items))),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: Or(tuple(items))),
        st.builds(Not, inner),
        st.builds(Named, text, inner),
    ),
    max_leaves=12,
)


@given(conditions)
def test_the_json_form_loses_nothing(condition: Condition) -> None:
    assert decode(encode(condition)) == condition


def test_fields_are_named_once_with_those_referred_to() -> None:
    found = only({"F": ["a", "b"], "G|fieldref": "H"})

    assert fields_of(found) == ("F", "G", "H")
