"""Whatever a rule says becomes a literal: read back by the tests' own reader of the language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.connectors.siem.sentinel import kql
from huntonce.connectors.siem.sentinel.tables import SHAPES, Table
from huntonce.connectors.siem.sentinel.translating import translate
from huntonce.connectors.siem.textual import AllOf, AnyOf, Contains, HasId, NoneOf
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.errors import DomainError
from tests.support.sentinel.evaluating import value_of
from tests.support.sentinel.holding import SCHEMAS
from tests.support.sentinel.parsing import parse, scan

HOSTILE = st.text(
    st.sampled_from("\"'\\\n\r\t|;/*@hH[](){}=~ \u2028\u0085ax\x00\U0001f600")
) | st.text(st.characters(exclude_categories=["Cs"]))
TABLES = [Table(SHAPES[name], list(schema)) for name, schema in SCHEMAS.items()]


@given(HOSTILE)
def test_a_text_is_one_literal_that_means_it(value: str) -> None:
    literal = kql.text(value)

    assert [token.value for token in scan(literal)] == [value, ""]
    assert literal.isascii()
    assert literal.isprintable()
    assert [kind for kind, _ in kql.tokens(literal)] == ["text"]


@given(HOSTILE, HOSTILE, st.integers(0, 65_535))
def test_values_and_fields_change_nothing_but_literals(value: str, field: str, number: int) -> None:
    place = Variant(channel=value, event_ids=(number,))
    for table in TABLES:
        tests = [*table.scope(place), table.has(place, field), table.filled(field),
                 table.value(place, field)]  # fmt: skip
        asked = AllOf((NoneOf(HasId(number)), AnyOf((Contains((value, field)), HasId(1)))))
        tests.append(kql.question(asked, "Computer", "EventID"))
        query = "\n| ".join((table.shape.table, *(f"extend x = {one}" for one in tests)))

        assert [one.kind for one in parse(query).operators] == ["extend"] * len(tests)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip))
def test_a_deployed_rule_is_the_same_operators_whatever_it_looks_for(value: str) -> None:
    quoted = value.replace("'", "''").replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")
    rule = (
        "title: x\nlogsource: {product: windows, service: security}\ndetection:\n"
        f"    s: {{CommandLine|contains: 'a{quoted}'}}\n    condition: s\n"
    )
    try:
        query = parse(translate("x", rule, TABLES[:1], 60))
    except DomainError:  # YAML takes no such character
        return
    assert [one.kind for one in query.operators] == ["where", "where", "extend", "where", "project"]
    (test,) = (part for _, part in query.operators[3].parts)
    assert value_of(test, {"huntonce_0": f"x a{value} y"}) is True


@pytest.mark.parametrize("name", ["", 'a"]', "a b", "1a", "a\n", "é", "a" * 200])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(DomainError):
        kql.name(name)


@pytest.mark.parametrize("query", ['T | where x == "a', "T | where x == 'a\n'", "T ; U", "T | `x`"])
def test_a_query_that_is_none_is_told(query: str) -> None:
    with pytest.raises(DomainError):
        list(kql.tokens(query))
