"""Words, numbers and concealing."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.demand import Fix
from huntonce.models.hypothesis import Verdict
from huntonce.models.report import words
from huntonce.models.report.concealing import HIDDEN, without_passwords
from huntonce.models.report.html import Exact, attack_url, clamp, cut, visible
from huntonce.models.report.summary import next_steps
from tests.unit.report.report_examples import Turning, fill, opened, read


@given(st.text())
def test_visible_text_has_only_characters_that_are_seen(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" or c.isspace() for c in visible(text))
    visible(text).encode()


@given(st.floats(0, 1))
def test_a_share_is_all_or_nothing_only_when_it_is(share: float) -> None:
    assert (words.percent(share) == "100 %") == (share == 1)
    assert (words.percent(share) == "0 %") == (share == 0)


@given(st.floats(0, 1e6, allow_nan=False))
def test_a_rate_is_nought_only_when_it_is(rate: float) -> None:
    assert (words.rate(rate) == "0") == (rate == 0)


@pytest.mark.parametrize(
    ("hours", "told"),
    [(0, "under a minute"), (0.5, "30 min"), (5, "5 h"), (5.25, "5 h 15 min"), (52, "2 d 4 h")],
)
def test_durations_are_said_as_people_say_them(hours: float, told: str) -> None:
    assert words.duration(hours) == told


def test_no_two_verdicts_share_their_words_or_hide_that_they_do_not_know() -> None:
    told = {verdict: words.VERDICTS[verdict] for verdict in Verdict}

    assert len(set(told.values())) == len(Verdict)
    assert words.tone(Verdict.BLOCKED) != words.tone(Verdict.RULED_OUT)
    assert words.tone(Verdict.INCONCLUSIVE) != words.tone(Verdict.RULED_OUT)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ('schtasks /create /s A /u B\\c /p Herbst2026! /ru SYSTEM /tr "x"', "Herbst2026!"),
        ("schtasks.exe /create /ru B\\c /rp Pa55w0rd /tn x", "Pa55w0rd"),
        ("net use \\\\srv\\c$ Winter1 /user:B\\c", "Winter1"),
        ("psexec \\\\srv -u B\\c -p Geheim1 cmd", "Geheim1"),
        ("wmic /node:srv /user:B\\c /password:Geheim2 process list", "Geheim2"),
        ("tool --password Geheim3 --verbose", "Geheim3"),
        ("app.exe password=Geheim4;timeout=3", "Geheim4"),
        ("ConvertTo-SecureString 'Geheim5' -AsPlainText -Force", "Geheim5"),
    ],
)
def test_passwords_are_hidden_and_the_rest_stays(line: str, secret: str) -> None:
    hidden = without_passwords(line)

    assert secret not in hidden
    assert hidden.replace(HIDDEN, secret).replace("'", "") == line.replace("'", "")


@pytest.mark.parametrize(
    "line",
    [
        "svchost.exe -k netsvcs -p -s Schedule",
        "Security 4698 does not arrive from 22 of 240 hosts",
        "schtasks /create /tn x /tr C:\\p\\x.exe",
        "An ordinary domain account, its password taken from the first victim's browser",
    ],
)
def test_what_is_no_password_is_left_alone(line: str) -> None:
    assert without_passwords(line) == line


@pytest.mark.parametrize(
    "identifier", ["T1053.005/../../x", "javascript:alert(1)", "", "T1", "T1053.005\n"]
)
def test_only_a_technique_id_becomes_a_link(identifier: str) -> None:
    assert attack_url(identifier) == ""


def test_a_technique_has_its_page_at_mitre() -> None:
    assert attack_url("T1053.005") == "https://attack.mitre.org/techniques/T1053/005/"


@pytest.mark.parametrize(("share", "drawn"), [(-1, 0), (2, 1), (float("nan"), 0), (0.4, 0.4)])
def test_a_bar_never_leaves_its_box(share: float, drawn: float) -> None:
    assert clamp(share) == drawn


def test_a_cut_text_says_so_and_stays_exact() -> None:
    short = cut(Exact("x" * 30), 10)

    assert isinstance(short, Exact)
    assert short == f"{'x' * 10}\n… 20 more characters are in the store"


def test_the_page_names_one_gap_as_the_first_to_mend(tmp_path: Path) -> None:
    clock = Turning()
    with opened(tmp_path, clock) as store:
        fill(store, clock)
        programme = read(store)
    view = next(view for view in programme.gaps if view.open)
    views = tuple(replace(view, gap=replace(view.gap, id=name)) for name in ("GAP-8", "GAP-9"))
    for first in views:
        fix = Fix(gap=first.gap, unlocks=("H-1",), helps=(), widens=(), actors=(), weight=0.5)

        steps = next_steps(replace(programme, gaps=views, fixes=(fix,)))

        assert next(s.about for s in steps if s.about.startswith("GAP-")) == first.gap.id
