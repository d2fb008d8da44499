"""Real TAXII servers to share over: ours, and OASIS' own as the independent one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer, User
from tests.integration.sharing.login import COLLECTION, PASSWORD, USER
from tests.support.medallion_peer import medallion_peer


@pytest.fixture
def server() -> Iterator[TaxiiServer]:
    spec = CollectionSpec(COLLECTION, "Sector", can_read=True, can_write=True)
    with TaxiiServer(users=[User(USER, PASSWORD)], collections=[spec]) as running:
        yield running


@pytest.fixture(params=["ours", "medallion"])
def collection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty collection on each kind of server."""
    if request.param == "ours":
        running: TaxiiServer = request.getfixturevalue("server")
        yield running.collection_url(COLLECTION)
        return
    with medallion_peer(tmp_path, COLLECTION) as url:
        yield url
