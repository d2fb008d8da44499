"""Verdicts with what they stand on; the database refuses to rule out what was not looked for."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hunt_verdict",
        sa.Column("hunt", sa.String(32), primary_key=True),
        sa.Column("verdict", sa.String(32), nullable=False),
        sa.Column("executed", sa.Integer, nullable=False),
        sa.Column("power", sa.Float, nullable=False),
        sa.Column("floor", sa.Float, nullable=False),
        sa.Column("dark", sa.Integer, nullable=False),
        sa.CheckConstraint(
            "verdict <> 'ruled_out' OR "
            "(executed > 0 AND power > 0 AND power >= floor AND dark = 0)",
            name="ck_hunt_verdict_proven",
        ),
    )
