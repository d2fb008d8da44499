"""The commands of ATT&CK, hypotheses and indicators, as people and scripts call them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from huntonce.cli.main import app

pytestmark = pytest.mark.integration
RUN = CliRunner()
UUID = "00000000-0000-4000-8000-00000000000"


def call(home: Path, *words: str, code: int = 0) -> str:
    done = RUN.invoke(app, [*words, "--home", str(home)])
    assert done.exit_code == code, done.output
    return done.stdout


def answer(home: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call(home, *words, "--json"))
    return found


def bundle(path: Path, *objects: dict[str, Any]) -> Path:
    common = {"spec_version": "2.1", "created": "2026-01-01T00:00:00Z"}
    common["modified"] = "2026-01-01T00:00:00Z"
    whole = {
        "type": "bundle",
        "id": f"bundle--{UUID}0",
        "objects": [{**common, **item} for item in objects],
    }
    path.write_text(json.dumps(whole))
    return path


def pattern(number: int, technique_id: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "attack-pattern",
        "id": f"attack-pattern--{UUID}{number}",
        "name": f"Technique {technique_id}",
        "x_mitre_platforms": ["Windows"],
        "kill_chain_phases": [{"kill_chain_name": "mitre-attack", "phase_name": "stealth"}],
        "external_references": [{"source_name": "mitre-attack", "external_id": technique_id}],
        **more,
    }


def test_a_users_attack_becomes_the_catalogue_and_moves_the_hypotheses(tmp_path: Path) -> None:
    home = tmp_path / "home"
    report = bundle(
        tmp_path / "report.json",
        pattern(1, "T1562.001"),
        {
            "type": "report",
            "id": f"report--{UUID}2",
            "name": "Who blinds us",
            "published": "2026-01-01T00:00:00Z",
            "object_refs": [f"attack-pattern--{UUID}1"],
        },
    )
    newer = bundle(
        tmp_path / "enterprise-attack-19.1.json",
        pattern(3, "T1685"),
        pattern(4, "T1562.001", revoked=True),
        {
            "type": "relationship",
            "id": f"relationship--{UUID}5",
            "relationship_type": "revoked-by",
            "source_ref": f"attack-pattern--{UUID}4",
            "target_ref": f"attack-pattern--{UUID}3",
        },
    )
    call(home, "intel", "load", str(report))
    call(home, "hypotheses", "derive")

    done = answer(home, "attack", "update", str(newer))

    assert (done["version"], done["before"], done["in_use"]) == ("19.1", "18.1", "19.1")
    assert (done["techniques"], done["analytics"]) == (2, 0)
    assert [(m["from"], m["to"]) for m in done["moved"]] == [("T1562.001", "T1685")]
    assert answer(home, "attack", "show", "T1562.001")["techniques"][0]["id"] == "T1685"
    listed = {h["technique"]: h for h in answer(home, "hypotheses")["hypotheses"]}
    assert listed["T1562.001"]["state"] == "superseded"
    assert listed["T1685"]["sources"] == listed["T1562.001"]["sources"]
    shown = call(home, "hypotheses")
    assert "T1685" in shown
    assert "1 superseded are not shown" in shown
    assert "T1562.001 windows" in call(home, "hypotheses", "--all")


def test_without_a_newer_one_the_shipped_attack_is_shown(tmp_path: Path) -> None:
    shown = answer(tmp_path, "attack", "show", "attack.t1053.005")

    assert shown["version"] == "18.1"
    assert shown["techniques"][0]["analytics"][0]["id"] == "AN1221"
    assert answer(tmp_path, "attack", "show")["active"] > 600
    assert "T1562.001" in call(tmp_path, "attack", "show", "T1685")
    call(tmp_path, "attack", "show", "T9999", code=2)


@pytest.mark.parametrize("text", ["{}", "no json", '{"objects": []}'])
def test_what_is_no_attack_is_refused_and_nothing_changes(tmp_path: Path, text: str) -> None:
    file = tmp_path / "enterprise-attack-19.0.json"
    file.write_text(text)

    call(tmp_path / "home", "attack", "update", str(file), code=2)

    assert answer(tmp_path / "home", "attack", "show")["version"] == "18.1"


def test_indicators_are_swept_from_the_command_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    event = {
        "EventID": 1,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Computer": "PC1.corp.example",
        "UtcTime": "2026-03-02 08:00:00.000",
        "@timestamp": "2026-03-02T08:00:00Z",
        "EventRecordID": 7,
        "Image": "C:\\Users\\Public\\evil1.exe",
        "CommandLine": "evil1.exe -x",
    }
    (tmp_path / "log.json").write_text(json.dumps(event))
    made = [
        {
            "type": "indicator",
            "id": f"indicator--{UUID}{number}",
            "name": name,
            "pattern": f"[file:name = '{name}']",
            "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z",
        }
        for number, name in enumerate(("evil1.exe", "evil2.exe", "cmd.exe"))
    ]
    call(home, "intel", "load", str(bundle(tmp_path / "intel.json", *made)))
    call(home, "lake", "load", str(tmp_path / "log.json"))

    done = answer(home, "ioc")

    assert done["counts"] == {
        "hit": 1, "miss": 1, "could_not_look": 0, "not_matchable": 0, "left_out": 1,
    }  # fmt: skip
    assert {one["name"]: one["status"] for one in done["indicators"]} == {
        "evil1.exe": "hit", "evil2.exe": "miss", "cmd.exe": "left_out",
    }  # fmt: skip
    assert done["findings"][0]["disposition"] == "suspicious"
    assert done["queries"][0]["query"]
    assert (done["verdict"], done["cases"]) == ("inconclusive", [])
    kept = answer(home, "show", done["id"])
    assert (kept["verdict"], kept["hypothesis"]) == ("inconclusive", "")
    assert any(line.startswith("miss: ") and f"{UUID}1" in line for line in kept["outcomes"])
    shown = call(home, "ioc")
    assert "a program that every Windows has" in shown
    assert "F-1" in shown
