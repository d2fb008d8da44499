"""How a run is told: one hunt in full, the others in a line."""

from io import StringIO

import pytest
from rich.console import Console

from huntonce.cli.commands.demo import Teller
from huntonce.flows.story import Told


def told(stage: str, *lines: str, brief: tuple[str, ...] | None = None, about: str = "") -> Told:
    return Told(stage=stage, lines=lines, numbers={}, brief=brief, about=about)


STORY = (
    told("Lab", "logs were made"),
    told("Evidence", "T1053.005 needs creation", "creation nowhere", brief=(), about="T1053.005"),
    told("Hunt", "3 findings", "verdict: found", brief=("H-1 found",), about="T1053.005"),
    told("Evidence", "T1105 needs tooling", brief=(), about="T1105"),
    told("Hunt", "0 findings", "verdict: none", brief=("H-2 nothing",), about="T1105"),
    told("Outcomes", "GAP-7 nowhere", brief=(), about="T1105"),
    told("Hunt", "0 findings", "verdict: blind", brief=("H-3 blind",), about="T1087.002"),
)


def screen(*, width: int = 80, full: bool = False, in_full: str = "") -> str:
    text = StringIO()
    teller = Teller(Console(file=text, width=width), full=full, in_full=in_full)
    for step in STORY:
        teller(step)
    return text.getvalue()


def test_the_hunt_that_it_is_about_is_told_in_full_and_the_others_in_a_line() -> None:
    assert [
        " ".join(line.split()) for line in screen(in_full="T1053.005").splitlines() if line
    ] == [
        "1 Lab logs were made",
        "2 Evidence T1053.005 needs creation",
        "creation nowhere",
        "3 Hunt 3 findings",
        "verdict: found",
        "H-2 nothing",
        "H-3 blind",
    ]


def test_in_full_every_line_is_told() -> None:
    shown = screen(full=True)

    assert all(line in shown for step in STORY for line in step.lines)
    assert "H-2 nothing" not in shown


def test_in_brief_no_step_without_words_takes_a_number() -> None:
    assert [line.split()[:2] for line in screen().splitlines() if line[:2].strip()] == [
        ["1", "Lab"],
        ["2", "Hunt"],
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    text = StringIO()
    teller = Teller(Console(file=text, width=width))
    teller(told("Hunt", *[f"    {'word ' * 60}", "x" * 300, "one two"]))

    assert max(len(line) for line in text.getvalue().splitlines()) <= width
