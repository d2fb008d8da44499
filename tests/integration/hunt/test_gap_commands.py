"""A gap's life as its owner has it on the command line: taken on, mended, proven, back again."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.connectors.siem.labfiles import write_lab
from huntonce.models.lab.company import SOURCES, LabSpec, build_company

pytestmark = pytest.mark.integration

RUN = CliRunner()
FEW = LabSpec(hosts=20, days=4, intrusions=False)


class Desk:
    """Somebody at the command line of a home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)
        (home / "huntonce.toml").write_text('[organisation]\nassets = "assets.csv"\n')

    def says(self, *words: object) -> str:
        done = RUN.invoke(app, [*map(str, words), "--home", str(self.home)])
        assert done.exit_code == 0, done.output
        return " ".join(done.output.split())

    def answer(self, *words: object) -> Any:
        done = RUN.invoke(app, [*map(str, words), "--home", str(self.home), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def days(self, days: int, after: int, *mended: str) -> None:
        """Days of the lab, so many of them after its first ones."""
        end = FEW.end + timedelta(days=after - 1 + days) if after else FEW.end
        spec = replace(FEW, days=days, end=end, mended=mended)
        files = write_lab(build_company(spec), self.home / f"lab{after}")
        (self.home / "assets.csv").write_bytes(files.assets_csv.read_bytes())
        self.says("lake", "load", *files.paths)

    def gap(self, source: str) -> Any:
        (found,) = (g for g in self.answer("gaps")["gaps"] if g["source"] == source)
        return found


def test_a_gap_is_closed_by_two_proofs_over_new_telemetry_and_opened_by_one(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path / "home")
    desk.days(4, 0)
    desk.answer("hunt", "T1053.005")
    audit = desk.gap("security/other-object-access")
    gap_id = audit["id"]
    assert "waiting ones are not proven yet" in desk.says("gaps", "verify")
    assert f"{gap_id} accepted by ann" in desk.says("gaps", "accept", gap_id, "--owner", "ann")
    desk.says("gaps", "remediate", gap_id, "--note", "policy is out")

    desk.days(1, 1, *SOURCES)
    first = desk.says("gaps", "verify")
    same = desk.answer("gaps", "verify")
    desk.days(1, 2, *SOURCES)
    second = desk.answer("gaps", "verify")
    due = desk.says("hypotheses")
    shown = desk.says("gaps", "show", gap_id)
    desk.days(14, 3)
    third = desk.says("gaps", "verify")

    assert f"passed: {gap_id} (1 of 2)" in first.replace("GAP-1 (1 of 2), ", "")
    assert same["passed"] == same["closed"] == []
    assert gap_id in [g["id"] for g in second["closed"]]
    assert second["requeued"] == ["H-1"]
    assert "ready to be hunted again" in due
    assert "state closed" in shown
    assert "owner ann" in shown
    assert "by ann" not in shown.partition("closed by")[2]
    assert f"{gap_id} (" in third.partition("regressed: ")[2]
    assert desk.gap("security/other-object-access")["state"] == "regressed"
    assert desk.gap("security/other-object-access")["hosts"] == audit["hosts"]
