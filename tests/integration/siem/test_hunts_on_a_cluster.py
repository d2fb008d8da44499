"""One hunt on the lake and on a real OpenSearch: the same findings, verdict, power and gaps."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.connectors.siem.labfiles import LabFiles, write_lab
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.models.lab.company import LabSpec, build_company
from tests.support.warehouses import Warehouse, events_of_lake
from tests.support.winlogbeat import Indexer, documents_of_lake

pytestmark = pytest.mark.integration

HOSTS = 20


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> LabFiles:
    return write_lab(build_company(LabSpec(seed=7, hosts=HOSTS)), tmp_path_factory.mktemp("lab"))


def home_with(folder: Path, lab: LabFiles, settings: str = "") -> Path:
    folder.mkdir()
    folder.joinpath("huntonce.toml").write_text(
        f'[organisation]\nassets = "{lab.assets_csv}"\n{settings}', encoding="utf-8"
    )
    return folder


def told(home: Path, *words: str) -> dict[str, Any]:
    answer = CliRunner().invoke(app, [*words, "--home", str(home), "--json"])
    assert answer.exit_code == 0, answer.output
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def without_ids(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    left_out = {"id", "siem", "remedy"}
    return [{k: v for k, v in item.items() if k not in left_out} for item in items]


@pytest.fixture(scope="module")
def ours(lab: LabFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose lake holds the lab."""
    home = home_with(tmp_path_factory.mktemp("ours") / "home", lab)
    load_paths(home / "lake", lab.paths)
    return home


@pytest.fixture(scope="module")
def on_lake(ours: Path) -> dict[str, Any]:
    """What the hunt ends in on the lake."""
    return told(ours, "hunt", "T1053.005", "--siem", "lake")


def test_the_hunt_ends_in_the_same_findings_on_both(
    lab: LabFiles,
    ours: Path,
    on_lake: dict[str, Any],
    tmp_path: Path,
    opensearch_url: str,
    indexer: Indexer,
    fresh_index: str,
) -> None:
    indexer.create(fresh_index)
    assert indexer.load(fresh_index, documents_of_lake(ours / "lake")) == lab.events
    theirs = home_with(
        tmp_path / "theirs",
        lab,
        f'[siems.opensearch]\nurl = "{opensearch_url}"\nindices = ["{fresh_index}*"]\n'
        f'rules_index = "rules-{fresh_index}"\n[policy]\ndeploy = "auto"\n',
    )

    on_cluster = told(theirs, "hunt", "T1053.005", "--siem", "opensearch")

    assert_same(on_lake, on_cluster)
    hits = indexer.get(f"/rules-{fresh_index}/_search")["hits"]["hits"]
    kept = {path.stem for path in (theirs / "rules").glob("*-*.yml") if path.stem.count(".") == 0}
    assert {hit["_id"] for hit in hits} == kept
    assert [hit["_source"]["enabled"] for hit in hits] == [False] * len(kept)
    finding = on_cluster["findings"][0]["id"]
    shown = told(theirs, "show", finding)
    assert set(shown["originals"]) == {event["uid"] for event in shown["events"]}
    assert_watched(theirs, indexer, fresh_index)
    indexer.delete(f"rules-{fresh_index}")


def assert_watched(home: Path, indexer: Indexer, index: str) -> None:
    """The rules at the cluster: off is no drift, another text is, and former content comes back."""
    rules = f"rules-{index}"
    seen = told(home, "detections", "drift")["drift"]
    assert {(row["where"], row["kind"], row["why"]) for row in seen} == {
        ("opensearch", "switch", "off")
    }
    told(home, "detections", "filter", "D-1", "--where", "SubjectUserName=svc-nobody",
         "--reason", "test", "--owner", "test", "--siem", "opensearch")  # fmt: skip
    (listed,) = [d for d in told(home, "detections")["detections"] if d["id"] == "D-1"]
    address = f"/{rules}/_doc/{listed['rule_id']}"
    assert "svc-nobody" in indexer.get(address)["_source"]["parts"]["filters"]

    back = told(home, "detections", "rollback", "D-1", "--reason", "test")

    assert (back["version"], back["proposals"], back["failed"]) == (1, [], [])
    source = indexer.get(address)["_source"]
    assert "filters" not in source["parts"]
    assert source["enabled"] is False
    assert not [r for r in told(home, "detections", "drift")["drift"] if r["kind"] != "switch"]
    versions = told(home, "detections", "rollback", "D-1", "--list")["versions"]
    assert [row["is"] for row in versions] == ["current", ""]


def test_the_hunt_ends_in_the_same_findings_on_a_database(
    lab: LabFiles, ours: Path, on_lake: dict[str, Any], tmp_path: Path, warehouse: Warehouse
) -> None:
    table = warehouse.load(events_of_lake(ours / "lake"))
    theirs = home_with(
        tmp_path / "theirs",
        lab,
        f'[siems.base]\nkind = "postgresql"\nurl = "{warehouse.url}"\ntable = "{table}"\n',
    )

    assert_same(on_lake, told(theirs, "hunt", "T1053.005", "--siem", "base"))


def assert_same(on_lake: dict[str, Any], elsewhere: dict[str, Any]) -> None:
    assert on_lake["verdict"] == "confirmed_malicious"
    assert on_lake["findings"]
    for key in ("verdict", "power", "window"):
        assert elsewhere.get(key) == on_lake.get(key)
    assert without_ids(elsewhere["findings"]) == without_ids(on_lake["findings"])
    kinds = [[(g["kind"], g["atom"], g["hosts"]) for g in x["gaps"]] for x in (on_lake, elsewhere)]
    assert kinds[0] == kinds[1]


def test_an_unknown_siem_is_a_usage_error_that_names_those_there_are(
    lab: LabFiles, tmp_path: Path
) -> None:
    home = home_with(tmp_path / "home", lab, '[siems.prod]\nurl = "https://a.example"\n')

    answer = CliRunner().invoke(app, ["hunt", "T1053.005", "--home", str(home), "--siem", "dev"])

    assert answer.exit_code == 2
    assert "lake, prod" in answer.output


def test_a_cluster_that_is_not_there_is_an_unreachable_service(
    lab: LabFiles, tmp_path: Path
) -> None:
    home = home_with(tmp_path / "home", lab, '[siems.prod]\nurl = "http://127.0.0.1:9"\n')

    answer = CliRunner().invoke(app, ["hunt", "T1053.005", "--home", str(home), "--siem", "prod"])

    assert answer.exit_code == 4
    assert "no connection" in answer.output


def test_a_wrong_setting_is_named_and_no_secret_is_shown(lab: LabFiles, tmp_path: Path) -> None:
    secret = "hunter2-never-shown"
    home = home_with(
        tmp_path / "home",
        lab,
        f'[siems.prod]\nurl = "http://search.example"\nusername = "u"\npassword = "{secret}"\n',
    )

    answer = CliRunner().invoke(app, ["hunt", "T1053.005", "--home", str(home), "--siem", "prod"])

    assert answer.exit_code == 2
    assert "siems.prod" in answer.output
    assert "https only" in answer.output
    assert secret not in answer.output
