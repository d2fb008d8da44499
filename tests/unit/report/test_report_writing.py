"""Writing the report into a home."""

import csv
import io
import json
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from huntonce.flows.bootstrap import DEMO_MARK, Home
from huntonce.flows.reporting import write_report
from huntonce.models.errors import ConfigError
from huntonce.models.metrics.records import Period
from huntonce.models.report.definitions import DEFINITIONS
from tests.unit.report.report_examples import NOW, WHO, Turning, fill, hypothesis

LAYERS = ("intel", "hunts", "detections")
FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", " =1", "\t=1")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(path=tmp_path / "home", clock=Turning())
    made.path.mkdir()
    return made


def test_the_page_and_its_numbers_are_written_together(home: Home) -> None:
    fill(home.store, Turning())
    page, numbers, flat, *layers = write_report(home)
    home.close()

    assert [p.name for p in (page, numbers, flat)] == [
        "index.html",
        "metrics.json",
        "metrics.csv",
    ]
    assert [p.name for p in layers] == [f"navigator-{n}.json" for n in LAYERS]
    assert page.read_text().startswith("<!DOCTYPE html>")
    document = json.loads(numbers.read_text())
    assert document["at"] == NOW.isoformat()
    assert document["metrics"]["gaps_surfaced"] == 2
    assert set(document["metrics"]) == set(document["definitions"]) == set(DEFINITIONS)
    assert document["log"]["chain"] == "verified"


def test_only_the_demo_home_says_that_it_is_the_demo(home: Home) -> None:
    assert "This is the demo" not in write_report(home)[0].read_text()

    (home.path / DEMO_MARK).touch()

    assert "This is the demo" in write_report(home)[0].read_text()
    home.close()


def test_a_second_report_replaces_the_first_and_leaves_nothing_beside_it(home: Home) -> None:
    out = home.path / "elsewhere"
    write_report(home, out)
    write_report(home, out)
    home.close()

    assert sorted(path.name for path in out.iterdir()) == [
        "index.html",
        "metrics.csv",
        "metrics.json",
        *sorted(f"navigator-{name}.json" for name in LAYERS),
    ]


def test_a_folder_that_cannot_be_written_is_said_with_a_hint(home: Home) -> None:
    (home.path / "file").touch()

    with pytest.raises(ConfigError) as caught:
        write_report(home, home.path / "file")
    home.close()

    assert caught.value.hint


def test_a_row_changed_behind_our_back_is_on_the_page(home: Home) -> None:
    fill(home.store, Turning())
    home.close()
    with sqlite3.connect(home.path / "huntonce.db") as database:
        database.execute("DROP TRIGGER transition_log_no_update")
        database.execute("UPDATE transition_log SET why = 'nothing to see' WHERE seq = 3")
    database.close()

    changed = Home(path=home.path, clock=home.clock)
    page, numbers, *_ = write_report(changed)
    changed.close()

    assert "The transition log is broken at row 3" in page.read_text()
    log = json.loads(numbers.read_text())["log"]
    assert (log["chain"], log["broken_at"]) == ("broken", 3)


def test_no_cell_of_the_csv_is_a_formula(home: Home) -> None:
    for number, text in enumerate(FORMULAS):
        with home.store.unit() as unit:
            claim = replace(hypothesis(f"T100{number}", text), actors=(text,))
            unit.hypotheses.add(claim, **WHO)
            unit.commit()

    flat = write_report(home)[2].read_text(encoding="utf-8")
    home.close()

    rows = list(csv.reader(io.StringIO(flat, newline="")))
    found = {row[1] for row in rows if row[0] == "yield_by_actor"}
    assert found == {f"'{text}" for text in FORMULAS}
    assert not [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r"))]


def test_the_numbers_of_a_period_stand_beside_those_before_it(tmp_path: Path) -> None:
    clock = Turning()
    home = Home(path=tmp_path, clock=clock)
    fill(home.store, clock)
    start = NOW - timedelta(days=1)
    period = Period(start=start, end=NOW + timedelta(days=1))

    document = json.loads(write_report(home, period=period)[1].read_text())
    home.close()

    assert document["metrics"]["gaps_surfaced"] == 2
    assert document["previous"]["gaps_surfaced"] == 0
    assert document["counted_from"]["gaps_surfaced"] == ["GAP-1", "GAP-2"]
    assert document["metrics"]["gaps_closed"] == 0
    assert document["period"]["start"] == start.isoformat()


def test_navigator_layers_are_those_of_format_4_5(home: Home) -> None:
    fill(home.store, Turning())
    files = {p.stem.partition("-")[2]: p for p in write_report(home) if p.suffix == ".json"}
    layers = {name: json.loads(files[name].read_text()) for name in LAYERS}
    home.close()

    for layer in layers.values():
        assert layer["versions"] == {"attack": "18", "navigator": "5.3.2", "layer": "4.5"}
        assert layer["domain"] == "enterprise-attack"
        assert len(layer["gradient"]["colors"]) >= 2
        for item in layer["techniques"]:
            assert item["techniqueID"].startswith("T")
            assert "tactic" not in item
    scores = {
        name: {t["techniqueID"]: t["score"] for t in layer["techniques"]}
        for name, layer in layers.items()
    }
    assert scores["intel"]["T1021.002"] == 1
    assert scores["hunts"] == {
        "T1053.005": 95,
        "T1003.001": 90,
        "T1105": 40,
        "T1070.001": 0,
    }
    assert scores["detections"] == {"T1053.005": 1}
    colours = {t["techniqueID"]: t["color"] for t in layers["hunts"]["techniques"]}
    assert len(set(colours.values())) == 4
