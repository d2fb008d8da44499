"""A rule on a terminal hangs below its own beginning; in a pipe it stays as it is."""

import io

import pytest
import yaml
from rich.console import Console

from huntonce.cli.guardviews import show_rule

RULE = """\
title: A Rule
references:
    - 'A long name of a report that nobody shortened: one account, one task (report--2c768902)'
detection:
    selection:
        TaskContent|re:
            - '(?i)[a-z]{16,} and so on, far longer than the terminal that it is shown on, is it'
    condition: selection
"""


def shown(*, terminal: bool, width: int = 60) -> list[str]:
    file = io.StringIO()
    show_rule(Console(file=file, force_terminal=terminal, width=width, color_system=None), RULE)
    return file.getvalue().splitlines()


def test_long_lines_go_on_below_their_own_beginning() -> None:
    lines = shown(terminal=True)

    assert max(len(line) for line in lines) <= 60
    at = next(n for n, line in enumerate(lines) if "A long name" in line)
    assert lines[at].startswith("    - '")
    assert lines[at + 1].startswith("      ")
    assert lines[at + 1][6] != " "
    assert yaml.safe_load("\n".join(lines)) == yaml.safe_load(RULE)


@pytest.mark.parametrize("width", [1, 20, 60, 200])
def test_a_pipe_gets_the_rule_itself(width: int) -> None:
    assert shown(terminal=False, width=width) == RULE.splitlines()
