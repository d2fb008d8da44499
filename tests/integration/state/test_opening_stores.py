import os
import sqlite3
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text

from huntonce.models.errors import ConfigError, StateError
from huntonce.models.state.migrate import HEAD, SCRIPTS
from huntonce.models.state.store import open_store, sqlite_url
from huntonce.models.state.tables import METADATA
from tests.support.stores import POSTGRESQL, SERVER
from tests.unit.state.examples import a_gap

pytestmark = pytest.mark.integration


def opened_version(address: str) -> str | None:
    with open_store(address) as store:
        return store.version()


def test_the_migrations_build_the_tables_that_the_code_sees(address: str) -> None:
    with open_store(address) as store, store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, METADATA)

    assert differences == []


def test_the_head_that_the_code_names_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))

    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_an_empty_database_has_no_version_until_it_is_migrated(address: str) -> None:
    with open_store(address, upgrade=False) as store:
        assert store.version() is None
        store.migrate()
        assert store.version() == HEAD
        store.migrate()


def test_what_was_stored_is_there_after_closing_and_opening_again(address: str) -> None:
    with open_store(address) as store, store.unit() as unit:
        gap = unit.gaps.add(a_gap(), actor="a", why="b")
        unit.commit()

    with open_store(address) as store, store.unit() as unit:
        assert unit.gaps.list() == (gap,)


def test_processes_that_open_a_new_store_at_once_all_find_it_ready(address: str) -> None:
    with get_context("spawn").Pool(4) as pool:
        assert pool.map(opened_version, [address] * 8) == [HEAD] * 8


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(address: str) -> None:
    with open_store(address) as store, store.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StateError, match="9999") as caught:
        open_store(address)

    assert "newer" in caught.value.hint
    with open_store(address, upgrade=False) as store:
        assert store.version() == "9999"


def test_a_process_whose_store_is_upgraded_under_it_writes_nothing_more(address: str) -> None:
    with open_store(address) as store:
        with store.unit() as unit:
            gap = unit.gaps.add(a_gap(), actor="a", why="b")
            unit.commit()
        with store.transaction() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

        with store.unit() as unit:
            assert unit.gaps.list() == (gap,)
            with pytest.raises(StateError, match="9999") as caught:
                unit.gaps.save(replace(gap, owner="late"), actor="a", why="b")
        with store.transaction() as connection:
            connection.execute(
                text("UPDATE alembic_version SET version_num = :head"), {"head": HEAD}
            )
        with store.unit() as unit:
            assert unit.gaps.list() == (gap,)
    assert "upgraded" in caught.value.hint


@pytest.mark.parametrize("address", [POSTGRESQL], indirect=True)
def test_a_server_that_was_started_again_is_connected_to_again(address: str) -> None:
    with open_store(address) as store:
        with store.unit() as unit:
            gap = unit.gaps.add(a_gap(), actor="a", why="b")
            unit.commit()
        other = create_engine(os.environ[SERVER], isolation_level="AUTOCOMMIT")
        with other.connect() as connection:
            ended = connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                ),
                {"name": make_url(address).database},
            ).all()
        other.dispose()

        with store.unit() as unit:
            assert unit.gaps.list() == (gap,)
    assert ended


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    with open_store(sqlite_url(tmp_path / "new" / "a b%c?" / "store.db")) as store:
        assert store.version() == HEAD
    assert (tmp_path / "new" / "a b%c?" / "store.db").is_file()


def test_sqlite_is_set_for_parallel_use(tmp_path: Path) -> None:
    with open_store(sqlite_url(tmp_path / "s.db")) as store, store.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 60_000}


def test_a_store_can_be_read_by_plain_sql(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with open_store(sqlite_url(path)) as store, store.unit() as unit:
        unit.gaps.add(a_gap(), actor="a", why="b")
        unit.commit()

    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT id, json_extract(doc, '$.siem') FROM gap").fetchall()
    assert found == [("GAP-1", "lake")]


@pytest.mark.parametrize(
    "address",
    ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "postgresql://host"],
)
def test_an_address_that_is_none_is_a_setting_to_mend(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(address)

    assert "sqlite:///" in caught.value.hint


def test_a_password_is_not_repeated_in_a_message() -> None:
    for address in ("mysql://me:hunter2@host/db", "://me:hunter2@"):
        with pytest.raises(ConfigError) as caught:
            open_store(address)
        assert "hunter2" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_a_file_that_is_something_else_is_a_state_error_with_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"something else entirely " * 100)

    with pytest.raises(StateError) as caught:
        open_store(sqlite_url(path))

    assert "backup" in caught.value.hint
    assert path.read_bytes().startswith(b"something else")


def test_a_folder_that_cannot_be_made_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StateError) as caught:
        open_store(sqlite_url(tmp_path / "file" / "s.db"))

    assert caught.value.hint


def test_a_server_that_is_not_there_is_a_state_error_without_the_password() -> None:
    with pytest.raises(StateError) as caught:
        open_store("postgresql://me:hunter2@127.0.0.1:1/db")

    assert "server" in caught.value.hint
    assert "hunter2" not in str(caught.value)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_not_be_written_says_so(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    open_store(sqlite_url(path)).close()
    path.chmod(0o400)

    with open_store(sqlite_url(path)) as store, store.unit() as unit:
        with pytest.raises(StateError) as caught:
            unit.gaps.add(a_gap(), actor="a", why="b")
        assert "written" in caught.value.hint
