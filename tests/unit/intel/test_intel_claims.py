"""The same indicator under other ids is one claim."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.intel import claim_key


def key(pattern: str, kind: str = "stix") -> str:
    return claim_key({"type": "indicator", "pattern": pattern, "pattern_type": kind})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[url:value = 'a']", "[url:value='a']"),
        ("[url:value = 'a']", " [ url:value\n=  'a' ] "),
        ("[a:b = 'x' OR c:d = 'y']", "[c:d = 'y' OR a:b='x']"),
        ("[a:b = 'x' OR a:b = 'x']", "[a:b = 'x']"),
        ("[a:b = 'x' AND c:d = 'y']", "[c:d = 'y' AND a:b = 'x']"),
        ("[a:b = ' OR ' OR c:d = 'y']", "[c:d = 'y' OR a:b = ' OR ']"),
        ("[a:b IN ('x', 'y')]", "[a:b IN ('x','y')]"),
    ],
)
def test_the_same_said_in_another_way_is_one_claim(one: str, other: str) -> None:
    assert key(one) == key(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[url:value = 'a']", "[url:value = 'A']"),
        ("[url:value = 'a b']", "[url:value = 'a  b']"),
        ("[url:value = 'a']", "[url:value != 'a']"),
        ("[a:b = 'x' OR c:d = 'y']", "[a:b = 'x' AND c:d = 'y']"),
        ("[a:b = 'x' OR c:d = 'y']", "[a:b = 'y' OR c:d = 'x']"),
        ("[a:b = 'x'] FOLLOWEDBY [c:d = 'y']", "[c:d = 'y'] FOLLOWEDBY [a:b = 'x']"),
        ("[a:b = 'x' AND (c:d = 'y' OR e:f = 'z')]", "[e:f = 'z' OR a:b = 'x' AND c:d = 'y']"),
    ],
)
def test_another_meaning_is_another_claim(one: str, other: str) -> None:
    assert key(one) != key(other)


def test_rules_of_other_languages_count_as_they_are_written() -> None:
    assert key("rule a { }", "yara") == key(" rule a { }\n", "yara")
    assert key("rule a { }", "yara") != key("rule a {  }", "yara")
    assert key("[a:b = 'x']", "yara") != key("[a:b = 'x']", "stix")


def test_what_is_no_indicator_claims_nothing() -> None:
    assert claim_key({"type": "tool", "pattern": "[a:b = 'x']", "pattern_type": "stix"}) == ""
    assert claim_key({"type": "indicator", "pattern_type": "stix"}) == ""


@given(st.text(alphabet="[]()='\\ ORAND:ab\n\0", max_size=40))
def test_any_text_has_a_key_and_always_the_same(pattern: str) -> None:
    assert key(pattern) == key(pattern)
    assert len(key(pattern)) == 64


texts = st.text(alphabet="ab '\\", max_size=4).map(
    lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
)
comparisons = st.lists(st.tuples(st.sampled_from(["a:b", "c:d"]), texts), min_size=1, max_size=5)


@given(comparisons, st.randoms(), st.sampled_from(["OR", "AND"]))
def test_the_order_of_comparisons_does_not_matter(
    items: list[tuple[str, str]], chance: object, word: str
) -> None:
    shuffled = list(items)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (f" {word} ".join(f"{p} = {v}" for p, v in part) for part in (items, shuffled))

    assert key(f"[{one}]") == key(f"[ {other} ]")
