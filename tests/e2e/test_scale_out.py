"""Beyond one machine: PostgreSQL, one Prefect server, three workers, one of which is killed."""

import os
from collections import Counter
from pathlib import Path

import pytest

from huntonce.models.hunt import HuntState
from huntonce.models.hypothesis import HypothesisState
from huntonce.models.outbox import MessageState
from tests.support.cluster import cluster, outcomes
from tests.support.serving import wait_for
from tests.support.stores import ABSENT, SERVER

SCALE = "HUNTONCE_TEST_SCALE"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.skipif(not os.environ.get(SERVER), reason=ABSENT),
]
HUNTS = int(os.environ.get(SCALE, "20"))
WITHIN = 900


def test_a_killed_worker_costs_no_hunt_and_doubles_none(tmp_path: Path) -> None:
    with cluster(os.environ[SERVER], tmp_path, lean=True) as made:
        made.queue(HUNTS)
        made.served.start("plan-hunts")
        made.work(3)
        wait_for(lambda: len(made.hunts(HuntState.CONCLUDED)) >= 3, "the first hunts")
        carried = wait_for(lambda: made.hunts(HuntState.RUNNING), "a hunt in the middle")
        killed = made.kill(made.workers[1])
        made.drain(HUNTS, WITHIN)
        messages = made.deliver()
        left = outcomes(made.store)
        with made.store.unit() as unit:
            states = Counter(h.state for h in unit.hypotheses.list())

    assert carried
    assert killed >= 1
    hunts = Counter(run.hypothesis_key for run in left["hunts"])
    assert len(hunts) == HUNTS
    assert set(hunts.values()) == {1}
    assert HypothesisState.HUNTING not in states
    for kind in ("findings", "gaps", "detections"):
        keys = Counter(one.key for one in left[kind])
        assert set(keys.values()) <= {1}, kind
    assert left["gaps"]
    assert {message.state for message in messages} == {MessageState.SENT}
    tickets = [gap.ticket for gap in left["gaps"] if gap.ticket]
    assert len(tickets) == len(set(tickets)) == len(left["gaps"])
    remote = [case.remote_id for case in left["cases"]]
    assert len(remote) == len(set(remote))
    in_cases = Counter(finding for case in left["cases"] for finding in case.finding_ids)
    assert set(in_cases.values()) <= {1}
