"""A store as an earlier released version left it: what later migrations made is taken away again.

Its data stays as far as the earlier tables hold it, so that an upgrade has something to upgrade.
"""

import json

from sqlalchemy import Connection, text

from huntonce.models.ids import digest
from huntonce.models.state.store import open_store

MADE: dict[str, tuple[str, ...]] = {
    "0002": ("intel_original", "intel_claim", "intel_feed", "intel_delivery"),
    "0003": ("hunt_claim",),
    "0005": ("hunt_verdict",),
    "0007": ("detection_fixture", "alert", "detection_watch"),
}
"""Revision to the tables that it made."""
ADDED = {"0002": (("set_aside", "feed"), ("set_aside", "tried_at"), ("set_aside", "taken_at"))}
"""Revision to the columns that it added."""
RELEASED = ("0001", "0002", "0003", "0005")
"""Every revision before the newest."""


def age(address: str, revision: str) -> None:
    """Bring a store back to a revision, with its data."""
    with open_store(address) as store, store.transaction() as connection:
        for made, tables in MADE.items():
            if made <= revision:
                continue
            for table in tables:
                connection.execute(text(f"DROP TABLE {table}"))
            for table, column in ADDED.get(made, ()):
                connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        _findings_by_all_their_events(connection)
        connection.execute(
            text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision}
        )


def _findings_by_all_their_events(connection: Connection) -> None:
    """Findings went by every event before 0007, which gives them the keys that they have now."""
    rows = connection.execute(text("SELECT number, doc FROM finding")).all()
    for number, written in rows:
        doc = json.loads(written)
        uids = sorted(event["uid"] for event in doc["events"])
        key = digest("finding", doc["hypothesis_key"], doc["entity"], uids)[:32]
        connection.execute(
            text("UPDATE finding SET key = :key WHERE number = :number"),
            {"key": f"{key}-{number}", "number": number},
        )
