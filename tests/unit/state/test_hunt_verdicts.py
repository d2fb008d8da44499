"""The database itself refuses to rule out what was not looked for."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from huntonce.models.errors import StateError
from huntonce.models.hunt import HuntRun, HuntState
from huntonce.models.hypothesis import Verdict
from huntonce.models.state.store import Store, open_store, sqlite_url
from huntonce.models.state.tables import HUNT_VERDICT
from tests.support.builders import T0, after, check, power


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(sqlite_url(tmp_path / "huntonce.db"))


def run(**changes: Any) -> HuntRun:
    values: dict[str, Any] = {
        "hypothesis_key": "h",
        "hypothesis_id": "H-1",
        "hunt_name": "a-hunt",
        "technique_id": "T1053.005",
        "siem": "lake",
        "start": T0,
        "end": after(hours=1),
        "started_at": after(hours=2),
        "state": HuntState.CONCLUDED,
        "outcomes": ("verdict",),
        "verdict": Verdict.RULED_OUT,
        "checks": (check(),),
        "power": power(0.9),
        "floor": 0.8,
        **changes,
    }
    return HuntRun(**values)


def unproven(**changes: Any) -> HuntRun:
    """A run that no constructor would make: what a fault of the code would be."""
    made = run()
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    return made


def test_a_verdict_is_kept_with_what_it_stands_on(store: Store) -> None:
    with store.unit() as unit:
        stored = unit.hunts.add(run(), actor="test", why="hunted")
        unit.commit()

    with store.reading() as connection:
        (row,) = connection.execute(select(HUNT_VERDICT)).all()
    assert row == (stored.id, "ruled_out", 1, 0.9, 0.8, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"checks": ()},
        {"checks": (check(executed=False),)},
        {"power": power(0.5)},
        {"power": None},
        {"power": power(0.9, creation=0.9, actor=0.0)},
    ],
    ids=["no check", "none executed", "under the floor", "no power", "a dark group"],
)
def test_an_unproven_verdict_gets_neither_past_the_code_nor_past_the_database(
    store: Store, changes: dict[str, Any]
) -> None:
    with store.unit() as unit, pytest.raises(StateError):
        unit.hunts.add(unproven(**changes), actor="test", why="hunted")

    with store.unit() as unit:
        assert unit.hunts.list() == ()


def test_the_table_refuses_whoever_writes(store: Store) -> None:
    with store.transaction() as connection, pytest.raises(StateError, match="hunt_verdict"):
        connection.execute(
            HUNT_VERDICT.insert().values(
                hunt="HUNT-1", verdict="ruled_out", executed=0, power=1.0, floor=0.8, dark=0
            )
        )
