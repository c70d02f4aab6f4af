"""All tables: those of a store are in the catalogue once the store is imported."""

import sqlalchemy as sa

from app.store import builds, models, revision, scopes, sweeps, uploads
from app.store.schema import SCHEMA_VERSION, VERSION_TABLE, metadata

__all__ = ["STORES", "create", "metadata"]

STORES = (builds, models, revision, scopes, sweeps, uploads)

# As Alembic makes it.
_version = sa.Table(
    VERSION_TABLE,
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


def create(connection: sa.Connection) -> None:
    """Create all tables in an empty database, as all migrations would."""
    metadata.create_all(connection, checkfirst=False)
    _version.create(connection, checkfirst=False)
    connection.execute(sa.insert(_version).values(version_num=f"{SCHEMA_VERSION:04}"))
