"""Catalogues in a home: read, trimmed, kept by version."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from huntonce.models.attack import read_catalogue
from huntonce.models.attack_data import keep, kept, read_bundle, trim, version_in
from huntonce.models.errors import ConfigError

PATTERN: dict[str, Any] = {
    "type": "attack-pattern",
    "id": "attack-pattern--1",
    "name": "Thing",
    "external_references": [{"source_name": "mitre-attack", "external_id": "T1000"}],
}


def document(version: str) -> dict[str, Any]:
    return trim([PATTERN], version)


def test_the_newest_version_comes_first_and_older_ones_stay(tmp_path: Path) -> None:
    for version in ("9.0", "19.2", "18.1", "19.10"):
        keep(document(version), tmp_path / "attack")

    names = [path.name for path in kept(tmp_path / "attack")]

    assert names == ["19.10.json.gz", "19.2.json.gz", "18.1.json.gz", "9.0.json.gz"]
    assert read_catalogue((tmp_path / "attack" / names[0]).read_bytes()).version == "19.10"
    assert kept(tmp_path / "none") == ()


@pytest.mark.parametrize("version", ["", "../../evil", "18.1/x", "v18", "18.1\n", "1.2.3.4"])
def test_a_version_that_is_none_writes_nothing(tmp_path: Path, version: str) -> None:
    with pytest.raises(ConfigError, match="no version"):
        keep(document(version), tmp_path / "attack")

    assert not (tmp_path / "attack").exists()


def test_half_written_and_foreign_files_are_no_catalogues(tmp_path: Path) -> None:
    (tmp_path / ".19.0.json.gz.ab12").write_bytes(b"x")
    (tmp_path / "notes.json.gz").write_bytes(b"x")

    assert kept(tmp_path) == ()


def test_a_failed_write_leaves_the_old_catalogue_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep(document("18.1"), tmp_path)
    before = path.read_bytes()

    def broken(self: Path, target: Path) -> None:
        raise OSError(28, f"No space left for {self} as {target}")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(ConfigError):
        keep({**document("18.1"), "notice": "other"}, tmp_path)

    assert [p.name for p in tmp_path.iterdir()] == ["18.1.json.gz"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("packed", [False, True])
def test_a_bundle_is_read_plain_or_gzipped(tmp_path: Path, *, packed: bool) -> None:
    data = json.dumps({"type": "bundle", "objects": [PATTERN, "junk"]}).encode()
    file = tmp_path / "enterprise-attack-18.1.json.gz"
    file.write_bytes(gzip.compress(data) if packed else data)

    assert read_bundle(file) == [PATTERN]
    assert version_in(file.name) == "18.1"
    assert version_in("enterprise-attack.json") == ""


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"\x1f\x8bxx", b"[" * 10**5, b"\xff"])
def test_what_is_no_bundle_is_a_configuration_error(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(data)

    with pytest.raises(ConfigError):
        read_bundle(file)
    with pytest.raises(ConfigError):
        read_bundle(tmp_path / "absent.json")
