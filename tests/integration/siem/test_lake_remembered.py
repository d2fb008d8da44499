"""A large load reads what arrived at once: the first probe finds it remembered."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from huntonce.cli.commands import lake as lake_commands
from huntonce.cli.main import app
from huntonce.connectors.siem.lake.lake import Lake
from huntonce.flows.bootstrap import Home
from huntonce.models.errors import TransientError
from huntonce.models.seeing import wants
from tests.support.kits import quiet_day


def written(folder: Path) -> Path:
    path = folder / "events.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(event) for event in quiet_day()))
    return path


def load(home: Path, path: Path) -> None:
    done = CliRunner().invoke(app, ["lake", "load", str(path), "--home", str(home), "--json"])
    assert done.exit_code == 0, done.output


def answers(home: Home) -> tuple[pa.Table, pa.Table]:
    siem = home.siem()
    window = siem.extent()
    assert window is not None
    model = home.library.evidence["T1053.005"]
    return siem.inventory(window), siem.field_fill(window, wants(model))


def refuse(*_: Any) -> pa.Table:
    raise AssertionError("the lake was read again")


def test_after_a_large_load_inventory_and_fills_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_commands, "_LARGE", 1)
    load(tmp_path, written(tmp_path))
    expected = Lake(tmp_path / "lake")
    window = expected.extent()
    assert window is not None
    inventory = expected.inventory(window).to_pylist()
    monkeypatch.setattr(Lake, "inventory", refuse)
    monkeypatch.setattr(Lake, "field_fill", refuse)

    found, fills = answers(Home(path=tmp_path))

    assert sorted(map(str, found.to_pylist())) == sorted(map(str, inventory))
    assert fills.num_rows


def test_a_small_load_leaves_it_to_the_first_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(tmp_path, written(tmp_path))
    monkeypatch.setattr(Lake, "inventory", refuse)

    with pytest.raises(AssertionError, match="read again"):
        answers(Home(path=tmp_path))


def test_a_lake_that_cannot_be_read_just_then_has_its_events_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> pa.Table:
        raise TransientError("a file cannot be read", connector="lake")

    monkeypatch.setattr(lake_commands, "_LARGE", 1)
    with monkeypatch.context() as patched:
        patched.setattr(Lake, "inventory", broken)
        load(tmp_path, written(tmp_path))

    assert Lake(tmp_path / "lake").extent() is not None
