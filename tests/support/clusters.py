"""Fixtures for tests on a real OpenSearch: a node, and a SIEM over some events in it.

HUNTONCE_TEST_OPENSEARCH names a node; without it one is started for the tests and stopped after
them. Where neither can be had, the tests skip and say why.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from typing import Any

import orjson
import pytest

from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
from huntonce.connectors.siem.opensearch.siem import OpenSearchSiem
from huntonce.models.ports import Siem
from tests.support import opensearch
from tests.support.winlogbeat import Indexer, document

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def opensearch_url() -> Iterator[str]:
    """The address of a node."""
    known = os.environ.get("HUNTONCE_TEST_OPENSEARCH")
    if known:
        yield known
        return
    was_there = opensearch.RECORD.exists()
    try:
        url = opensearch.start()
    except opensearch.AbsentError as error:
        pytest.skip(f"no OpenSearch: {error} (set HUNTONCE_TEST_OPENSEARCH)")
    yield url
    if not was_there:
        opensearch.stop()


@pytest.fixture(scope="session")
def indexer(opensearch_url: str) -> Iterator[Indexer]:
    """Fills indices of the node."""
    with closing(Indexer(opensearch_url)) as made:
        yield made


@pytest.fixture
def fresh_index(indexer: Indexer) -> Iterator[str]:
    """A name that no other test uses; the index is deleted afterwards."""
    name = _name()
    yield name
    indexer.delete(name)


@pytest.fixture(scope="session")
def in_opensearch(
    opensearch_url: str, indexer: Indexer
) -> Iterator[Callable[[list[dict[str, Any]]], Siem]]:
    """Opens a SIEM over an index with some events; the same events are indexed once."""
    indices: dict[bytes, str] = {}
    opened: list[OpenSearchSiem] = []

    def fill(events: list[dict[str, Any]]) -> Siem:
        content = orjson.dumps(events)
        if content not in indices:
            indices[content] = name = _name()
            indexer.create(name)
            indexer.load(name, [document(event) for event in events])
        settings = OpenSearchSettings(url=opensearch_url, indices=[f"{indices[content]}*"])
        opened.append(OpenSearchSiem(settings))
        return opened[-1]

    yield fill
    for siem in opened:
        siem.close()
    for name in indices.values():
        indexer.delete(name)


def _name() -> str:
    """Of an index that no other test uses."""
    return f"test-{os.getpid()}-{next(_NUMBERS)}-"
