"""A store of the first version keeps its intel, and gets claims and health."""

import json

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from huntonce.models.state.engine import begin_write, make_engine
from huntonce.models.state.migrate import SCRIPTS
from huntonce.models.state.store import open_store

pytestmark = pytest.mark.integration
INDICATOR = "indicator--00000000-0000-4000-8000-00000000000{}"


def first_version(address: str) -> None:
    """A store as revision 0001 left it, with three objects, a cursor and a refusal."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    engine = make_engine(address)
    with engine.connect() as connection:
        begin_write(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for number, kind in ((1, "indicator"), (2, "indicator"), (3, "tool")):
            name = INDICATOR.format(number)
            body = {"type": kind, "id": name, "pattern": "[a:b = 'x']", "pattern_type": "stix"}
            connection.execute(
                text(
                    "INSERT INTO intel_object (number, object_id, revision, moment, version, type,"
                    " spec_version, created_by, revoked, tlp, content_sha256, added_at, body)"
                    " VALUES (:n, :id, 'r', 'm', 'v', :type, '2.1', '', :no, 'amber', 'c',"
                    " '2026-01-01T00:00:00.000000+00:00', :body)"
                ),
                {"n": number, "id": name, "type": kind, "no": False,
                 "body": json.dumps(body).encode()},
            )  # fmt: skip
            connection.execute(
                text(
                    "INSERT INTO intel_feed_object (object_number, feed, first_at)"
                    " VALUES (:n, 'old', '2026-01-01T00:00:00.000000+00:00')"
                ),
                {"n": number},
            )
        connection.execute(
            text(
                "INSERT INTO intel_cursor (feed, cursor, updated_at)"
                " VALUES ('old', '17', '2026-01-01T00:00:00.000000+00:00')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO set_aside (number, key, kind, source, place, reason, hint,"
                " payload, at) VALUES (1, 'k', 'intel', 's', 'p', 'r', 'h', :body,"
                " '2026-01-01T00:00:00.000000+00:00')"
            ),
            {"body": b"{}"},
        )
        connection.commit()
    engine.dispose()


def test_a_store_of_the_first_version_is_brought_up(address: str) -> None:
    first_version(address)

    with open_store(address) as store, store.unit() as unit:
        (health,) = unit.feeds.health()
        (refusal,) = unit.quarantine.kept()

        assert (health.feed, health.held, health.cursor, health.pulls) == ("old", 3, "17", 0)
        assert (health.indicators, health.claims) == (2, 1)
        assert (refusal.feed, refusal.tried_at, refusal.item.payload) == ("", None, b"{}")
