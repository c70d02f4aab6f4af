"""A number that changes with all that a process has in its memory of the database.

A process that serves looks whether it is still the same, and reads again if not.
"""

import sqlalchemy as sa

from app.store.database import Database
from app.store.schema import insert, metadata

_revision = sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # there is one row
    sa.Column("number", sa.BigInteger, nullable=False),
)


def change(database: Database, connection: sa.Connection) -> None:
    """Count a change of names, or of a build that exists: it is removed, or warned of more."""
    next_number = {"number": _revision.c.number + 1}
    connection.execute(
        insert(connection, _revision)
        .values(id=1, number=1)
        .on_conflict_do_update(index_elements=["id"], set_=next_number)
    )
    database.after_commit(database.count_change)


def read_revision(connection: sa.Connection) -> int:
    """Return the number of changes."""
    return connection.scalar(sa.select(_revision.c.number)) or 0
