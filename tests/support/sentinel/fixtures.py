"""Fixtures for tests on a Sentinel workspace."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from huntonce.connectors.siem.sentinel.settings import SentinelSettings
from huntonce.connectors.siem.sentinel.siem import SentinelSiem
from huntonce.models.ports import Siem
from tests.support.sentinel.holding import tables_of
from tests.support.sentinel.service import CLIENT, SECRET, TENANT, Service, server_of

Fill = Callable[[list[dict[str, Any]]], Siem]


def settings_of(service: Service, workspace: str, **more: Any) -> SentinelSettings:
    """The settings of a workspace of a service."""
    urls = {"login_url": service.url, "query_url": service.url, "management_url": service.url}
    given = {"tenant": TENANT, "client_id": CLIENT, "client_secret": SECRET, **urls}
    return SentinelSettings(**{**given, "workspace_id": workspace, "requests_a_second": 0, **more})


@pytest.fixture(scope="session")
def sentinel_service() -> Iterator[Service]:
    """One that is held for the whole run: nothing in it is to be broken."""
    service = Service()
    server = server_of(service)
    yield service
    server.shutdown()
    server.server_close()


def _filling(service: Service, others: str) -> Fill:
    known: dict[bytes, str] = {}

    def fill(events: list[dict[str, Any]]) -> Siem:
        content = orjson.dumps(events)
        if content not in known:
            known[content] = service.hold(tables_of(events, others))
        return SentinelSiem(settings_of(service, known[content]))

    return fill


@pytest.fixture(scope="session")
def in_sentinel(sentinel_service: Service) -> Fill:
    """Opens a SIEM over some events; those not of Security in WindowsEvent, as JSON."""
    return _filling(sentinel_service, "WindowsEvent")


@pytest.fixture(scope="session")
def in_sentinel_xml(sentinel_service: Service) -> Fill:
    """The same with those not of Security in Event, as XML."""
    return _filling(sentinel_service, "Event")
