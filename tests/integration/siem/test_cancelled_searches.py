"""A run that is cancelled leaves no search at work on the cluster: its process ends, so does that.

Cancelling a flow ends its process by a signal (docs/guides/operator.md); nothing of ours gets to
say goodbye then.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from huntonce.models.ids import digest
from tests.support.winlogbeat import Indexer

pytestmark = pytest.mark.integration

EVENTS = 20_000
CLAUSES = 1_000
LONG = 960
"""Characters of a value: left alone, the search takes several times GONE."""
GONE = 4.0
RUN = """
import sys
from huntonce.connectors.siem.opensearch.cluster import Cluster
from huntonce.connectors.siem.opensearch.settings import OpenSearchSettings
url, index, name, clauses = sys.argv[1:]
# Each clause is looked for in every value; none is in any.
slow = [{"wildcard": {"process.executable": f"*{n}?x*y"}} for n in range(int(clauses))]
cluster = Cluster(name, OpenSearchSettings(url=url))
cluster.search(index, {"query": {"bool": {"should": slow}}})
"""


def at_work(indexer: Indexer, name: str) -> int:
    """How many searches of ours the cluster works on now."""
    nodes = indexer.get("/_tasks?actions=indices:data/read/search*")["nodes"].values()
    tasks = [task for node in nodes for task in node["tasks"].values()]
    return sum(task["headers"].get("X-Opaque-Id") == f"huntonce-{name}" for task in tasks)


def soon(told: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether something becomes true in good time."""
    end = time.monotonic() + seconds
    while not told():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_ends_amid_a_search_ends_the_search(
    opensearch_url: str, indexer: Indexer, fresh_index: str, ended_by: signal.Signals
) -> None:
    indexer.create(fresh_index)
    values = (digest(number) * 15 for number in range(EVENTS))
    indexer.load(fresh_index, ({"process": {"executable": value[:LONG]}} for value in values))
    name = fresh_index
    words = (opensearch_url, fresh_index, name, str(CLAUSES))
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert soon(lambda: at_work(indexer, name) > 0 or run.poll() is not None)
        assert run.poll() is None, "the search was over before it could be cancelled"
        run.send_signal(ended_by)
        run.wait(timeout=10)
        assert soon(lambda: at_work(indexer, name) == 0, GONE)
    finally:
        run.kill()
        run.wait()
