"""Two TAXII servers behind a proxy that misbehaves, filled with the demo's intel."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from huntonce.connectors.http.client import Limits
from huntonce.connectors.intel.demo_intel import demo_intel, faulty_intel
from huntonce.connectors.intel.taxii import TaxiiSource
from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer, User
from huntonce.models.state.store import Store, open_store, sqlite_url
from huntonce.models.state.tables import METADATA
from tests.support.faulty_proxy import DELAY, FaultyProxy
from tests.support.medallion_peer import MEDIA_TYPE, PASSWORD, USER, medallion_peer

COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
SNAPSHOT = ("intel_object", "intel_feed_object", "intel_conflict", "intel_claim", "intel_cursor")
_TIMES = {"added_at", "first_at", "updated_at", "at"}


def upstream() -> list[list[bytes]]:
    """What is posted, one envelope after the other: good, faulty, twice, revised, revoked."""
    bodies = list(demo_intel())[3:]
    revised = {**orjson.loads(bodies[2]), "modified": "2026-06-01T00:00:00.000Z"}
    revoked = {**orjson.loads(bodies[3]), "modified": "2026-06-02T00:00:00.000Z", "revoked": True}
    return [
        bodies[:9],
        [*bodies[9:12], faulty_intel()],
        [orjson.dumps(revised), *bodies[12:20]],
        [orjson.dumps(revoked)],
        bodies[20:26],
    ]


@dataclass
class Behind:
    """A server behind a proxy."""

    proxy: FaultyProxy
    direct: str

    @property
    def url(self) -> str:
        return self.proxy.seen_through(self.direct)

    def source(self, **more: Any) -> TaxiiSource:
        settings: dict[str, Any] = {
            "collection_url": self.url,
            "username": USER,
            "password": PASSWORD,
            "page_size": 4,
            "sleep": lambda _: None,
            "limits": Limits(connect=5, read=DELAY / 2),
            **more,
        }
        return TaxiiSource(name="feed", **settings)


@pytest.fixture(scope="session", params=["ours", "medallion"])
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a filled collection."""
    if request.param == "medallion":
        with medallion_peer(tmp_path_factory.mktemp("medallion"), COLLECTION) as url:
            for envelope in upstream():
                post(url, envelope)
            yield url
        return
    spec = CollectionSpec(COLLECTION, "Exchange", can_write=True)
    with TaxiiServer(users=[User(USER, PASSWORD)], collections=[spec]) as server:
        for envelope in upstream():
            server.seed(COLLECTION, envelope)
        yield server.collection_url(COLLECTION)


def post(url: str, bodies: list[bytes]) -> None:
    httpx.post(
        f"{url}objects/",
        content=b'{"objects":[' + b",".join(bodies) + b"]}",
        headers={"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE},
        auth=(USER, PASSWORD),
    ).raise_for_status()


@pytest.fixture(scope="session")
def behind(peer: str) -> Iterator[Behind]:
    parts = httpx.URL(peer)
    with FaultyProxy(f"http://{parts.host}:{parts.port}") as proxy:
        yield Behind(proxy, peer)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store's file, to be copied: migrating one is slow."""
    path = tmp_path_factory.mktemp("empty") / "store.db"
    with open_store(sqlite_url(path)) as store, store.transaction():
        pass
    return path


def fresh(empty: Path, folder: Path) -> Store:
    path = folder / "store.db"
    for old in folder.glob("store.db*"):
        old.unlink()
    shutil.copy(empty, path)
    return open_store(sqlite_url(path), upgrade=False)


def contents(store: Store) -> dict[str, list[tuple[str, ...]]]:
    """Everything that intake keeps, without numbers and times of day, in one order."""
    found: dict[str, list[tuple[str, ...]]] = {}
    with store.reading() as connection:
        rows = connection.execute(METADATA.tables["intel_object"].select()).mappings()
        names = {row["number"]: f"{row['object_id']} {row['revision']}" for row in rows}
        for table in SNAPSHOT:
            found[table] = sorted(
                tuple(
                    names[value] if key == "object_number" else str(value)
                    for key, value in row.items()
                    if key not in _TIMES | {"number"}
                )
                for row in connection.execute(METADATA.tables[table].select()).mappings()
            )
        refused = METADATA.tables["set_aside"]
        found["set_aside"] = sorted(
            (row["source"], row["place"], row["reason"], str(bytes(row["payload"])))
            for row in connection.execute(refused.select()).mappings()
        )
    return found
