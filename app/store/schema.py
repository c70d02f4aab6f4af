"""What the tables of the stores share: their catalogue, their types, and the schema's version.

Each store defines its tables; `app.store.migrations` makes those of an earlier release like them.
A database says in a table of its own which migration was the last.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from app.store.errors import StoreError

metadata = sa.MetaData()

# The number of the last migration. To start with a current database takes no import of Alembic.
SCHEMA_VERSION = 3
VERSION_TABLE = "zoo_schema_version"

# In the order of its bytes on every database, whatever language PostgreSQL sorts by.
Name = sa.String().with_variant(sa.String(collation="C"), "postgresql")
# SQLite's integers have 64 bits.
Bytes = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert:
    """Return an `INSERT` that can say what becomes of a row that is there: `on_conflict_...`.

    PostgreSQL's has the same methods.
    """
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # only who has one needs it

        of_postgresql: Any = postgresql.insert(table)
        return of_postgresql  # type: ignore[no-any-return]  # as declared above
    return sqlite.insert(table)


def read_version(connection: sa.Connection) -> int | None:
    """Return the number of the last migration of a database; None if it does not say."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    number = connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return None if number is None else int(number)


def check_not_newer(database: object, version: int | None) -> None:
    """Raises: StoreError if a newer release wrote a database."""
    if version is not None and version > SCHEMA_VERSION:
        raise StoreError(
            f"{database} was written by a newer version of the service (schema {version}; this one "
            f"supports {SCHEMA_VERSION})."
        )
