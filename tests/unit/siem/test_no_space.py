"""Without room nothing is damage, nothing that counts is half, and each fault is a sentence."""

import errno
import sqlite3
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.connectors.siem.lake import compaction, staging
from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.upkeep import compact
from huntonce.connectors.siem.sweep import state
from huntonce.models.errors import TransientError
from tests.support.sweeping import Site, process


def no_room(*_given: object, **_more: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def events(site: Site) -> int:
    return sum(source.events for source in Lake(site.lake).sources())


def test_a_load_is_told_and_goes_on_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(staging, "_pack", no_room)
        with pytest.raises(TransientError, match="No space left") as caught:
            site.load(process(1, r"C:\whoami.exe", "a"))
    assert "free some space" in caught.value.hint

    site.load(process(1, r"C:\whoami.exe", "a"))

    assert events(site) == 1


def test_compaction_is_told_and_a_load_is_held_without_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        if number == 8:
            monkeypatch.setattr(compaction, "write_parquet", no_room)
        site.load(process(number, r"C:\whoami.exe", str(number)))

    with pytest.raises(TransientError, match="No space left"):
        compact(site.lake)

    assert events(site) == 12
    monkeypatch.undo()
    assert compact(site.lake, grace=0).set_aside == ()
    assert events(site) == 12


def test_what_was_searched_is_not_forgotten_for_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with state.open_state(tmp_path) as opened:
        opened.keep({"a plan": b"kept"})

    class Full(sqlite3.Connection):
        def executescript(self, *_given: Any) -> NoReturn:
            raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(state.sqlite3, "connect", Full)
        with pytest.raises(TransientError, match="disk is full"), state.open_state(tmp_path):
            pass

    with state.open_state(tmp_path) as opened:
        assert opened.kept("a plan") == b"kept"


def test_a_command_says_which_file_had_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *_given: object, **_more: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", full)
    done = CliRunner().invoke(app, ["init", "--home", str(tmp_path / "home")])

    said = "".join(done.output.split())
    assert done.exit_code == 1
    assert "huntonce.tomlcannotbewritten:Nospaceleft" in said
    assert "freesomespace" in said
    assert not (tmp_path / "home" / "huntonce.toml").exists()
