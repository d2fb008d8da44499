"""Stores for tests: SQLite always, PostgreSQL where HUNTONCE_TEST_POSTGRES names a server.

A conftest imports the fixtures; each test that asks for ``store`` or ``address`` runs on both, with
an empty database of its own that is dropped afterwards.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from huntonce.models.state.store import Store, open_store, sqlite_url

SERVER = "HUNTONCE_TEST_POSTGRES"
ABSENT = f"no PostgreSQL: set {SERVER} (python tests/support/postgres.py start)"
# A mark and not a call, so that the summary has one line a file and not one a test.
_MARKS = [pytest.mark.postgres] + ([] if os.environ.get(SERVER) else [pytest.mark.skip(ABSENT)])
SQLITE, POSTGRESQL = pytest.param("sqlite"), pytest.param("postgresql", marks=_MARKS)
DATABASES = [SQLITE, POSTGRESQL]


@pytest.fixture(params=DATABASES)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    with database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """An empty store with its tables."""
    with open_store(address) as opened:
        yield opened


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty database of a kind (``DATABASES``), dropped at the end."""
    if kind == "sqlite":
        yield sqlite_url(folder / "store.db")
        return
    with postgresql_database(os.environ[SERVER]) as url:
        yield url


@contextmanager
def postgresql_database(server: str) -> Iterator[str]:
    """The address of a new database on a server, dropped at the end."""
    name = f"huntonce_test_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        engine.dispose()
