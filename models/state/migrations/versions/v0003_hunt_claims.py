"""One run at a time hunts a hypothesis on a SIEM."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    op.create_table(
        "hunt_claim",
        sa.Column("key", sa.String(256), primary_key=True),
        sa.Column("run", sa.String(32), nullable=False),
        sa.Column("start", TIME, nullable=False),
        sa.Column("end", TIME, nullable=False),
        sa.Column("taken_at", TIME, nullable=False),
    )
    op.create_index("ix_hunt_claim_run", "hunt_claim", ["run"])
