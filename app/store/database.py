"""The SQLite database under ZOO_HOME, which the stores share.

The file is named after the builds, which were the first thing that it held.
"""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.store.errors import StoreError

FILE_NAME = "builds.sqlite"
# Raised only for a change that older releases cannot work with; a new table is not one.
SCHEMA_VERSION = 1


class Database:
    """Connections to the database."""

    def __init__(self, home: Path) -> None:
        """Open the database; create it if it does not exist.

        Raises: StoreError if the folder cannot be written, or if a newer release wrote the
        database.
        """
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{home} cannot be created: {error.strerror}.") from error
        self._path = home / FILE_NAME
        self._engine = sa.create_engine(f"sqlite:///{self._path}", connect_args={"timeout": 10})
        sa.event.listen(self._engine, "connect", _configure)
        with self._opening() as connection:
            version = connection.scalar(sa.text("PRAGMA user_version"))
            if version is not None and version > SCHEMA_VERSION:
                raise StoreError(
                    f"{self._path} was written by a newer version of the service (schema "
                    f"{version}; this one supports {SCHEMA_VERSION})."
                )
            connection.execute(sa.text(f"PRAGMA user_version = {SCHEMA_VERSION}"))

    def create(self, table: sa.Table) -> None:
        """Create a table if it does not exist, as in the database of an older release.

        Raises: StoreError if the database cannot be used.
        """
        with self._opening() as connection:
            table.create(connection, checkfirst=True)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection; commit at the end, or roll back if the block raises.

        Raises: StoreError, with a message fit for a client.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.DatabaseError as error:
            raise StoreError("The database cannot be read or written now.") from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _opening(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.DatabaseError as error:
            raise StoreError(f"{self._path} cannot be used: {error.orig}.") from error


def now() -> str:
    """Return the time in the stores' format: UTC, ISO 8601, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _configure(connection: Any, _record: object) -> None:
    # With WAL, reads continue during a write. With NORMAL, a power cut may lose the last commits
    # but does not damage the database.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
