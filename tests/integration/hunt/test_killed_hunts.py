"""A hunt that is killed anywhere is made good by the next one: same state, nothing doubled."""

import json
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from huntonce.models.hunt import HuntState
from huntonce.models.hypothesis import Verdict
from huntonce.models.outbox import MessageState
from huntonce.models.stages.dispatch import STALE_AFTER, dispatch
from huntonce.models.stages.kit import Kit
from huntonce.models.state.store import Store
from huntonce.models.state.tables import DESK_CASE, DESK_TICKET
from tests.integration.hunt.estate import POINTS, hunt, open_estate

ROOT = Path(__file__).parents[3]
LATER = timedelta(seconds=STALE_AFTER + 60)

pytestmark = pytest.mark.integration


def kill_at(point: str, home: Path) -> None:
    """A hunt in a process of its own, which dies at a point."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.hunt.estate", str(home), point],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def end_state(kit: Kit, store: Store, home: Path) -> dict[str, Any]:
    """All that the hunt left behind, here and at the desks, but for the runs themselves."""
    with store.reading() as connection:
        tickets = {
            f"TICKET-{number}": key
            for number, key in connection.execute(select(DESK_TICKET.c.number, DESK_TICKET.c.key))
        }
        cases = {
            f"IR-{number}": key
            for number, key in connection.execute(select(DESK_CASE.c.number, DESK_CASE.c.key))
        }
    with store.unit() as unit:
        assert unit.log.verify() is None
        assert all(run.power for run in unit.hunts.list(HuntState.CONCLUDED))
        return {
            "hypotheses": [(h.key, h.state, h.verdict, h.hunted) for h in unit.hypotheses.list()],
            "findings": [(f.key, f.score) for f in unit.findings.list()],
            "gaps": [(g.id, g.key, g.state, tickets[g.ticket]) for g in unit.gaps.list()],
            "cases": [(c.id, c.key, cases[c.remote_id]) for c in unit.cases.list()],
            "detections": [
                (d.rule_id, d.rule, d.healthy, [x.observed for x in d.deployments])
                for d in unit.detections.list()
            ],
            "messages": sorted((m.key, m.state) for m in unit.outbox.list()),
            "tickets at the desk": sorted(tickets.values()),
            "cases at the desk": sorted(cases.values()),
            "rule files": sorted(path.name for path in (home / "rules").rglob("*.yml")),
            "siem": kit.siem.name,
        }


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a hunt leaves that nobody killed."""
    home = tmp_path_factory.mktemp("sound")
    kit, store = open_estate(home)
    with store:
        hunt(kit)
        state = end_state(kit, store, home)
    assert {state for _, state in state["messages"]} == {MessageState.SENT}
    assert state["hypotheses"][0][2] is Verdict.CONFIRMED_MALICIOUS
    assert [len(state[part]) for part in ("gaps", "cases", "detections")] == [2, 1, 1]
    return state


@pytest.mark.parametrize("point", POINTS)
def test_the_next_hunt_ends_where_a_hunt_ends_that_nobody_killed(
    point: str, tmp_path: Path, sound: dict[str, Any]
) -> None:
    kill_at(point, tmp_path)

    kit, store = open_estate(tmp_path, later=LATER)
    with store:
        hunt(kit)
        state = end_state(kit, store, tmp_path)

    assert state == sound


@pytest.mark.parametrize("point", ["after the commit", "after the ticket", "after a record"])
def test_after_the_commit_the_senders_alone_finish_the_work(
    point: str, tmp_path: Path, sound: dict[str, Any]
) -> None:
    kill_at(point, tmp_path)

    kit, store = open_estate(tmp_path, later=LATER)
    with store:
        dispatch(kit)
        state = end_state(kit, store, tmp_path)

    assert state == sound


def test_before_the_commit_nothing_of_the_hunt_exists(tmp_path: Path) -> None:
    kill_at("before the commit", tmp_path)

    _, store = open_estate(tmp_path)
    with store, store.unit() as unit:
        assert [run.state for run in unit.hunts.list()] == [HuntState.RUNNING]
        kept = (unit.findings, unit.gaps, unit.detections, unit.cases, unit.outbox)
        assert [part.list() for part in kept] == [()] * 5
        assert unit.log.verify() is None


def test_killed_again_and_again_it_still_ends_the_same(
    tmp_path: Path, sound: dict[str, Any]
) -> None:
    # All of them at one moment: what the dead have claimed is not yet given up.
    for point in list(POINTS)[:-1]:
        kill_at(point, tmp_path)

    kit, store = open_estate(tmp_path, later=LATER)
    with store:
        hunt(kit)
        state = end_state(kit, store, tmp_path)

    assert json.loads(json.dumps(state, default=str)) == json.loads(json.dumps(sound, default=str))
