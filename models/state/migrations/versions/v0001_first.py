"""The first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
ORDERED = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")
ENTITIES = (
    "hypothesis",
    "hunt_run",
    "gap",
    "finding",
    "detection",
    "incident_case",
    "proposal",
    "publication",
)
APPEND_ONLY = "the transition log is append-only"
REPLACES = "WHEN NEW.seq IN (SELECT seq FROM transition_log)"


def upgrade() -> None:
    for name in ENTITIES:
        _entities(name)
    _log()
    _intel()
    _outside()
    _desks()


def _entities(name: str) -> None:
    op.create_table(
        name,
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(256), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("parent", sa.String(256)),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
        sa.UniqueConstraint("id", name=f"uq_{name}_id"),
        sa.UniqueConstraint("key", name=f"uq_{name}_key"),
    )
    op.create_index(f"ix_{name}_state", name, ["state"])
    op.create_index(f"ix_{name}_parent", name, ["parent"])


def _log() -> None:
    op.create_table(
        "counter",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
    )
    op.create_table(
        "transition_log",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("before", sa.String(32), nullable=False),
        sa.Column("after", sa.String(32), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("evidence", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("ix_transition_log_subject", "transition_log", ["subject"])
    op.create_index("ix_transition_log_at", "transition_log", ["at"])
    head = op.create_table(
        "log_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    if op.get_bind().dialect.name == "sqlite":
        _refuse_on_sqlite()
    else:
        _refuse_on_postgresql()


def _refuse_on_sqlite() -> None:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END"
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER transition_log_no_{verb.lower()} "
            f"BEFORE {verb} ON transition_log {refuse}"
        )
    # INSERT OR REPLACE deletes without firing the trigger for DELETE.
    op.execute(
        f"CREATE TRIGGER transition_log_no_replace BEFORE INSERT ON transition_log {REPLACES} "
        + refuse
    )


def _refuse_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_transition_log_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{APPEND_ONLY}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER transition_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON transition_log FOR EACH STATEMENT EXECUTE FUNCTION refuse_transition_log_change()"
    )


def _intel() -> None:
    op.create_table(
        "intel_object",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("revision", ORDERED, nullable=False),
        sa.Column("moment", ORDERED, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("spec_version", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("revoked", sa.Boolean, nullable=False),
        sa.Column("tlp", sa.String(16), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("added_at", TIME, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("object_id", "revision", name="uq_intel_object_object_id_revision"),
    )
    op.create_index("ix_intel_object_type", "intel_object", ["type"])
    op.create_index("ix_intel_object_newest", "intel_object", ["object_id", "moment"])
    _of_feed("intel_feed_object")
    _of_feed("intel_conflict", sa.Column("body", sa.LargeBinary, nullable=False))
    op.create_table(
        "intel_cursor",
        sa.Column("feed", sa.String(256), primary_key=True),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
    )


def _of_feed(name: str, *more: sa.Column[bytes]) -> None:
    op.create_table(
        name,
        sa.Column(
            "object_number",
            sa.Integer,
            sa.ForeignKey("intel_object.number", name=f"fk_{name}_object_number"),
            primary_key=True,
        ),
        sa.Column("feed", sa.String(256), primary_key=True),
        sa.Column("first_at", TIME, nullable=False),
        *more,
    )


def _outside() -> None:
    op.create_table(
        "set_aside",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.UniqueConstraint("key", name="uq_set_aside_key"),
    )
    op.create_index("ix_set_aside_kind", "set_aside", ["kind"])
    op.create_table(
        "outbox",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(256), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("remote_id", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("claimed_at", TIME),
        sa.Column("sent_at", TIME),
        sa.UniqueConstraint("key", name="uq_outbox_key"),
    )
    op.create_index("ix_outbox_waiting", "outbox", ["state", "number"])


def _desks() -> None:
    _desk("desk_ticket", sa.Column("updated_at", TIME, nullable=False))
    op.create_table(
        "desk_comment",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column(
            "ticket",
            sa.Integer,
            sa.ForeignKey("desk_ticket.number", name="fk_desk_comment_ticket"),
            nullable=False,
        ),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", TIME, nullable=False),
    )
    op.create_index("ix_desk_comment_ticket", "desk_comment", ["ticket"])
    _desk(
        "desk_case",
        sa.Column("determination", sa.String(32), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("closed_at", TIME),
    )


def _desk(name: str, *more: sa.Column[Any]) -> None:
    op.create_table(
        name,
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(256), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        *more,
        sa.UniqueConstraint("key", name=f"uq_{name}_key"),
    )
