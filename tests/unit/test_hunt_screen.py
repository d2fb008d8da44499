"""Many findings leave room on the screen for what could not be seen, and the gravest come first."""

import io

import pytest
from rich.console import Console

from huntonce.cli.huntscreen import BLIND_SHOWN, FINDINGS_SHOWN, show_findings, show_groups
from huntonce.models.finding import Disposition
from huntonce.models.power import power
from huntonce.models.seeing import probe
from tests.support.builders import SECURITY, Arrived, arrivals, finding, model


@pytest.mark.parametrize("width", [80, 100, 120])
def test_many_findings_take_few_lines_and_hide_none_that_is_graver(width: int) -> None:
    many = tuple(
        finding(
            id=f"F-{n}",
            score=n / 20,
            title=f"task {n} " + "with a long name " * 9,
            state=Disposition.MALICIOUS if n > 10 else Disposition.SUSPICIOUS,
        )
        for n in range(1, 13)
    )
    out = io.StringIO()

    show_findings(Console(file=out, width=width), many)

    lines = out.getvalue().splitlines()
    assert len(lines) <= 2 * FINDINGS_SHOWN + 2
    assert all(len(line) <= width for line in lines)
    told = [line.split()[:3] for line in lines if line.startswith("F-")]
    assert told[0] == ["F-12", "malicious", "0.60"]
    assert [row[0] for row in told] == ["F-12", "F-11", "F-10", "F-9"]
    assert "and 8 more, none above 0.40: F-8" in lines[-1]


@pytest.mark.parametrize("blind", [1, BLIND_SHOWN, BLIND_SHOWN + 3])
def test_hosts_that_show_nothing_are_named_as_far_as_a_line_holds_them(blind: int) -> None:
    dark = [f"DARK-{number}" for number in range(blind)]
    rows: list[Arrived] = [("PC1", SECURITY, number, 0, 1) for number in (4698, 4688)]
    arrived = arrivals(rows)
    hosts = ["PC1", *dark]
    value = power(model(), hosts, arrived.window, probe(model(), hosts, arrived))
    out = io.StringIO()

    show_groups(Console(file=out, width=100), value)

    last = out.getvalue().splitlines()[-1].strip()
    assert last.startswith(f"blind: {', '.join(dark[:BLIND_SHOWN])}")
    assert last.endswith("and 3 more") == (blind > BLIND_SHOWN)
    assert "PC1" not in last
