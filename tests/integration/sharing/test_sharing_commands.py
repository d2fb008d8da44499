"""The commands of sharing, as an operator types them: over a real server and a closed case."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.connectors.intel.taxii_server import TaxiiServer
from huntonce.connectors.siem.labfiles import write_lab
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.models.lab.company import LabSpec, build_company
from tests.integration.sharing.login import COLLECTION, PASSWORD, USER
from tests.integration.sharing.organisations import assert_sound, objects_at

pytestmark = pytest.mark.integration
RUN = CliRunner()


def run(home: Path, *words: object, code: int = 0) -> Any:
    done = RUN.invoke(app, [*map(str, words), "--home", str(home), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if done.stdout.strip() else None


def told(home: Path, *words: object, code: int = 0) -> str:
    done = RUN.invoke(app, [*map(str, words), "--home", str(home)])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def collection(server: TaxiiServer) -> str:
    return server.collection_url(COLLECTION)


@pytest.fixture
def home(collection: str, tmp_path: Path) -> Path:
    """A home whose first hunt found a case, open at the desk, with two destinations."""
    login = f'url = "{collection}"\nusername = "{USER}"\npassword = "{PASSWORD}"\n'
    (tmp_path / "huntonce.toml").write_text(
        '[organisation]\nname = "Ostermark"\ninternal_names = ["secret-project"]\n'
        f'[publish.sector]\n{login}max_tlp = "amber"\nincident_extension = true\n'
        f'[publish.public]\n{login}max_tlp = "green"\n'
    )
    company = build_company(LabSpec(seed=7, hosts=24, days=2, noise=0.2))
    load_paths(tmp_path / "lake", list(write_lab(company, tmp_path / "lab").paths))
    found = run(tmp_path, "hunt", "T1053.005")
    assert found["case"]["id"] == "CASE-1"
    return tmp_path


def test_from_a_closed_case_to_its_retraction(home: Path, collection: str) -> None:
    closed = run(
        home, "cases", "close", "CASE-1", "--determination", "confirmed",
        "--malware", "SLOWDRIP", "--campaign", "Dry Dock", "--actor", "COPPER HERON",
    )  # fmt: skip
    assert closed["stated"]["malware"] == ["SLOWDRIP"]

    # A look: to whom, under which marking, what stays; nothing leaves.
    look = run(home, "intel", "publish", "--dry-run")
    states = {(p["destination"], p["state"]) for p in look["would_send"]}
    assert states == {("sector", "planned"), ("public", "skipped_tlp")}
    assert look["bundles"]["public"] is None
    assert_sound(look["bundles"]["sector"]["objects"])
    kinds = {o["type"] for o in look["bundles"]["sector"]["objects"]}
    assert kinds >= {"malware", "campaign", "intrusion-set", "incident", "indicator", "report"}
    assert objects_at(collection) == []
    page, bundle = home / "page.html", home / "bundle.json"
    assert "To sector (at most TLP:AMBER)" in told(
        home, "intel", "publish", "--dry-run", "--out", page
    )
    run(home, "intel", "publish", "--dry-run", "--out", bundle)
    told(home, "intel", "publish", "--dry-run", "--out", home / "page.doc", code=2)
    assert json.loads(bundle.read_text()) == look["bundles"]["sector"]
    assert all(o["id"] in page.read_text() for o in look["bundles"]["sector"]["objects"])

    # Approved, it is sent, byte for byte what was shown.
    assert run(home, "intel", "publish")["sent"] == 0
    (proposal,) = run(home, "proposals")["proposals"]
    run(home, "decide", proposal["id"], "approve", "--by", "ann")
    assert run(home, "intel", "publish")["sent"] == len(look["bundles"]["sector"]["objects"])
    there = {o["id"]: o for o in objects_at(collection)}
    assert there == {o["id"]: o for o in look["bundles"]["sector"]["objects"]}

    # Down-marked by somebody with a name, it may go further.
    down = run(
        home, "intel", "down-mark", "case-1", "--to", "public", "--tlp", "green", "--why", "asked"
    )
    told(home, "decide", down["id"], "approve", code=2)
    run(home, "decide", down["id"], "approve", "--by", "ann")
    rows = run(home, "intel", "publications", "--to", "public")["publications"]
    assert {p["type"] for p in rows if p["state"] != "planned"} <= {"marking-definition"}
    (again,) = [p for p in run(home, "proposals")["proposals"] if p["state"] == "pending"]
    run(home, "decide", again["id"], "approve", "--by", "ann")
    assert run(home, "intel", "publish")["sent"] > 0

    # Retracted, the ledger and the server say so.
    gone = run(home, "intel", "retract", "CASE-1", "--to", "sector", "--why", "wrong")
    assert gone["withdrawn"]
    assert gone["failed"] == gone["waiting"] == []
    ledger = run(home, "intel", "publications", "--to", "sector", "--state", "retracted")
    assert {p["type"] for p in ledger["publications"]} >= {"incident", "indicator", "report"}
    revoked = {o["id"] for o in objects_at(collection) if o.get("revoked")}
    assert revoked == {p["object"] for p in gone["withdrawn"]}
    assert_sound(objects_at(collection))
    assert "retracted already" in told(home, "intel", "retract", "CASE-1", "--to", "sector")


def test_the_team_s_own_file_goes_out_under_the_same_rules(home: Path, collection: str) -> None:
    marks = {"green": "bab4a63c-aed9-4cf5-a766-dfca5abac2bb"}
    tools = [
        {
            "type": "tool", "spec_version": "2.1", "name": name,
            "id": f"tool--00000000-0000-4000-8000-00000000000{number}",
            "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
            "object_marking_refs": [f"marking-definition--{marks['green']}"],
            "description": text,
        }
        for number, (name, text) in enumerate(
            [("PsExec", "runs things elsewhere"), ("Odd", "seen in Secret-Project on 10.1.2.3")]
        )
    ]  # fmt: skip
    bundle = {
        "type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000000", "objects": tools,
    }  # fmt: skip
    path = home / "team.json"
    path.write_text(json.dumps(bundle))

    look = run(home, "intel", "publish", path, "--dry-run", "--to", "public")
    done = run(home, "intel", "publish", path, "--to", "public", "--by", "cti")

    assert [p["state"] for p in look["would_send"]] == ["planned", "rejected_field"]
    assert look["would_send"][1]["why"].startswith("description names something internal")
    assert (done["sent"], done["rejected_field"]) == (1, 1)
    assert [o["name"] for o in objects_at(collection)] == ["PsExec"]
    rows = run(home, "intel", "publications", "--subject", "team.json")["publications"]
    assert [(p["state"], p["destination"]) for p in rows] == [
        ("sent", "public"),
        ("rejected_field", "public"),
    ]
    run(home, "intel", "retract", tools[0]["id"])
    assert [o.get("revoked", False) for o in objects_at(collection)] == [False, True]


def test_a_retraction_that_cannot_be_delivered_waits(home: Path, server: TaxiiServer) -> None:
    run(home, "cases", "close", "CASE-1", "--determination", "confirmed")
    (proposal,) = run(home, "proposals")["proposals"]
    run(home, "decide", proposal["id"], "approve", "--by", "ann")
    run(home, "intel", "publish")
    text = (home / "huntonce.toml").read_text()
    port = server.discovery_url.split(":")[2].split("/")[0]
    (home / "huntonce.toml").write_text(text.replace(f":{port}/", ":9/"))

    down = run(home, "intel", "retract", "CASE-1", "--to", "sector", code=4)
    (home / "huntonce.toml").write_text(text)
    sent = run(home, "intel", "publish")

    assert down["withdrawn"] == []
    assert sent["sent"] == len(down["waiting"]) > 0
    keys = list((home / "mask-keys").iterdir())
    assert len(keys) == 2  # one for each destination
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert len({path.read_text() for path in keys}) == 2
