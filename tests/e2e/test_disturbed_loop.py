"""The loop, killed where something has just left, ends where one ends that nobody killed.

A handful of what ``make chaos`` tries by the hundred; a process of its own, since it brings a
Prefect server and the desks along.
"""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRIALS = 4
KILLED = "-9"

pytestmark = pytest.mark.e2e


def test_killed_after_a_request_it_ends_as_if_nobody_had(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.csv"
    command = [sys.executable, "-m", "tests.chaos", "--jobs", "look", "--ledger", str(ledger)]
    command += ["--trials", str(TRIALS), "--only", "after POST"]

    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    with ledger.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == TRIALS
    assert {row["ended"] for row in rows} == {KILLED}
    assert [row["differs"] for row in rows] == [""] * TRIALS
    assert any("issue" in row["at"] for row in rows)
