from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, text, update

from huntonce.models.errors import StateError
from huntonce.models.gap import GapState
from huntonce.models.state.store import Store, open_store
from huntonce.models.state.tables import LOG_HEAD, TRANSITION_LOG
from huntonce.models.transition import GENESIS
from tests.unit.state.examples import NOW, a_gap

WHO = {"actor": "analyst", "why": "a reason"}
LENGTH = 6


@pytest.fixture
def chain(store: Store) -> Store:
    """A store with a chain of six rows."""
    with store.unit() as unit:
        for number in range(LENGTH // 2):
            thing = unit.gaps.add(a_gap(str(number)), **WHO)
            unit.gaps.save(replace(thing, state=GapState.ACCEPTED), **WHO)
        unit.commit()
    return store


def verify(store: Store) -> int | None:
    with store.unit() as unit:
        return unit.log.verify()


def tamper(store: Store, statement: Any) -> None:
    """Change the log as somebody would who owns the database: triggers off, then the change."""
    with store.transaction() as connection:
        if connection.dialect.name == "sqlite":
            for verb in ("update", "delete", "replace"):
                connection.execute(text(f"DROP TRIGGER transition_log_no_{verb}"))
        else:
            connection.execute(text("ALTER TABLE transition_log DISABLE TRIGGER ALL"))
        connection.execute(statement)


def test_an_empty_chain_holds(store: Store) -> None:
    assert verify(store) is None


def test_rows_are_numbered_and_bound_to_the_one_before(chain: Store) -> None:
    with chain.unit() as unit:
        rows = unit.log.rows()

    assert [row.seq for row in rows] == list(range(1, LENGTH + 1))
    assert [row.previous for row in rows] == [GENESIS, *(row.hash for row in rows[:-1])]
    assert verify(chain) is None


def test_the_hash_is_the_same_whatever_zone_the_clock_is_in(address: str) -> None:
    def clock() -> Any:
        return NOW.astimezone(tz=None) + timedelta(microseconds=1)

    with open_store(address, clock=clock) as store:
        with store.unit() as unit:
            unit.gaps.add(a_gap(), **WHO)
            unit.commit()

        assert verify(store) is None


@pytest.mark.parametrize("seq", range(1, LENGTH + 1))
@pytest.mark.parametrize(
    "change",
    [
        {"why": "another reason"},
        {"actor": "nobody"},
        {"after": "closed"},
        {"at": NOW},
        {"evidence": "0" * 64},
        {"hash": "f" * 64},
        {"previous": "f" * 64},
        {"kind": "nonsense"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_row_is_found_at_that_row(
    chain: Store, seq: int, change: dict[str, object]
) -> None:
    tamper(chain, update(TRANSITION_LOG).where(TRANSITION_LOG.c.seq == seq).values(**change))

    assert verify(chain) == seq


@pytest.mark.parametrize("seq", range(1, LENGTH + 1))
def test_a_deleted_row_is_found_where_it_was(chain: Store, seq: int) -> None:
    tamper(chain, delete(TRANSITION_LOG).where(TRANSITION_LOG.c.seq == seq))

    assert verify(chain) == seq


def test_a_whole_log_deleted_is_found_at_its_first_row(chain: Store) -> None:
    tamper(chain, delete(TRANSITION_LOG))

    assert verify(chain) == 1


def test_a_row_changed_with_its_hash_is_found_at_the_next(chain: Store) -> None:
    with chain.unit() as unit:
        forged = replace(unit.log.rows()[2], why="forged")
    tamper(
        chain,
        update(TRANSITION_LOG)
        .where(TRANSITION_LOG.c.seq == forged.seq)
        .values(why=forged.why, hash=forged.hash),
    )

    assert verify(chain) == forged.seq + 1


def test_a_changed_head_is_found(chain: Store) -> None:
    tamper(chain, update(LOG_HEAD).values(hash="f" * 64))

    assert verify(chain) == LENGTH


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE transition_log SET why = 'x' WHERE seq = 2",
        "DELETE FROM transition_log WHERE seq = 2",
        "DELETE FROM transition_log",
    ],
)
def test_the_database_refuses_to_change_the_log(chain: Store, sql: str) -> None:
    with pytest.raises(StateError, match="append-only"), chain.transaction() as connection:
        connection.execute(text(sql))

    assert verify(chain) is None


def test_the_database_refuses_the_side_doors_too(chain: Store) -> None:
    with chain.reading() as connection:
        sqlite = connection.dialect.name == "sqlite"
    copy = "INSERT OR REPLACE INTO transition_log SELECT * FROM transition_log"
    sql = copy if sqlite else "TRUNCATE transition_log"

    with pytest.raises(StateError, match="append-only"), chain.transaction() as connection:
        connection.execute(text(sql))
    assert verify(chain) is None


def test_a_row_of_an_unknown_kind_is_read_and_a_forged_one_is_found(chain: Store) -> None:
    tamper(chain, update(TRANSITION_LOG).where(TRANSITION_LOG.c.seq == 3).values(kind="NEWER"))

    with chain.unit() as unit:
        kinds = [row.kind for row in unit.log.rows()]

    assert kinds == ["GAP", "GAP", "NEWER", "GAP", "GAP", "GAP"]
    assert verify(chain) == 3
