"""Backup and restore: the home is lost and goes on; nothing hostile is unpacked."""

import json
import shutil
import sqlite3
import stat
import threading
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from huntonce.flows import restore as restoring
from huntonce.flows.backup import MANIFEST
from huntonce.models.state.store import open_store, sqlite_url
from tests.integration.care.homes import RUN, WHO, app, checks, home_at, run
from tests.unit.state.examples import a_gap

pytestmark = pytest.mark.integration


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_at(tmp_path / "home")


@pytest.fixture
def saved(home: Path) -> Path:
    path = home.with_name("home.backup")
    run("backup", path, "--home", home)
    return path


def said(home: Path) -> dict[str, Any]:
    """What the commands answer about a home."""
    return {
        "gaps": run("gaps", "--home", home),
        "lake": run("lake", "show", "--home", home),
        "hunt": {
            key: value
            for key, value in run("hunt", "T1053.005", "--home", home).items()
            if key in {"verdict", "power", "ledger"}
        },
    }


def rewritten(saved: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Path:
    """The backup with other content; the manifest is written as changed."""
    with zipfile.ZipFile(saved) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files.pop(MANIFEST))
    change(files, manifest)
    path = saved.with_name("changed.backup")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, MANIFEST: json.dumps(manifest).encode()}.items():
            archive.writestr(name, content)
    return path


def refused(path: Path, words: str) -> None:
    """It is refused for this reason, and leaves nothing behind."""
    target = path.parent / "target"
    before = set(path.parent.iterdir())

    told = RUN.invoke(app, ["restore", str(path), "--home", str(target)])

    assert told.exit_code == 2, told.output
    assert words in " ".join(told.stderr.split())
    assert set(path.parent.iterdir()) == before


def test_a_lost_home_goes_on_from_its_backup_with_the_same_answers(home: Path, saved: Path) -> None:
    copy = home.with_name("copy")
    shutil.copytree(home, copy)
    before = said(copy)
    shutil.rmtree(home)

    made = run("restore", saved, "--home", home)

    assert made["log"] == {"rows": 2, "broken": None}
    assert said(home) == before
    found = checks(home, "--deep")
    assert {check["health"] for check in found.values()} == {"ok"}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "huntonce.toml").stat().st_mode) == 0o600
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_a_running_writer_does_not_tear_the_copy(home: Path) -> None:
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        with open_store(sqlite_url(home / "huntonce.db")) as store:
            while not stop.is_set():
                with store.unit() as unit:
                    unit.gaps.add(a_gap(f"more-{written}"), **WHO)
                    unit.commit()
                written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            run("backup", home.with_name(f"{number}.backup"), "--home", home)
    finally:
        stop.set()
        writer.join()

    rows = []
    for number in range(3):
        target = home.with_name(f"home-{number}")
        made = run("restore", home.with_name(f"{number}.backup"), "--home", target)
        assert made["log"]["broken"] is None
        rows.append(made["log"]["rows"])
    assert rows == sorted(rows)
    assert written > 0


def test_what_is_not_in_it_is_said(home: Path, tmp_path: Path) -> None:
    rules = tmp_path / "our-rules"
    rules.mkdir()
    (home / "huntonce.toml").write_text(
        f'[sigma]\nrules = ["{rules}"]\n[store]\nurl = "postgresql://u:secret@127.0.0.1:1/x"\n'
    )

    told = run("backup", tmp_path / "b", "--home", home)

    assert told["outside"] == [str(rules)]
    assert "pg_dump" in told["store"]
    assert "secret" not in json.dumps(told)


def test_nothing_that_is_there_is_overwritten(home: Path, saved: Path) -> None:
    content = saved.read_bytes()
    run("backup", saved, "--home", home, code=2)
    run("backup", home / "inside", "--home", home, code=2)
    run("restore", saved, "--home", home, code=2)

    assert saved.read_bytes() == content
    assert checks(home)["transition log"]["health"] == "ok"
    assert not (home / "inside").exists()


def test_a_damaged_store_is_not_backed_up_as_if_it_were_whole(home: Path, tmp_path: Path) -> None:
    path = home / "huntonce.db"
    for extra in ("huntonce.db-wal", "huntonce.db-shm"):
        (home / extra).unlink(missing_ok=True)
    path.write_bytes(path.read_bytes()[:16] + b"x" * 20_000)

    run("backup", tmp_path / "b", "--home", home, code=1)

    assert not (tmp_path / "b").exists()
    assert not list(tmp_path.glob(".b*"))


@pytest.mark.parametrize(
    "name", ["../out", "/etc/out", "a/../../out", "C:/out", "a\\..\\out", "./a", "a//b"]
)
def test_a_path_out_of_the_home_is_refused(saved: Path, name: str) -> None:
    def add(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        files[name] = b"x"
        manifest["files"][name] = {"size": 1, "sha256": "0" * 64}

    refused(rewritten(saved, add), "is not a plain file inside a home")


def test_a_link_is_refused(saved: Path) -> None:
    path = rewritten(saved, lambda _files, manifest: manifest["files"].update(link={"size": 1}))
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")

    refused(path, "is not a plain file inside a home")


def test_a_bomb_is_refused_before_it_unpacks_and_one_that_lies_about_its_size_while(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "UNJUDGED", 1024**2)
    size = 64 * 1024**2

    def honest(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        files["bomb"] = bytes(size)
        manifest["files"]["bomb"] = {"size": size, "sha256": "0" * 64}

    def lying(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        honest(files, manifest)
        manifest["files"]["bomb"]["size"] = 10

    refused(rewritten(saved, honest), "times its size")
    refused(rewritten(saved, lying), "is not what was backed up")


def test_changed_missing_extra_and_doubled_files_are_refused(saved: Path) -> None:
    def change(files: dict[str, bytes], _manifest: dict[str, Any]) -> None:
        files["huntonce.toml"] = files["huntonce.toml"].replace(b"Care", b"Evil")

    def drop(files: dict[str, bytes], _manifest: dict[str, Any]) -> None:
        del files["huntonce.toml"]

    def add(files: dict[str, bytes], _manifest: dict[str, Any]) -> None:
        files["rules/more.yml"] = b"x"

    refused(rewritten(saved, change), "is not what was backed up")
    refused(rewritten(saved, drop), "other files than it names")
    refused(rewritten(saved, add), "other files than it names")
    with warnings.catch_warnings(), zipfile.ZipFile(saved, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("huntonce.toml", "[store]\nurl = 'x'\n")
    refused(saved, "two files of one name")


def test_what_is_no_backup_is_refused(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    refused(tmp_path / "text", "is not a whole backup")
    (tmp_path / "cut").write_bytes(saved.read_bytes()[:-2_000])
    refused(tmp_path / "cut", "is not a whole backup")
    refused(rewritten(saved, lambda _files, manifest: manifest.update(format=2)), "format 2")


def test_a_log_that_was_broken_before_is_told(home: Path, tmp_path: Path) -> None:
    with sqlite3.connect(home / "huntonce.db") as database:
        guards = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        for (name,) in database.execute(guards).fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("DELETE FROM transition_log WHERE seq = 1")
    run("backup", tmp_path / "b", "--home", home)

    told = run("restore", tmp_path / "b", "--home", tmp_path / "new", code=1)

    assert told["log"]["broken"] == 1
