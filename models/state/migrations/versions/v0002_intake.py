"""Health of the feeds, originals of upgraded objects, claims of indicators, a quarantine."""

import json

import sqlalchemy as sa
from alembic import op

from huntonce.models.intel import claim_key

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
PAGE = 5_000


def upgrade() -> None:
    op.create_table(
        "intel_original",
        sa.Column(
            "object_number",
            sa.Integer,
            sa.ForeignKey("intel_object.number", name="fk_intel_original_object_number"),
            primary_key=True,
        ),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "intel_claim",
        sa.Column(
            "object_number",
            sa.Integer,
            sa.ForeignKey("intel_object.number", name="fk_intel_claim_object_number"),
            primary_key=True,
        ),
        sa.Column("claim", sa.String(64), nullable=False),
    )
    op.create_index("ix_intel_claim_claim", "intel_claim", ["claim"])
    op.create_table(
        "intel_feed",
        sa.Column("feed", sa.String(256), primary_key=True),
        sa.Column("selection", sa.String(64), nullable=False),
        sa.Column("pulls", sa.Integer, nullable=False),
        sa.Column("pulled_at", TIME),
        sa.Column("succeeded_at", TIME),
        sa.Column("failed_at", TIME),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("fault", sa.String(16), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        *(
            sa.Column(name, sa.Integer, nullable=False)
            for name in ("new", "updated", "duplicate", "set_aside", "skipped")
        ),
    )
    op.create_table(
        "intel_delivery",
        sa.Column("feed", sa.String(256), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("objects", sa.Integer, nullable=False),
        sa.Column("first_at", TIME, nullable=False),
    )
    op.add_column("set_aside", sa.Column("feed", sa.Text, nullable=False, server_default=""))
    op.add_column("set_aside", sa.Column("tried_at", TIME))
    op.add_column("set_aside", sa.Column("taken_at", TIME))
    _claims()


def _claims() -> None:
    """The claims of the indicators that are held already."""
    connection = op.get_bind()
    objects = sa.table("intel_object", sa.column("number"), sa.column("type"), sa.column("body"))
    claims = sa.table("intel_claim", sa.column("object_number"), sa.column("claim"))
    last = 0
    while True:
        query = (
            sa.select(objects.c.number, objects.c.body)
            .where(objects.c.type == "indicator", objects.c.number > last)
            .order_by(objects.c.number)
            .limit(PAGE)
        )
        rows = connection.execute(query).all()
        made = [
            {"object_number": row.number, "claim": claim}
            for row in rows
            if (claim := claim_key(json.loads(bytes(row.body))))
        ]
        if made:
            connection.execute(claims.insert(), made)
        if len(rows) < PAGE:
            return
        last = rows[-1].number
