"""The page as its reader meets it: true, safe, and the same without a network."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from huntonce.flows.reporting import page_parts
from huntonce.models.hypothesis import Verdict
from huntonce.models.metrics.measure import measure
from huntonce.models.report.definitions import DEFINITIONS
from huntonce.models.report.html import LIMITS, render_html
from huntonce.models.report.programme import Programme, records_of
from huntonce.models.state.store import Store
from tests.unit.report.conftest import page_of
from tests.unit.report.page_reading import Page
from tests.unit.report.report_examples import (
    NOW,
    WHO,
    Turning,
    concluded,
    fill,
    finding,
    hypothesis,
    opened,
    read,
    started,
)

HOSTILE = (
    "</style></script></details>\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
    "<a href=javascript:alert(1)>x</a> http://evil.example/ {{ 7 * 7 }}{% raw %} "
    "\u202egnp.exe\u200b\x1b[2J\x00\ud800"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    clock = Turning()
    with opened(tmp_path_factory.mktemp("hostile"), clock) as store:
        fill(store, clock, HOSTILE)
        return page_of(read(store, organisation=HOSTILE, note=HOSTILE))


def _checked(source: str) -> Page:
    page = Page(source)
    assert page.faults == []
    return page


def test_hostile_text_makes_no_element_and_no_attribute_of_its_own(hostile: str, page: str) -> None:
    seen, plain = _checked(hostile), _checked(page)

    assert seen.tags == plain.tags
    assert {name for _, name, _ in seen.attributes} == {name for _, name, _ in plain.attributes}
    assert not seen.tags & {"script", "img", "iframe", "object", "link", "base", "form"}


@pytest.mark.parametrize("which", ["hostile", "page"])
def test_the_page_refers_to_nothing_outside_but_attack(
    which: str, request: pytest.FixtureRequest
) -> None:
    page = _checked(request.getfixturevalue(which))

    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in {"src", "srcset", "style", "xlink:href", "action", "data"}
        if name == "href" and tag == "a":
            assert value.startswith(("#", "https://attack.mitre.org/techniques/T"))
        elif name == "href":
            assert value.startswith("#")
        elif "://" in value:
            assert name in {"title", "aria-label", "id"}
    outside = [e for e in page.elements if e.attributes.get("href", "").startswith("https:")]
    assert outside
    assert all("noreferrer" in element.attributes["rel"] for element in outside)
    assert "default-src 'none'" in page.elements[3].attributes["content"]


def test_the_style_sheet_loads_nothing() -> None:
    css = page_parts()[1]

    assert "@import" not in css
    assert css.count("url(") == css.count("url(#")
    assert "</" not in css


def test_unseen_characters_are_spelled_out(hostile: str) -> None:
    for character in "\u202e\u200b\x1b\x00\ud800":
        assert character not in hostile
    assert "⟨U+202E⟩gnp.exe" in hostile
    hostile.encode()


def test_text_from_data_is_never_a_template(hostile: str) -> None:
    assert "{{ 7 * 7 }}{% raw %}" in hostile


def test_a_template_that_names_what_is_not_there_fails(shown: Programme) -> None:
    with pytest.raises(UndefinedError):
        render_html(shown, template="{{ p.metrics.nothing }}{{ nowhere }}", css="")


def test_every_number_equals_what_the_log_gives(store: Store, page: str, shown: Programme) -> None:
    seen = _checked(page)
    with store.unit() as unit:
        found = measure(records_of(unit, now=NOW))
    expected = {name: number.value for name, number in found.numbers.items()}

    assert shown.numbers == expected
    assert (expected["gaps_surfaced"], expected["gaps_closed"]) == (2, 1)
    assert expected["remediation_hours"] == 50
    for name in ("gaps_surfaced", "gaps_closed", "detections_promoted", "blocked", "hypotheses"):
        links = [e.words for e in seen.elements if e.attributes.get("href") == f"#def-{name}"]
        assert links
        assert set(links) == {f"{expected[name]:.0f}"}
    assert "2 d 2 h" in seen.by_id("def-remediation_hours").words


def test_every_metric_has_a_definition_and_every_definition_a_number(shown: Programme) -> None:
    assert set(DEFINITIONS) == set(shown.numbers)


def test_every_link_inside_the_page_leads_somewhere(page: str) -> None:
    seen = _checked(page)
    ids = Counter(e.attributes["id"] for e in seen.elements if "id" in e.attributes)

    assert [name for name, times in ids.items() if times > 1] == []
    targets = {
        e.attributes["href"][1:] for e in seen.elements if e.attributes.get("href", "")[:1] == "#"
    }
    assert targets <= set(ids)


def test_the_three_outcomes_stand_side_by_side_with_the_same_parts(page: str) -> None:
    seen = _checked(page)
    columns = [e for e in seen.elements if e.attributes.get("class", "").startswith("col ")]

    assert [e.attributes["class"] for e in columns] == [
        "col gaps",
        "col detections",
        "col findings",
    ]
    assert "22 of 240 hosts" in columns[0].words
    assert "auditpol plain words" in columns[0].words
    assert "Fires on 5 of 6 malicious events and on 1 of 1,234 benign records." in columns[1].words
    assert "0.07 false alerts a day (95 % interval under 0.01 to 0.40)" in columns[1].words
    assert "does not stand guard" in columns[1].words
    assert "Mended: plain words" in columns[0].words
    assert "closed by evidence after 2 d 2 h" in columns[0].words
    assert "open: with incident response" in columns[2].words


@pytest.mark.parametrize(
    ("verdict", "share", "chip"),
    [
        (Verdict.BLOCKED, 0.0, "Blocked: could not look"),
        (Verdict.INCONCLUSIVE, 0.4, "Inconclusive: not ruled out"),
    ],
)
def test_not_knowing_never_reads_like_nothing_there(
    verdict: Verdict, share: float, chip: str, tmp_path: Path
) -> None:
    with opened(tmp_path) as store:
        with store.unit() as unit:
            concluded(unit, hypothesis(), verdict, share)
            unit.commit()
        seen = _checked(page_of(read(store)))

    for part in ("HUNT-1", "H-1"):
        words = seen.by_id(part).words
        assert chip in words
        for reassuring in ("Nothing was found", "Ruled out", "clean", "No finding was"):
            assert reassuring not in words
    matrix = seen.by_id("techniques").words
    assert chip.partition(":")[0].lower() in matrix
    assert "ruled out where seen" not in matrix
    column = next(e for e in seen.elements if e.attributes.get("class") == "col findings")
    assert chip in column.words


def test_what_was_ruled_out_says_how_far_it_could_be_seen(page: str) -> None:
    words = _checked(page).by_id("HUNT-2").words

    assert "Ruled out, as far as it could be seen" in words
    assert "seen 216 of 240 hosts" in words
    assert "Blind hosts BLIND1" in words


def test_an_empty_store_says_that_nothing_is_known(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        seen = _checked(page_of(read(store)))

    words = seen.by_id("outcomes").words
    assert "That is not the same as no gaps." in words
    assert "nothing is found and nothing is ruled out" in words
    assert any("Nothing is known yet" in e.words for e in seen.elements if e.tag == "li")


def test_a_broken_log_is_said_first(shown: Programme) -> None:
    broken = replace(shown, log=replace(shown.log, broken_at=4))
    seen = _checked(page_of(broken))

    alarm = next(e for e in seen.elements if e.attributes.get("role") == "alert")
    assert "broken at row 4" in alarm.words
    assert "chain verified" not in " ".join(e.words for e in seen.elements if e.tag == "body")


def test_the_page_carries_the_tightest_marking_of_what_it_names(page: str) -> None:
    assert "TLP:RED" in next(e.words for e in _checked(page).elements if e.tag == "header")


def test_the_demo_is_named_as_one_at_the_top(shown: Programme) -> None:
    seen = _checked(page_of(replace(shown, note="This is the demo.")))

    assert any(
        e.attributes.get("class") == "note" and e.words == "This is the demo."
        for e in seen.elements
    )


def test_a_finding_seen_by_two_hunts_is_shown_once(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        with store.unit() as unit:
            run = concluded(unit, hypothesis(), Verdict.CONFIRMED_MALICIOUS, 1.0)
            claim = unit.hypotheses.list()[0]
            found = unit.findings.add(finding(claim), **WHO)
            unit.hunts.save(replace(run, finding_ids=(found.id,)), **WHO)
            again = replace(started(claim), siem="other")
            unit.hunts.add(replace(again, finding_ids=(found.id,)), **WHO)
            unit.commit()
        shown = read(store)

    _checked(page_of(shown)).by_id(found.id)
    assert "HOST1" in shown.evil_hosts


def test_passwords_on_command_lines_are_hidden_but_queries_are_exact(shown: Programme) -> None:
    line = 'schtasks /create /s HOST /u A\\b /p Secret99! /tn "x" # http'
    view = shown.hunts[-1]
    hunts = replace(
        view,
        run=replace(view.run, checks=(replace(view.run.checks[0], query=f"{line} as sent"),)),
        findings=(replace(view.findings[0], details={"tool": line}),),
    )
    page = page_of(replace(shown, hunts=(hunts,)))

    assert page.count("Secret99!") == 1
    assert "Secret99! /tn &#34;x&#34; # http as sent" in page


def test_more_than_a_page_holds_is_said_and_counted(shown: Programme) -> None:
    view = shown.gaps[0]
    many = tuple(
        replace(view, gap=replace(view.gap, id=f"GAP-{n}")) for n in range(LIMITS["gaps"] + 7)
    )
    seen = _checked(page_of(replace(shown, gaps=many)))

    assert "7 more are in the store" in seen.by_id("gaps").words
