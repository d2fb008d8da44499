"""The cache of compiled rules: right after every change, and never more than a cache."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from huntonce.connectors.sigma import packcache, reading
from huntonce.connectors.sigma.pack import RulePack
from huntonce.connectors.sigma.packcache import load_pack
from huntonce.models.errors import ConfigError

RULE = """
title: {title}
id: 00000000-0000-4000-8000-00000000000{number}
logsource: {{product: windows, service: system}}
detection: {{s: {{EventID: {number}}}, condition: s}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rules = tmp_path / "rules"
    rules.mkdir()
    for number in (1, 2):
        write(rules / f"{number}.yml", number)
    return rules


def write(path: Path, number: int, title: str = "T", *, age: float = 60) -> None:
    path.write_text(RULE.format(number=number, title=title))
    old = time.time() - age
    os.utime(path, (old, old))


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects the sources that are compiled from now on."""
    seen: list[str] = []
    compile_text = reading.compile_text

    def noted(text: str, source: str, placeholders: Any) -> list[dict[str, Any]]:
        seen.append(source)
        return compile_text(text, source, placeholders)

    monkeypatch.setattr(reading, "compile_text", noted)
    return seen


def titles(pack: RulePack) -> list[str]:
    return [rule.title for rule in pack.rules]


def test_what_was_compiled_once_is_not_compiled_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = compiled(monkeypatch)
    first = load_pack([folder], tmp_path / "cache.db")
    again = load_pack([folder], tmp_path / "cache.db")

    assert seen == ["1.yml", "2.yml"]
    assert again == first
    assert [rule.condition for rule in again.rules] == [rule.condition for rule in first.rules]


def test_only_a_changed_file_is_compiled_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_pack([folder], tmp_path / "cache.db")
    write(folder / "2.yml", 2, "Renamed", age=30)
    seen = compiled(monkeypatch)

    assert titles(load_pack([folder], tmp_path / "cache.db")) == ["T", "Renamed"]
    assert seen == ["2.yml"]


def test_a_file_changed_within_the_same_tick_and_size_is_noticed(
    folder: Path, tmp_path: Path
) -> None:
    write(folder / "2.yml", 2, "A", age=0)
    stamp = (folder / "2.yml").stat().st_mtime_ns
    load_pack([folder], tmp_path / "cache.db")
    write(folder / "2.yml", 2, "B", age=0)
    os.utime(folder / "2.yml", ns=(stamp, stamp))

    assert titles(load_pack([folder], tmp_path / "cache.db")) == ["T", "B"]


def test_a_damaged_cache_is_made_anew(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.db"
    cache.write_bytes(b"not a database" * 500)

    assert titles(load_pack([folder], cache)) == ["T", "T"]
    assert titles(load_pack([folder], cache)) == ["T", "T"]


def test_a_cache_that_is_in_use_is_done_without_and_left_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache.db"
    load_pack([folder], cache)
    write(folder / "3.yml", 3)
    monkeypatch.setattr(packcache, "_TIMEOUT", 0.05)
    with closing(sqlite3.connect(cache, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")

        assert titles(load_pack([folder], cache)) == ["T", "T", "T"]

        other.execute("COMMIT")
    seen = compiled(monkeypatch)
    load_pack([folder], cache)
    assert seen == ["3.yml"]


@pytest.mark.parametrize("cached", [True, False])
def test_a_file_that_is_gone_when_it_is_read_is_told_and_the_rest_is_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, cached: bool
) -> None:
    files = packcache.rule_files([folder])
    (folder / "1.yml").unlink()
    monkeypatch.setattr(packcache, "rule_files", lambda _paths: files)

    pack = load_pack([folder], tmp_path / "cache.db" if cached else None)

    assert titles(pack) == ["T"]
    ((source, reason),) = [(found.source, found.reason) for found in pack.unsupported]
    assert source == "1.yml"
    assert "No such file" in reason


def test_an_order_of_some_of_its_rules_is_refused_and_not_run_as_all(folder: Path) -> None:
    text = """
title: Some of three
correlation:
  type: temporal_ordered
  rules: [a, b, c]
  timespan: 5m
  condition: {gte: 2}
"""
    (folder / "correlation.yml").write_text(text)

    pack = load_pack([folder])

    assert pack.correlations == ()
    assert ["other than all" in found.reason for found in pack.unsupported] == [True]


def test_placeholders_are_part_of_what_is_cached(folder: Path, tmp_path: Path) -> None:
    text = RULE.format(number=3, title="P").replace("EventID: 3", "User|expand: '%x%'")
    (folder / "3.yml").write_text(text)
    cache = tmp_path / "cache.db"

    assert len(load_pack([folder], cache).unsupported) == 1
    assert load_pack([folder], cache, {"x": ["a"]}).unsupported == ()
    assert len(load_pack([folder], cache).unsupported) == 1


def test_one_rule_twice_is_one_and_two_under_one_id_are_told(folder: Path) -> None:
    write(folder / "copy.yml", 1)
    write(folder / "clash.yml", 1)
    (folder / "clash.yml").write_text(
        RULE.format(number=1, title="C").replace("EventID: 1", "A: b")
    )
    pack = load_pack([folder])

    assert len(pack.rules) == 2
    assert pack.found == 3
    assert ["has its id" in found.reason for found in pack.unsupported] == [True]


def test_a_path_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_pack([tmp_path / "nowhere"])
