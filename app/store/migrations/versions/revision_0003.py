"""What replicas that share a bucket receive for it.

A release before this one can use the database on: it does not look at this table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "uploads",
        sa.Column("replica", sa.String, primary_key=True),
        sa.Column("uploads", sa.JSON, nullable=False),
        sa.Column(
            "claimed_bytes",
            sa.Integer().with_variant(sa.BigInteger(), "postgresql"),
            nullable=False,
        ),
        sa.Column("until", sa.Double, nullable=False),
    )
