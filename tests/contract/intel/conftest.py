"""Every intel source and destination behind one face, for the contract suites."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from huntonce.connectors.intel.taxii import TaxiiSource
from huntonce.connectors.intel.taxii_publish import TaxiiDestination
from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer, User
from huntonce.models.intake import IntelSource
from huntonce.models.ports import IntelDestination
from huntonce.models.tlp import Tlp
from tests.support.medallion_peer import MEDIA_TYPE, medallion_peer

COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"


@dataclass
class SourceRig:
    """A source, and a way to add objects upstream; ``faulty`` is accepted where ``lenient``."""

    source: IntelSource
    add: Callable[[list[bytes]], None]
    broken: Callable[[], IntelSource]
    lenient: bool = True


@dataclass
class DestinationRig:
    """A destination, and a way to see what it holds: the ids."""

    destination: IntelDestination
    held: Callable[[], list[str]]
    broken: Callable[[], IntelDestination]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Login:
    collection_url: str
    username: str = "hunter"
    password: str = "secret"

    def source(self, **more: Any) -> TaxiiSource:
        given = {**vars(self), "page_size": 3, "default_tlp": Tlp.AMBER}
        settings = {**given, "sleep": lambda _: None, **more}
        return TaxiiSource(name="upstream", **settings)

    def destination(self, **more: Any) -> TaxiiDestination:
        return TaxiiDestination(name="peers", **{**vars(self), **more})

    def post(self, bodies: list[bytes]) -> None:
        httpx.post(
            f"{self.collection_url}objects/",
            content=b'{"objects":[' + b",".join(bodies) + b"]}",
            headers={"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE},
            auth=(self.username, self.password),
        ).raise_for_status()

    def ids(self) -> list[str]:
        answer = httpx.get(
            f"{self.collection_url}objects/",
            params={"match[version]": "all", "limit": 1000},
            headers={"Accept": MEDIA_TYPE},
            auth=(self.username, self.password),
        )
        return [one["id"] for one in answer.json().get("objects", [])]


@pytest.fixture
def server() -> Iterator[TaxiiServer]:
    spec = CollectionSpec(COLLECTION, "Contract", can_read=True, can_write=True)
    with TaxiiServer(users=[User("hunter", "secret")], collections=[spec]) as running:
        yield running


@pytest.fixture
def own(server: TaxiiServer) -> Login:
    return Login(server.collection_url(COLLECTION))


@pytest.fixture
def medallion(tmp_path: Path) -> Iterator[Login]:
    """OASIS' own test server, as the independent peer."""
    with medallion_peer(tmp_path, COLLECTION) as url:
        yield Login(url)
