"""Fixtures for tests on a real PostgreSQL that holds Windows events in a table."""

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from huntonce.connectors.siem.lake.layout import files, partitions
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.warehouse.settings import PostgresSettings
from huntonce.connectors.siem.warehouse.siem import PostgresSiem
from huntonce.models.ports import Siem
from tests.support.stores import ABSENT, SERVER, postgresql_database

Fill = Callable[[list[dict[str, Any]]], Siem]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Warehouse:
    """A database with tables of events."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("postgresql+psycopg://", "postgresql://")
        self._names = count(1)

    def load(self, events: Iterator[tuple[Mapping[str, Any], datetime]]) -> str:
        """Put events, each with its time, into a new table; its name."""
        name = f"events_{next(self._names)}"
        table = sql.Identifier(name)
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute(
                sql.SQL(
                    "CREATE TABLE {} (time timestamptz, computer text, channel text,"
                    " event_id int, event jsonb)"
                ).format(table)
            )
            copy = sql.SQL("COPY {} (time, computer, channel, event_id, event) FROM STDIN")
            with cursor.copy(copy.format(table)) as rows:
                for document, moment in events:
                    event = normalise(document)
                    text = orjson.dumps(document).decode()
                    rows.write_row((moment, event.computer, event.channel, event.event_id, text))
            cursor.execute(sql.SQL("CREATE INDEX ON {} (time)").format(table))
            cursor.execute(sql.SQL("ANALYZE {}").format(table))
        return name

    def siem(self, table: str, **more: Any) -> PostgresSiem:
        """The table as a SIEM."""
        return PostgresSiem(PostgresSettings(url=self.url, table=table, **more))


def own_time(document: Mapping[str, Any]) -> datetime:
    """When an event says it happened."""
    return _EPOCH + timedelta(microseconds=normalise(document).recorded)


def events_of_lake(root: Path) -> Iterator[tuple[dict[str, Any], datetime]]:
    """Every event of a lake with its corrected time."""
    for partition in partitions(root):
        for path in files(root, partition):
            table = pq.read_table(path, columns=["@raw", "@time"])
            columns = (table.column(name).to_pylist() for name in ("@raw", "@time"))
            yield from ((orjson.loads(raw), at) for raw, at in zip(*columns, strict=True))


@pytest.fixture(scope="session")
def warehouse() -> Iterator[Warehouse]:
    """A new database on the server that HUNTONCE_TEST_POSTGRES names."""
    server = os.environ.get(SERVER)
    if not server:
        pytest.skip(ABSENT)
    with postgresql_database(server) as url:
        yield Warehouse(url)


@pytest.fixture(scope="session")
def in_postgresql(warehouse: Warehouse) -> Fill:
    """Opens a SIEM over a table with some events; the same events are loaded once."""
    tables: dict[bytes, str] = {}

    def fill(events: list[dict[str, Any]]) -> Siem:
        content = orjson.dumps(events)
        if content not in tables:
            tables[content] = warehouse.load((event, own_time(event)) for event in events)
        return warehouse.siem(tables[content])

    return fill
