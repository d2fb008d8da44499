"""Fixtures for tests on a stand-in for Splunk."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from pytest_httpserver import HTTPServer

from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.connectors.siem.splunk.siem import SplunkSiem
from huntonce.models.ports import Siem
from tests.support.splunk_server import TOKEN, serve

Fill = Callable[[list[dict[str, Any]]], Siem]


@pytest.fixture(scope="module")
def splunk_server() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1", port=0) as server:
        yield server


def _opener(server: HTTPServer, form: Literal["xml", "json"]) -> Iterator[Fill]:
    opened: list[SplunkSiem] = []

    def fill(events: list[dict[str, Any]]) -> Siem:
        server.clear()
        fake = serve(server, list(events), form)
        fake.looks = 0
        opened.append(SplunkSiem(SplunkSettings(url=fake.url, token=TOKEN, format=form)))
        return opened[-1]

    yield fill
    for siem in opened:
        siem.close()


@pytest.fixture
def in_splunk(splunk_server: HTTPServer) -> Iterator[Fill]:
    """Opens a SIEM over a Splunk that holds events as Windows' XML."""
    yield from _opener(splunk_server, "xml")


@pytest.fixture
def in_splunk_json(splunk_server: HTTPServer) -> Iterator[Fill]:
    """The same with JSON."""
    yield from _opener(splunk_server, "json")
