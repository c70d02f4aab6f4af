"""Runs the migrations, where Alembic is asked to, on the connection of who asks."""

from alembic import context

from app.store.schema import VERSION_TABLE
from app.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
