"""The doctor: each fault is seen, named, and comes with what to do."""

import json
import os
import sqlite3
from pathlib import Path

import httpx
import pytest

from huntonce.connectors.siem.lake.layout import files, partitions
from huntonce.connectors.siem.lake.upkeep import compact, retain
from huntonce.models.state.store import open_store, sqlite_url
from tests.integration.care.homes import RUN, app, checks, home_at, put_message
from tests.support.serving import free_port
from tests.support.sweeping import Site, process

pytestmark = pytest.mark.integration


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return home_at(tmp_path / "home")


def lake_files(home: Path) -> list[Path]:
    lake = home / "lake"
    return [path for partition in partitions(lake) for path in files(lake, partition)]


def test_a_sound_home_passes_every_check_and_is_left_as_it_was(home: Path) -> None:
    before = (home / "huntonce.db").read_bytes()

    found = checks(home, "--deep")

    assert {check["health"] for check in found.values()} == {"ok"}
    assert {"settings", "permissions", "free space", "store", "transition log", "outbox"} <= set(
        found
    )
    assert found["transition log"]["says"] == "2 rows, unbroken"
    assert found["lake"]["says"].startswith("3 files, 3 events")
    assert (home / "huntonce.db").read_bytes() == before


def test_a_changed_row_of_the_log_is_named(home: Path) -> None:
    with sqlite3.connect(home / "huntonce.db") as database:
        guards = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        for (name,) in database.execute(guards).fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE transition_log SET why = 'nothing to see' WHERE seq = 2")

    found = checks(home, code=1)["transition log"]

    assert found["health"] == "fail"
    assert "row 2" in found["says"]
    assert "restore" in found["todo"]


def test_a_store_that_is_no_database_is_said_and_what_is_in_it_is_not_called_well(
    home: Path,
) -> None:
    for extra in ("huntonce.db-wal", "huntonce.db-shm"):
        (home / extra).unlink(missing_ok=True)
    (home / "huntonce.db").write_bytes(b"not a database" * 1_000)

    found = checks(home, code=1)

    assert found["store"]["health"] == "fail"
    assert found["transition log"]["health"] == "warn"
    assert "not looked at" in found["transition log"]["says"]
    assert found["lake"]["health"] == "ok"


def test_a_store_of_a_newer_version_fails_and_one_of_an_older_is_not_upgraded(home: Path) -> None:
    def revise(version: str) -> None:
        with sqlite3.connect(home / "huntonce.db") as database:
            database.execute("UPDATE alembic_version SET version_num = ?", (version,))

    revise("9999")
    assert "newer" in checks(home, code=1)["store"]["todo"]

    revise("0001")
    assert checks(home)["store"]["health"] == "warn"
    with open_store(sqlite_url(home / "huntonce.db"), upgrade=False) as store:
        assert store.version() == "0001"


def test_a_lake_file_that_goes_is_missed_and_stays_missed(home: Path) -> None:
    assert checks(home)["lake"]["health"] == "ok"
    Site(home).load(process(5, r"C:\net.exe", "c"))
    checks(home)
    gone = next(p for p in lake_files(home) if len(list(p.parent.glob("*.parquet"))) > 1)
    gone.unlink()

    for _ in range(2):
        found = checks(home, code=1)["lake"]
        assert found["health"] == "fail"
        assert f"{gone.name}: gone" in found["says"]


def test_a_merged_file_that_goes_is_missed_without_an_earlier_look(home: Path) -> None:
    Site(home).load(process(5, r"C:\net.exe", "c"))
    compact(home / "lake", grace=0)
    compact(home / "lake", grace=0)  # the second time deletes what the first one merged
    merged = next(path for path in lake_files(home) if path.name.startswith("merged-"))
    merged.unlink()

    assert f"{merged.name}: gone" in checks(home, code=1)["lake"]["says"]


def test_compaction_and_retention_are_no_loss(home: Path) -> None:
    Site(home).load(process(5, r"C:\net.exe", "c"))
    checks(home)
    compact(home / "lake", grace=0)
    compact(home / "lake", grace=0)
    assert checks(home)["lake"]["health"] == "ok"

    first = min(partition.day for partition in partitions(home / "lake"))
    retain(home / "lake", first.replace(day=first.day + 1))
    found = checks(home)["lake"]

    assert found["health"] == "warn"
    assert "retain" in found["todo"]
    assert checks(home)["lake"]["health"] == "ok"


def test_a_cut_lake_file_is_named_and_a_swapped_one_is_by_a_deep_look(home: Path) -> None:
    one, other = lake_files(home)[:2]
    whole = one.read_bytes()
    one.write_bytes(other.read_bytes())
    assert checks(home)["lake"]["health"] == "ok"
    assert "does not hold" in checks(home, "--deep", code=1)["lake"]["says"]

    one.write_bytes(whole[: len(whole) // 2])
    found = checks(home, code=1)["lake"]
    assert one.name in found["says"]
    assert found["health"] == "fail"


def test_a_message_that_waits_too_long_is_stuck_and_one_that_was_refused_is_a_fault(
    home: Path,
) -> None:
    put_message(home, hours=1)
    assert checks(home)["outbox"]["health"] == "ok"

    put_message(home, hours=30, key="gap:2")
    late = checks(home)["outbox"]
    assert late["health"] == "warn"
    assert late["says"].startswith("1 wait")

    with open_store(sqlite_url(home / "huntonce.db")) as store, store.unit() as unit:
        unit.outbox.failed("gap:2", error="403 no such project", again=False, at=store.clock())
        unit.commit()
    refused = checks(home, code=1)["outbox"]
    assert "403 no such project" in refused["says"]
    assert "huntonce desks sync" in refused["todo"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_wide_permissions_are_told_by_what_they_let_others_do(home: Path) -> None:
    (home / "huntonce.toml").chmod(0o644)
    assert checks(home)["permissions"]["health"] == "ok"  # nobody else can enter the home

    home.chmod(0o755)
    readable = checks(home, code=1)["permissions"]
    assert "others may read" in readable["says"]
    assert "huntonce.toml (644)" in readable["says"]

    (home / "huntonce.toml").chmod(0o600)
    assert checks(home)["permissions"]["health"] == "warn"

    (home / "lake").chmod(0o777)
    assert "others may change" in checks(home, code=1)["permissions"]["says"]


def test_a_wrong_setting_is_the_exit_code_of_a_wrong_setting(home: Path) -> None:
    (home / "huntonce.toml").write_text("[policy]\npower_floor = 7\n")

    found = checks(home, code=2)

    assert "power_floor" in found["settings"]["says"]
    assert found["store"]["health"] == "warn"


def test_servers_are_asked_only_on_demand_and_a_silent_one_is_named(home: Path) -> None:
    address = "http://127.0.0.1:9/root/collections/x/"
    (home / "huntonce.toml").write_text(
        f'[intel.feed]\nurl = "{address}"\n[publish.club]\nurl = "{address}"\nmax_tlp = "green"\n'
    )

    assert "not asked" in checks(home)["intel feed"]["says"]
    found = checks(home, "--connect", code=4)
    assert found["intel feed"]["health"] == found["publish club"]["health"] == "fail"
    assert found["store"]["health"] == "ok"


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert checks(tmp_path / "nowhere", code=1)["home"]["health"] == "fail"
    assert not (tmp_path / "nowhere").exists()


def test_the_page_fits_eighty_columns_and_shows_no_control_characters(home: Path) -> None:
    put_message(home, hours=30)
    with open_store(sqlite_url(home / "huntonce.db")) as store, store.unit() as unit:
        unit.outbox.failed("gap:1", error="\x1b[31mred", again=False, at=store.clock())
        unit.commit()

    shown = RUN.invoke(app, ["doctor", "--home", str(home)], env={"COLUMNS": "80"}).stdout

    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    assert "\\x1b[31mred" in shown


def blocks(*named: tuple[str, str]) -> list[dict[str, object]]:
    return [{"name": name, "block_type": {"slug": slug}} for slug, name in named]


def test_two_blocks_of_one_name_are_said_unless_the_settings_say_which(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = blocks(*(("huntonce-siem-splunk", f"one-{n}") for n in range(199)))
    pages = [
        many + blocks(("huntonce-siem-splunk", "corp")),
        blocks(
            ("huntonce-siem-opensearch", "corp"),
            ("huntonce-desk-jira", "one-1"),  # another sort: nobody mistakes it
            ("huntonce-siem-opensearch", "one-2"),
            ("slack-webhook", "corp"),
        ),
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        assert not asked["include_secrets"]
        return httpx.Response(200, json=pages[asked["offset"] // 200])

    server = httpx.Client(transport=httpx.MockTransport(answer))
    monkeypatch.setattr(httpx, "post", server.post)
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    (home / "huntonce.toml").write_text(
        '[siems.one-2]\nkind = "opensearch"\nurl = "https://ours.example"\n'
    )

    found = checks(home, code=2)

    assert found["block corp"]["health"] == "fail"
    assert "(opensearch, splunk)" in found["block corp"]["says"]
    assert "Blocks page" in found["block corp"]["todo"]
    assert [name for name in found if name.startswith("block ")] == ["block corp"]


def test_a_server_that_does_not_answer_is_no_proof_of_good_blocks(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")

    found = checks(home)["blocks"]

    assert found["health"] == "warn"
    assert "not looked at" in found["says"]


def test_the_asset_list_is_told_in_numbers_with_what_was_set_aside(home: Path) -> None:
    assert "one that never sent any is not missed" in checks(home)["asset list"]["says"]
    (home / "assets.csv").write_text(
        "Hostname;Operating System\nPC1;Windows 10 Pro\nPC1;\nWEB1;Debian 12\nPC 2;Windows 11\n"
    )
    (home / "huntonce.toml").write_text('[organisation]\nassets = "assets.csv"\n')

    found = checks(home)["asset list"]

    assert found["health"] == "warn"
    assert found["says"].startswith("2 hosts, 1 in scope (Windows), out of scope 1 linux; ")
    assert "1 rows set aside, 0 doubtful: line 5: 'PC 2' is no name" in found["says"]
    assert "not missed" in found["todo"]


def test_an_asset_list_without_a_windows_host_is_a_wrong_setting(home: Path) -> None:
    (home / "assets.csv").write_text("host,os\nWEB1,Debian\n")
    (home / "huntonce.toml").write_text('[organisation]\nassets = "assets.csv"\n')

    found = checks(home, code=2)

    assert "none of its hosts runs Windows" in found["settings"]["says"]
    assert "asset list" not in found
