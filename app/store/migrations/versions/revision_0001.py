"""The tables of release 0.6. A SQLite database of a release before gains those that it lacks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    # In PostgreSQL, tables of these names are those of somebody else.
    are_adopted = op.get_bind().dialect.name == "sqlite"

    def create(name: str, *columns: sa.schema.SchemaItem, is_sequence: bool = False) -> None:
        op.create_table(name, *columns, if_not_exists=are_adopted, sqlite_autoincrement=is_sequence)

    create(
        "builds",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, unique=True, nullable=False),
        sa.Column("architecture", sa.String, nullable=False),
        sa.Column("created", sa.String, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        is_sequence=True,
    )
    op.create_index("ix_builds_architecture", "builds", ["architecture"], if_not_exists=are_adopted)
    create(
        "build_scopes",
        sa.Column("build", sa.String, primary_key=True),
        sa.Column("uses", sa.JSON, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
    )
    create(
        "build_probes",
        sa.Column("build", sa.String, primary_key=True),
        sa.Column("created", sa.String, nullable=False),
        sa.Column("probe", sa.JSON, nullable=False),
    )
    name = sa.String().with_variant(sa.String(collation="C"), "postgresql")
    create(
        "models",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", name, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("build", sa.String, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("engine", sa.String),
        sa.Column("precision", sa.String),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("created", sa.String, nullable=False),
        sa.UniqueConstraint("name", "version"),
        is_sequence=True,
    )
    create(
        "class_names",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("names", sa.Text, nullable=False),
    )
    create(
        "calibrations",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
    )
    create(
        "scopes",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", name, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("created", sa.String, nullable=False),
        sa.Column("level_count", sa.Integer, nullable=False),
        sa.Column("levels", sa.JSON, nullable=False),
        sa.Column("replaces", sa.Boolean, nullable=False),
        sa.Column("uses", sa.JSON, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.UniqueConstraint("name", "digest"),
        is_sequence=True,
    )
    create(
        "sweeps",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, unique=True, nullable=False),
        sa.Column("created", sa.String, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column(
            "bytes",
            sa.Integer().with_variant(sa.BigInteger(), "postgresql"),
            nullable=False,
        ),
        sa.Column("progress", sa.JSON, nullable=False),
        sa.Column("reason", sa.String),
        is_sequence=True,
    )
    create(
        "sweep_documents",
        sa.Column("sweep", sa.String, primary_key=True),
        sa.Column("document", sa.String, nullable=False),
        sa.Column("scopes", sa.String, nullable=False),
    )
    create(
        "sweep_rows",
        sa.Column("sweep", sa.String, primary_key=True),
        sa.Column("first", sa.Integer, primary_key=True),
        sa.Column("rows", sa.String, nullable=False),
    )
    create(
        "sweep_measurements",
        sa.Column("sweep", sa.String, primary_key=True),
        sa.Column("row", sa.Integer, primary_key=True),
        sa.Column("measured", sa.JSON, nullable=False),
    )
