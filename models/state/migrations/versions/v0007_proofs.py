"""What detections are proven with and what they did; findings go by their core events."""

import json

import sqlalchemy as sa
from alembic import op

from huntonce.models.ids import digest

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

_CORE = frozenset({"registration", "tool", "occurrence"})

TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    op.create_table(
        "detection_fixture",
        sa.Column("rule", sa.String(64), primary_key=True),
        sa.Column("uid", sa.String(256), primary_key=True),
        sa.Column("malicious", sa.Boolean, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "alert",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(256), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("parent", sa.String(256)),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
        sa.UniqueConstraint("id", name="uq_alert_id"),
        sa.UniqueConstraint("key", name="uq_alert_key"),
    )
    op.create_index("ix_alert_state", "alert", ["state"])
    op.create_index("ix_alert_parent", "alert", ["parent"])
    op.create_table(
        "detection_watch",
        sa.Column("rule", sa.String(64), primary_key=True),
        sa.Column("siem", sa.String(128), primary_key=True),
        sa.Column("ran_at", TIME, nullable=False),
        sa.Column("seen_to", TIME, nullable=False),
        sa.Column("fault", sa.Text, nullable=False),
    )
    _findings_by_core()


def _findings_by_core() -> None:
    """A finding's key names its core events; of two that become the same, the later keeps its."""
    findings = sa.table(
        "finding",
        sa.column("number", sa.Integer),
        sa.column("key", sa.String),
        sa.column("doc", sa.Text),
    )
    connection = op.get_bind()
    taken: set[str] = set()
    rows = connection.execute(sa.select(findings).order_by(findings.c.number)).all()
    for number, old, text in rows:
        doc = json.loads(text)
        core = [e for e in doc["events"] if e.get("role") in _CORE] or doc["events"]
        uids = sorted(e["uid"] for e in core)
        key = digest("finding", doc["hypothesis_key"], doc["entity"], uids)[:32]
        if key == old or key in taken:
            continue
        taken.add(key)
        connection.execute(sa.update(findings).where(findings.c.number == number).values(key=key))
