from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer


@pytest.fixture(scope="module")
def one_server() -> Iterator[HTTPServer]:
    """A server on a free port of this machine; starting and ending one takes half a second."""
    with HTTPServer(host="127.0.0.1", port=0) as server:
        yield server


@pytest.fixture
def server(one_server: HTTPServer) -> Iterator[HTTPServer]:
    """The server without what other tests made of it."""
    one_server.clear()
    yield one_server
    one_server.check_assertions()
