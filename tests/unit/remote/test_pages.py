import re

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from huntonce.connectors.remote.base import comments, key_tag, same_words
from huntonce.connectors.remote.page import (
    MAX_CODE,
    Block,
    Shape,
    line,
    markdown,
    render,
    tame,
    title,
    visible,
    wiki,
)
from huntonce.connectors.remote.tell import case_page, gap_page, tlp_of
from huntonce.models.desk import MAX_COMMENT, MAX_COMMENTS, Comment
from huntonce.models.tlp import Tlp

HOSTILE = st.text(
    st.one_of(
        st.sampled_from("`~*_{}[]()<>#+-.!|\\@:/&\"'\n\r\t \u202e\u200b"),
        st.characters(max_codepoint=0x2FFF),
    ),
    max_size=120,
)
MD = MarkdownIt("commonmark", {"html": True})


def inner(text: str) -> list[tuple[str, str]]:
    """Every inline token of a page that shows or does something."""
    tokens = [child for token in MD.parse(text) for child in token.children or ()]
    return [(token.type, token.content) for token in tokens]


@given(HOSTILE)
def test_a_code_block_holds_any_text_and_nothing_leaves_it(text: str) -> None:
    (fence,) = MD.parse(markdown(Block(Shape.CODE, text)))

    assert fence.type == "fence"
    assert fence.content.rstrip("\n") == visible(text).rstrip("\n")


@given(HOSTILE)
def test_a_code_span_holds_any_text(text: str) -> None:
    found = inner(markdown(Block(Shape.FACT, "Host", text)))

    assert found[-1][0] == "code_inline"
    assert found[-1][1].strip() == (line(text) or "-").strip()
    assert {kind for kind, _ in found} <= {"strong_open", "strong_close", "text", "code_inline"}


@given(HOSTILE)
def test_a_sentence_shows_its_text_and_does_nothing(text: str) -> None:
    tokens = MD.parse(markdown(Block(Shape.TEXT, text)))

    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}
    found = inner(markdown(Block(Shape.TEXT, text)))
    assert {kind for kind, _ in found} <= {"text", "text_special"}
    assert "".join(content for _, content in found) == tame(" ".join(visible(text).split()))


@given(HOSTILE)
def test_in_wiki_markup_a_block_ends_only_where_we_end_it(text: str) -> None:
    block = wiki(Block(Shape.CODE, text))

    assert len(re.findall(r"\{\s*noformat", block, re.IGNORECASE)) == 2
    assert block.startswith("{noformat}\n")
    assert block.endswith("\n{noformat}")


@given(HOSTILE)
def test_in_wiki_markup_a_sentence_has_no_markup_left(text: str) -> None:
    told = "".join(
        wiki(block).strip().removeprefix("* ").removeprefix("x: ")
        for block in (Block(Shape.TEXT, text), Block(Shape.FACT, "x", text))
    )

    bare = re.sub(r"\\[!*_?+^~{}\[\]|()\-\"@#]|&#\d+;", "", told)
    assert not re.search(r"[!*_?+^~{}\[\]|()\-\"@#<>\\&]", bare)
    assert "://" not in told


def test_nobody_is_named_and_nothing_is_linked() -> None:
    text = "by @admin, see #12 and http://evil.example, www.evil.example, mailto:x@evil.example"

    for shown in (tame(text), title(text)):
        assert not re.search(r"@\w", shown)
    assert not re.search(r"#\d|://|www\.|mailto:", tame(text))


def test_hidden_characters_are_spelled_out() -> None:
    assert visible("cmd\u202egpj.exe\x1b[2J\u200b") == "cmd\\u202egpj.exe\\u001b[2J\\u200b"
    assert visible("a\r\nb\rc\n\td") == "a\nb\nc\n\td"
    assert visible("\ud800") == "\\ud800"


@given(st.lists(HOSTILE, max_size=60), st.integers(300, 3_000))
def test_a_page_keeps_its_bound_and_its_last_line(texts: list[str], limit: int) -> None:
    blocks = [Block(Shape.CODE, text * 5) for text in texts]

    for markup in (markdown, wiki):
        page = render(blocks, markup, limit, "\n<!-- last -->")
        assert len(page.encode("utf-16-le", "surrogatepass")) // 2 <= limit
        assert page.endswith("<!-- last -->")


def test_what_is_left_out_is_said() -> None:
    page = render([Block(Shape.CODE, "x" * 400)] * 9, markdown, 2_000)

    assert "more lines are left out here" in page
    assert re.search(r"[5-9] more lines", page)


def test_one_code_block_is_cut() -> None:
    assert len(markdown(Block(Shape.CODE, "x" * 3 * MAX_CODE))) < MAX_CODE + 50


def test_a_ticket_has_its_remedy_and_a_case_its_evidence() -> None:
    ticket = render(
        gap_page(
            {
                "gap": "GAP-1",
                "tlp": "green",
                "reason": "Security 4698 does not arrive",
                "business": "H-1 waits",
                "remedy": "Switch it on",
                "commands": ["auditpol /set /subcategory:{0CCE9227-69AE-11D9-BED3-505054503030}"],
                "hosts": ["PC1"],
            },
            home="https://hunt.example",
        ),
        wiki,
        32_767,
    )
    for part in (r"GAP\-1", "auditpol /set", "PC1", "[https://hunt.example]", "green"):
        assert part in ticket
    case = render(
        case_page(
            {
                "case": "CASE-1",
                "summary": "F-1 powershell -enc `x`",
                "techniques": ["T1053.005"],
                "accounts": ["ann"],
                "observables": [{"type": "user", "value": "S-1-5-18"}],
                "timeline": [{"time": "2026-03-01T10:00:00", "host": "PC1", "event_id": 4698}],
            }
        ),
        markdown,
        65_536,
    )
    for part in ("CASE-1", "powershell -enc `x`", "T1053.005", "ann", "S-1-5-18", "4698"):
        assert part in case


def test_a_marking_that_is_not_known_counts_as_the_default() -> None:
    assert tlp_of({"tlp": "RED"}, Tlp.AMBER) is Tlp.RED
    assert tlp_of({"tlp": "purple"}, Tlp.AMBER) is Tlp.AMBER
    assert tlp_of({}, Tlp.GREEN) is Tlp.GREEN


def test_a_key_is_short_plain_and_its_own() -> None:
    keys = ["a", "b", "x" * 5_000, "ünï'; DROP"]

    tags = [key_tag(key) for key in keys]

    assert len(set(tags)) == len(keys)
    assert all(re.fullmatch(r"huntonce-[0-9a-f]{32}", tag) for tag in tags)


def test_the_same_words_in_another_spelling_are_the_same() -> None:
    assert same_words("GAP\\-1 closed\\: seen", "GAP-1 closed: seen")
    assert not same_words("GAP-1 closed: seen", "GAP-1 is back")


def test_comments_are_bounded_and_each_is_there_once() -> None:
    found = [Comment(id=str(n % 80), author="a\u202e", at="", text="x" * 9_000) for n in range(160)]

    kept = comments(found)

    assert len(kept) == MAX_COMMENTS
    assert len({one.id for one in kept}) == MAX_COMMENTS
    assert all(len(one.text) == MAX_COMMENT and one.author == "a\\u202e" for one in kept)
