"""Every intel source and destination behind one face, for the contract suites."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from werkzeug.serving import make_server

from huntonce.connectors.intel.taxii import TaxiiSource
from huntonce.connectors.intel.taxii_publish import TaxiiDestination
from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer, User
from huntonce.models.ports import IntelDestination, IntelSource
from huntonce.models.tlp import Tlp

COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
MEDIA_TYPE = "application/taxii+json;version=2.1"


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
        settings = {**vars(self), "page_size": 3, "default_tlp": Tlp.AMBER, **more}
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
    from medallion import application_instance, load_app  # noqa: PLC0415 - slow, and global

    data = {
        "/discovery": {"title": "m", "default": "root", "api_roots": ["root"]},
        "root": {
            "information": {"title": "r", "versions": [MEDIA_TYPE], "max_content_length": 9765625},
            "status": [],
            "collections": [
                {
                    "id": COLLECTION, "title": "Contract", "can_read": True, "can_write": True,
                    "media_types": ["application/stix+json;version=2.1"],
                    "objects": [], "manifest": [],
                }
            ],
        },
    }  # fmt: skip
    (tmp_path / "data.json").write_text(json.dumps(data))
    config = {
        "backend": {
            "module": "medallion.backends.memory_backend",
            "module_class": "MemoryBackend",
            "filename": str(tmp_path / "data.json"),
        },
        "users": {"hunter": "secret"},
        "taxii": {"max_page_size": 100},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if application_instance.blueprints:
        from medallion import set_config  # noqa: PLC0415

        for part in ("users", "taxii", "backend"):
            set_config(application_instance, part, config)
    else:
        load_app(tmp_path / "config.json")
    peer = make_server("127.0.0.1", 0, application_instance, threaded=True)
    thread = threading.Thread(target=peer.serve_forever, daemon=True)
    thread.start()
    yield Login(f"http://127.0.0.1:{peer.server_port}/root/collections/{COLLECTION}/")
    peer.shutdown()
    thread.join(5)
