"""A store from before certificates: its findings get the keys that the code now computes."""

import json

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from huntonce.models.state.codec import encode
from huntonce.models.state.engine import begin_write, make_engine
from huntonce.models.state.migrate import SCRIPTS
from huntonce.models.state.store import open_store
from tests.support.builders import finding, ref

pytestmark = pytest.mark.integration


def test_findings_are_known_again_by_their_core_and_none_is_lost(address: str) -> None:
    alike = [
        finding(events=(ref("e1"), ref("l1", role="logon"))),
        # A longer window saw one more logon: the same finding, stored twice before.
        finding(events=(ref("e1"), ref("l1", role="logon"), ref("l2", role="logon"))),
        finding(events=(ref("e2", role="occurrence"), ref("l3", role="run"))),
    ]
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    engine = make_engine(address)
    with engine.connect() as connection:
        begin_write(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        for number, one in enumerate(alike, start=1):
            moment = "2026-01-01T00:00:00.000000+00:00"
            connection.execute(
                text(
                    "INSERT INTO finding (number, id, key, state, created_at, updated_at, version,"
                    " doc) VALUES (:n, :id, :key, 'malicious', :at, :at, 1, :doc)"
                ),
                {"n": number, "id": f"F-{number}", "key": f"old-{number}", "at": moment,
                 "doc": encode(one, id=f"F-{number}")},
            )  # fmt: skip
        connection.execute(text("INSERT INTO counter (kind, last) VALUES ('F', 3)"))
        connection.commit()
    engine.dispose()

    with open_store(address) as store, store.unit() as unit:
        assert [f.id for f in unit.findings.list()] == ["F-1", "F-2", "F-3"]
        assert [unit.findings.add(f, actor="a", why="again").id for f in alike] == [
            "F-1",
            "F-1",
            "F-3",
        ]
        assert json.loads(encode(unit.findings.list()[2]))["id"] == "F-3"
