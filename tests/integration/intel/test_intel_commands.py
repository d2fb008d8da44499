"""The commands: one source down, quarantine and replay, health after a restart."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.connectors.intel.demo_intel import demo_intel, faulty_intel
from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer
from huntonce.models.state.store import open_store, sqlite_url

pytestmark = pytest.mark.integration
RUN = CliRunner()
ID = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
OTHER = "52892447-4d7e-4f70-b94d-d7f22742ff63"


@pytest.fixture
def server() -> Iterator[TaxiiServer]:
    specs = [CollectionSpec(ID, "Exchange"), CollectionSpec(OTHER, "Other feed")]
    with TaxiiServer(collections=specs) as running:
        running.seed(ID, [*demo_intel()[3:12], faulty_intel()])
        running.seed(OTHER, demo_intel()[3:6])
        yield running


def home_of(folder: Path, text: str) -> Path:
    (folder / "huntonce.toml").write_text(text)
    return folder


def run(*words: object, code: int = 0) -> Any:
    done = RUN.invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_the_rest_is_read_when_one_source_is_down_and_health_says_whose_fault(
    server: TaxiiServer, tmp_path: Path
) -> None:
    home = home_of(
        tmp_path,
        '[intel.a_down]\nurl = "http://127.0.0.1:9/root/collections/x/"\n'
        f'[intel.b_wrong]\ndiscovery = "{server.discovery_url}"\ncollection = "nope"\n'
        f'[intel.c_good]\ndiscovery = "{server.discovery_url}"\ncollection = "Exchange"\n'
        f'[intel.d_same]\nurl = "{server.collection_url(OTHER)}"\n'
        '[intel.e_never]\nurl = "http://127.0.0.1:9/root/collections/y/"\n',
    )
    for name in ("a_down", "b_wrong"):
        run("intel", "pull", name, "--home", home, code=4)
    (home / "huntonce.toml").write_text((home / "huntonce.toml").read_text())
    run("intel", "pull", "c_good", "--home", home, code=3)
    run("intel", "pull", "d_same", "--home", home)

    found = {one["name"]: one for one in run("intel", "sources", "--home", home)["sources"]}
    assert {name: one["state"] for name, one in found.items()} == {
        "a_down": "failing",
        "b_wrong": "failing",
        "c_good": "ok",
        "d_same": "ok",
        "e_never": "new",
    }
    assert (found["a_down"]["fault"], found["b_wrong"]["fault"]) == ("server", "query")
    assert "Exchange" in found["b_wrong"]["hint"]
    assert (found["c_good"]["new"], found["c_good"]["set_aside"]) == (9, 1)
    assert (found["d_same"]["duplicate"], found["d_same"]["duplicate_rate"]) == (3, 1.0)
    assert found["c_good"]["cursor"]

    shown = RUN.invoke(app, ["intel", "sources", "--home", str(home)], env={"COLUMNS": "200"})
    assert "at fault is the server" in shown.output
    assert "at fault is our request or settings" in shown.output


def test_pulling_all_ends_with_4_after_the_rest(server: TaxiiServer, tmp_path: Path) -> None:
    home = home_of(
        tmp_path,
        f'[intel.a]\nurl = "{server.api_root_url}collections/nope/"\n'
        f'[intel.b]\nurl = "{server.collection_url(ID)}"\n',
    )
    answer = run("intel", "pull", "--home", home, code=4)

    assert answer["new"] == 9
    assert [(one["feed"], one["fault"]) for one in answer["failed"]] == [("a", "query")]


def test_filters_of_the_settings_reach_the_pull(server: TaxiiServer, tmp_path: Path) -> None:
    home = home_of(
        tmp_path,
        f'[intel.b]\nurl = "{server.collection_url(ID)}"\ntypes = ["identity"]\n'
        'max_tlp = "clear"\nsince = 2001-01-01T00:00:00Z\n',
    )
    answer = run("intel", "pull", "--home", home)

    assert (answer["new"], answer["skipped"] > 0) == (0, True)


def test_what_was_refused_is_listed_and_taken_after_it_is_allowed(tmp_path: Path) -> None:
    bundle = tmp_path / "b.json"
    bundle.write_bytes(b'{"type":"bundle","objects":[' + faulty_intel() + b"]}")
    home = tmp_path / "home"
    run("intel", "load", bundle, "--source", "vendor", "--home", home, code=3)

    (kept,) = run("intel", "quarantine", "--home", home)["quarantine"]
    assert (kept["feed"], kept["reason"]) == ("vendor", "has no valid_from")
    assert json.loads(kept["payload"]) == orjson.loads(faulty_intel())
    assert run("intel", "replay", "--home", home, code=3)["taken"] == 0

    # As if an upgrade now read what it could not before.
    good = demo_intel()[5]
    with open_store(sqlite_url(home / "huntonce.db")) as store, store.transaction() as connection:
        connection.exec_driver_sql("UPDATE set_aside SET payload = ?", (good,))
    assert run("intel", "replay", "--home", home)["new"] == 1
    assert run("intel", "quarantine", "--home", home)["quarantine"] == []
    assert len(run("intel", "quarantine", "--taken", "--home", home)["quarantine"]) == 1


def test_unmarked_intel_counts_as_the_settings_say_and_known_markings_are_remembered(
    tmp_path: Path,
) -> None:
    mark = "marking-definition--00000000-0000-4000-8000-000000000001"
    definition = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": mark,
        "created": "2026-01-01T00:00:00.000Z",
        "definition_type": "tlp",
        "definition": {"tlp": "red"},
    }
    plain = {k: v for k, v in orjson.loads(demo_intel()[5]).items() if k != "object_marking_refs"}
    marked = {**orjson.loads(demo_intel()[6]), "object_marking_refs": [mark]}
    home = home_of(tmp_path, '[policy]\ndefault_tlp = "amber+strict"\n')
    for number, content in enumerate((definition, plain, marked)):
        path = tmp_path / f"{number}.json"
        path.write_bytes(orjson.dumps({"type": "bundle", "objects": [content]}))
        run("intel", "load", path, "--home", home)

    with open_store(sqlite_url(home / "huntonce.db")) as store, store.unit() as unit:
        held = {item.id: item.tlp.value for item in unit.intel.latest()}
    assert held[plain["id"]] == "amber+strict"
    assert held[marked["id"]] == "red"


def test_a_file_cannot_pass_for_a_taxii_source(tmp_path: Path) -> None:
    home = home_of(tmp_path, '[intel.b]\nurl = "http://127.0.0.1:9/"\n')
    (tmp_path / "x.json").write_text("{}")

    done = RUN.invoke(
        app, ["intel", "load", str(tmp_path / "x.json"), "--source", "b", "--home", str(home)]
    )

    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[intel.b]\nurl = "http://a/"\ndiscovery = "http://a/"\n', "either url"),
        ('[intel.b]\ndiscovery = "http://a/"\n', "belong together"),
        ('[intel.b]\nurl = "http://a/"\ntoken = "t"\nusername = "u"\n', "not both"),
        ('[intel.b]\nurl = "http://a/"\nkey = "k.pem"\n', "belongs to a certificate"),
        ('[intel.b]\nurl = "http://a/"\ntoken_header = "a b"\n', "token_header"),
    ],
)
def test_settings_that_do_not_fit_together_are_told(tmp_path: Path, text: str, words: str) -> None:
    done = RUN.invoke(app, ["intel", "pull", "--home", str(home_of(tmp_path, text))])

    assert done.exit_code == 2
    assert words in done.stderr


def test_what_was_withdrawn_is_listed(tmp_path: Path) -> None:
    home, stamp = tmp_path / "home", "2026-01-01T00:00:00.000Z"
    gone = {
        "type": "tool",
        "spec_version": "2.1",
        "id": "tool--00000000-0000-4000-8000-000000000001",
        "created": stamp,
        "modified": stamp,
        "name": "Gone",
        "revoked": True,
    }
    kept = {**gone, "id": gone["id"][:-1] + "2", "revoked": False}
    bundle = {"type": "bundle", "id": "bundle--" + gone["id"][6:], "objects": [gone, kept]}
    (tmp_path / "b.json").write_text(json.dumps(bundle))
    run("intel", "load", str(tmp_path / "b.json"), "--home", home)

    (row,) = run("intel", "revoked", "--home", home)["revoked"]

    assert (row["id"], row["name"], row["feeds"]) == (gone["id"], "Gone", ["file"])
    shown = RUN.invoke(app, ["intel", "revoked", "--home", str(home)])
    assert "1 tool" in shown.output
