"""Patterns and values that are made to take for ever: refused, or judged at once."""

import re
import signal
from collections.abc import Iterator
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from huntonce.connectors.siem.opensearch.dsl import bounds
from huntonce.connectors.siem.opensearch.fields import Resolved
from huntonce.connectors.siem.opensearch.mapping import Indexed
from huntonce.connectors.siem.warehouse.narrowing import Columns, candidates
from huntonce.connectors.sigma.ir import Atom, Op
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.analytics.records import pattern
from huntonce.models.errors import DomainError
from huntonce.models.indicators.matching import holds
from huntonce.models.indicators.patterns import FieldTest
from huntonce.models.indicators.patterns import Op as Compared

SECONDS = 10


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Nothing here takes longer than that, however busy the machine is."""

    def late(_: int, __: FrameType | None) -> None:
        raise AssertionError("it does not come to an end")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "text",
    ["(a+)+$", "(?:a*)*b", "((a+))+x", "(a+|b)+$", r"(\w+\s?)+$", "(a{0,99})*z", "x(?=(b+)+c)"],
)
def test_a_repetition_of_a_repetition_is_refused(text: str) -> None:
    with pytest.raises(DomainError, match="for ever"):
        pattern(text)


@pytest.mark.parametrize("text", [r"(?:[a-z]+\.)+exe$", "(ab)+", "a+b+", r"^\\(?:x|y)+$", "(a+)?b"])
def test_ordinary_repetitions_are_taken(text: str) -> None:
    assert pattern(text).pattern == text


def test_a_received_like_pattern_is_judged_at_once() -> None:
    test = FieldTest(field="c", op=Compared.LIKE, value="%a" * 60 + "%b")

    assert not holds(test, {"c": "a" * 20_000})
    assert holds(test, {"c": "a" * 20_000 + "b"})


@given(st.text("ab%_", max_size=8), st.text("ab\n", max_size=8))
def test_like_means_what_the_regular_expression_means(like: str, text: str) -> None:
    expression = "".join({"%": ".*", "_": "."}.get(one) or re.escape(one) for one in like)
    test = FieldTest(field="c", op=Compared.LIKE, value=like)

    assert holds(test, {"c": text}) is bool(re.fullmatch(expression, text, re.DOTALL))


# ------------------------------------------------------------------ queries of clusters and bases

HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        (
            *("' OR 1=1 --", "'; DROP TABLE events; --", "\\' OR ''='", "$$x$$", "%s%(a)s{}{0}"),
            *('"}},{"script":{"source":"x"}}', "* OR *:*", "/.*/", "a\x00b", "\ud800", "E'\\x27'"),
        )
    ),
)
TEXTUAL = st.sampled_from((Op.EQ, Op.CONTAINS, Op.STARTSWITH, Op.ENDSWITH, Op.C_EQ, Op.C_CONTAINS))
KINDS = {"bool", "term", "terms", "wildcard", "exists", "match_all", "match_none", "range"}
INSIDE = {"must", "should", "must_not", "filter"}


@given(TEXTUAL, HOSTILE, HOSTILE)
def test_a_value_is_never_a_query_of_a_cluster(op: Op, field: str, value: str) -> None:
    indexed = Indexed(path="x.keyword", kind="whole")

    made = bounds(Atom(field, op, value), lambda _: Resolved(own=(indexed,)))

    for query in (made.upper, made.lower):
        stack = [query]
        while stack:
            (kind, body), *more = stack.pop().items()
            assert not more
            assert kind in KINDS
            if kind == "bool":
                stack += [part for name in INSIDE & set(body) for part in body[name]]


@given(TEXTUAL, HOSTILE, HOSTILE)
def test_a_value_is_never_sql_of_a_database(op: Op, field: str, value: str) -> None:
    columns = Columns(text=sql.Identifier("t"), event_id=sql.Identifier("e"))

    made = candidates(Atom(field, op, value), Variant(), columns)

    if not isinstance(made, bool):
        text = made.as_string(None)
        outside = re.sub(r"E?'(?:[^'\\]|''|\\.)*'", "", text)
        assert re.fullmatch(r'[()\s]*(?:"t" LIKE|"e" = \d+|NOT|AND|OR|[()\s])*', outside), text
