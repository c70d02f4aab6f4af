"""The SQLite database under ZOO_HOME, which the stores share.

Its name is that of what it held first.
"""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.store.errors import StoreError

FILE_NAME = "builds.sqlite"
# Of what an older program could not use any more; a table more is none of that.
SCHEMA_VERSION = 1


class Database:
    """Connections to the database."""

    def __init__(self, home: Path) -> None:
        """Open the database, making it if there is none.

        Raises: StoreError if the folder cannot be written, or a newer version has written it.
        """
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{home} cannot be made: {error.strerror}.") from error
        self._path = home / FILE_NAME
        self._engine = sa.create_engine(f"sqlite:///{self._path}", connect_args={"timeout": 10})
        sa.event.listen(self._engine, "connect", _configure)
        with self._opening() as connection:
            version = connection.scalar(sa.text("PRAGMA user_version"))
            if version is not None and version > SCHEMA_VERSION:
                raise StoreError(
                    f"{self._path} was written by a newer version of the service (schema "
                    f"{version}; this one knows {SCHEMA_VERSION})."
                )
            connection.execute(sa.text(f"PRAGMA user_version = {SCHEMA_VERSION}"))

    def create(self, table: sa.Table) -> None:
        """Make a table if it is not there, as in a database of an older version.

        Raises: StoreError
        """
        with self._opening() as connection:
            table.create(connection, checkfirst=True)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection; what was done with it is kept at the end, or nothing of it.

        Raises: StoreError, fit for a client.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.DatabaseError as error:
            raise StoreError("The builds' database cannot be read or written now.") from error

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
    """Return the time as the stores keep it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _configure(connection: Any, _record: object) -> None:
    # WAL lets readers go on while one writes; NORMAL loses at most the last builds of a power cut.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
