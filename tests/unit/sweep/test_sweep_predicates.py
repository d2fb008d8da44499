"""Questions to a column: one answer however many values are asked, and no needle misses a match."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.sweep.column import Column, lower_text
from huntonce.connectors.siem.sweep.needles import HIGH, LOW, regex_needles
from huntonce.connectors.siem.sweep.predicates import FEW, LongLine, TextSet, predicate
from huntonce.connectors.siem.sweep.scanning import Scanner, occurring
from huntonce.connectors.sigma.globs import MAX_VALUE
from huntonce.connectors.sigma.ir import ANY_CHARACTER, ANY_TEXT, Atom, Op

words = st.text(st.sampled_from("aAbBsSkK.*?[\\\u017f\u0130\u03a3\n é%_"), max_size=6)
texts = st.lists(words, min_size=1, max_size=6)
plain = st.tuples(
    st.sampled_from(
        (
            *(Op.EQ, Op.CONTAINS, Op.STARTSWITH, Op.ENDSWITH),
            *(Op.C_EQ, Op.C_CONTAINS, Op.C_STARTSWITH, Op.C_ENDSWITH),
        )
    ),
    words,
)
globs = st.tuples(
    st.sampled_from((Op.GLOB, Op.C_GLOB)),
    st.lists(st.one_of(words, st.sampled_from((ANY_TEXT, ANY_CHARACTER))), min_size=1, max_size=4),
)
PATTERNS = (
    *(
        "ab+",
        "(?i)ab",
        "(?i)skb",
        "a|bb",
        "(?:ab|ba)k?",
        "^ab",
        "[ab]s",
        "a.b",
        "(?i)(?:as|ba)\\.",
        "\\.a",
    ),
    *("(a)(b){2}", "a{2,}", "(?i:AB)s", "\u03a3a", "(?i)\u03c3a", "a[[:alpha:]]b", "(?s)a.\n"),
)


def column(values: list[str]) -> Column:
    return Column(pa.array(values, pa.string()), np.arange(len(values), dtype=np.int32))


@given(st.one_of(plain, globs), texts)
def test_few_and_many_values_get_the_same_answers(asked: tuple[Op, Any], values: list[str]) -> None:
    question = predicate(
        Atom("F", asked[0], asked[1] if type(asked[1]) is str else tuple(asked[1]))
    )
    few = question.ask(column(values), np.arange(len(values)))
    many = question.ask(column(values * (FEW + 1)), None)

    assert few.tolist() == many[: len(values)].tolist()


def no_needle_is_missing(question: Any, values: list[str]) -> None:
    held = question.ask(column(values), None)
    needles = question.needles()
    if not needles:
        return
    wrapped = [f"{LOW}{low}{HIGH}" for low in column(values).low.to_pylist()]
    for text, hit in zip(wrapped, held.tolist(), strict=True):
        assert not hit or any(needle in text for needle in needles), (text, needles)


@given(st.one_of(plain, globs), texts)
def test_a_value_that_matches_holds_a_needle(asked: tuple[Op, Any], values: list[str]) -> None:
    value = asked[1] if type(asked[1]) is str else tuple(asked[1])
    no_needle_is_missing(predicate(Atom("F", asked[0], value)), values)


@settings(max_examples=300)
@given(st.sampled_from(PATTERNS), texts)
def test_a_value_that_a_pattern_is_found_in_holds_a_needle(pattern: str, values: list[str]) -> None:
    no_needle_is_missing(predicate(Atom("F", Op.REGEX, pattern)), values)


@pytest.mark.parametrize(
    ("pattern", "needles"),
    [
        (r"net\s+user", ("user",)),
        ("(?i)power-shell", ("power-",)),
        ("abc|de", ("abc", "de")),
        ("abc|d", None),
        ("(?:abc){2}x?", ("abc",)),
        ("(?:abc)?", None),
        ("[[:alpha:]]abc", None),
        ("(", None),
    ],
)
def test_needles_of_a_pattern(pattern: str, needles: tuple[str, ...] | None) -> None:
    assert regex_needles(pattern) == needles


@given(texts, texts)
def test_the_scanner_finds_what_stands_in_each_value(needles: list[str], values: list[str]) -> None:
    wanted = [needle for needle in dict.fromkeys(map(lower_text, needles)) if needle]
    if not wanted:
        return
    low = column(values).low
    found, at = Scanner(wanted).scan(low)

    assert set(zip(found.tolist(), at.tolist(), strict=True)) == {
        (number, place)
        for number, needle in enumerate(wanted)
        for place, text in enumerate(low.to_pylist())
        if needle in text
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Atom("F", Op.NUMBER, 10), ["10", "1e1", " 10.0 ", "+10"]),
        (Atom("F", Op.COMPARE, ("lt", 0)), ["-1"]),
        (Atom("F", Op.BOOL, value=True), ["TRUE"]),
        (Atom("F", Op.CIDR, "10.0.0.0/8"), ["10.1.2.3"]),
        (Atom("F", Op.CIDR, "2001:db8::/32"), ["2001:DB8::1"]),
        (Atom("F", Op.TIME_PART, ("%H", 3)), ["2026-01-01 03:30:00", "2026-01-01T04:30:00+01:00"]),
    ],
)
def test_numbers_addresses_and_times(asked: Atom, expected: list[str]) -> None:
    values = [
        *("10", "1e1", " 10.0 ", "+10", "0x10", "10x", "-1", "", "TRUE", "nan", "10.1.2.3"),
        *("010.1.2.3", "11.0.0.1", "2001:DB8::1", "2001:db9::1", "2026-01-01 03:30:00"),
        "2026-01-01T04:30:00+01:00",
    ]
    held = predicate(asked).ask(column(values), None)

    assert [text for text, hit in zip(values, held.tolist(), strict=True) if hit] == expected


@given(st.text(max_size=4))
def test_quoting_means_the_text_itself(text: str) -> None:
    question = predicate(Atom("F", Op.C_CONTAINS, text))

    assert question.ask(column([f"a{text}b"]), None).tolist() == [True]


def test_the_longest_values_allowed_can_be_looked_for_together() -> None:
    longest = ["\u00e9" * MAX_VALUE + str(number) for number in range(3)]
    question = TextSet((op, text[1:]) for text in longest for op in (Op.CONTAINS, Op.STARTSWITH))
    values = column([*longest, "a", *(str(number) for number in range(FEW))])

    assert question.ask(values, None).sum() == 3


lined = st.text(st.sampled_from("a\nß\u2028\U0001f600 "), max_size=12)


@given(st.integers(min_value=0, max_value=8), st.lists(lined, max_size=60))
def test_a_long_line_is_what_the_pattern_finds(length: int, values: list[str]) -> None:
    pattern = f".{{{length},}}"
    question = predicate(Atom("F", Op.REGEX, pattern))

    assert isinstance(question, LongLine)
    assert question.ask(column(values), None).tolist() == [
        bool(re.search(pattern, value)) for value in values
    ]


def test_no_other_pattern_is_taken_for_one_of_length() -> None:
    for pattern in (".{5}", "^.{5,}$", "(?s).{5,}", ".{5,9}", ".{5,}?"):
        assert not isinstance(predicate(Atom("F", Op.REGEX, pattern)), LongLine)


@given(
    st.lists(st.one_of(words, words.map(lambda text: f"{LOW}{text}")).filter(bool), max_size=8),
    st.lists(words, max_size=8),
    st.booleans(),
)
def test_the_texts_that_occur_are_those_that_the_scanner_finds(
    needles: list[str], values: list[str], much: bool
) -> None:
    low = pa.array([lower_text(value) for value in (values * 200 if much else values)], pa.string())
    found, _ = Scanner(needles).scan(low)

    assert occurring(needles, low) == {needles[at] for at in found.tolist()}
