"""The SQLite database under ZOO_HOME, which the stores share.

The file is named after the builds, which were the first thing that it held.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.settings import Limit
from app.store.errors import StoreError
from app.store.reserve import Reserve
from app.store.threads import seconds_waited

FILE_NAME = "builds.sqlite"
# Raised only for a change that older releases cannot work with; a new table is not one.
SCHEMA_VERSION = 1
_GONE = (
    "ZOO_HOME has vanished, or is another folder than the service opened. Mount it again; or "
    "restart the service, which then uses what is there."
)


class _LockedError(StoreError):
    """Something else held the lock of the database for too long."""


class Database:
    """Connections to the database."""

    def __init__(self, home: Path, wait: Limit[float]) -> None:
        """Open the database; create it if it does not exist.

        `wait` limits the seconds that a transaction waits for what locks the database.
        Raises: StoreError if the folder cannot be written, or if a newer release wrote the
        database.
        """
        self._path = home / FILE_NAME
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{home} cannot be created: {error.strerror}.") from error
        try:
            self._path.touch()
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}.") from error
        self._identity = _identity(self._path)
        self._reserve = Reserve(home)
        self._wait = wait
        self._writing = threading.RLock()
        # Since when reads have waited in vain; None after one that did not.
        self._blocked_since: float | None = None
        # Threads read, and bound how many connections there are.
        self._engine = sa.create_engine(
            "sqlite://", creator=self._connect, poolclass=sa.QueuePool, max_overflow=-1
        )
        sa.event.listen(self._engine, "begin", _begin)
        self._has_log = self._log_writes()
        with self._opening() as connection:
            version = connection.scalar(sa.text("PRAGMA user_version"))
            check_version(self._path, version)
            connection.execute(sa.text(f"PRAGMA user_version = {SCHEMA_VERSION}"))

    def create(self, table: sa.Table) -> None:
        """Create a table if it does not exist, as in the database of an older release.

        Raises: StoreError if the database cannot be used.
        """
        with self._opening() as connection:
            table.create(connection, checkfirst=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection that sees the database as it is now, whatever is written meanwhile.

        Reads do not wait for writes. Another program can lock them out, too; when it does, all wait
        as long as the first: those that come later wait less, or fail at once.
        Raises: StoreError, with a message fit for a client.
        """
        began = time.monotonic()
        self._blocked_since = self._blocked_since or began
        is_blocked = False
        try:
            with self._transaction("BEGIN", began - self._blocked_since) as connection:
                yield connection
        except _LockedError:
            is_blocked = True
            raise
        finally:
            if not is_blocked:
                self._blocked_since = None

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection; commit at the end, or roll back if the block raises.

        Raises: StoreError, with a message fit for a client.
        """
        with self.alone(), self._transaction("BEGIN IMMEDIATE", seconds_waited()) as connection:
            yield connection
            # What is written to a file that has no name any more would be lost, and yet confirmed.
            self.check()

    @contextlib.contextmanager
    def removing(self) -> Iterator[sa.Connection]:
        """Yield a connection to delete with, as `writing` does; a full disk has room for it.

        Raises: StoreError, with a message fit for a client.
        """
        with self.alone():
            is_full = self._reserve.give()
            try:
                with self.writing() as connection:
                    yield connection
            finally:
                if is_full:
                    self._shorten_log()
                self._reserve.keep()

    def _shorten_log(self) -> None:
        with contextlib.suppress(sqlite3.DatabaseError), self._engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else write inside the block, which may write several times.

        Raises: StoreError if somebody else writes for too long, or as `check` does.
        """
        if not self._writing.acquire(timeout=max(0, self._wait.value - seconds_waited())):
            raise self._is_locked()
        try:
            self.check()
            yield
        finally:
            self._writing.release()

    def check(self) -> None:
        """Raises: StoreError if the database is not where it was opened any more."""
        if lost := self.why_lost():
            raise StoreError(lost)

    def why_lost(self) -> str | None:
        """Return why nothing can be kept, if the database is not where it was opened any more."""
        try:
            is_there = _identity(self._path) == self._identity
            if self._has_log:  # in which, while a connection is open, the last writes are alone
                self._path.with_name(f"{FILE_NAME}-wal").stat()
        except OSError:
            is_there = False
        return None if is_there else _GONE

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _transaction(self, begin: str, waited: float) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                left = max(0, self._wait.value - waited)
                driver.execute(f"PRAGMA busy_timeout = {int(left * 1000)}")
                if "is_set_up" not in connection.info:
                    # With NORMAL, a power cut may lose the last commits but does not damage the
                    # database.
                    driver.execute("PRAGMA synchronous = NORMAL")
                    # What is deleted is overwritten only where that takes no writes of its own.
                    driver.execute("PRAGMA secure_delete = FAST")
                    connection.info["is_set_up"] = True
                connection.execution_options(begin=begin)
                with connection.begin():
                    yield connection
        except sa.exc.DatabaseError as error:
            raise self._explained(error.orig) from error
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def _explained(self, error: BaseException | None) -> StoreError:
        # The first byte is the kind, the others say more.
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:
            case sqlite3.SQLITE_BUSY:
                return self._is_locked()
            case sqlite3.SQLITE_FULL:
                return StoreError("The database cannot be written: its disk is full.")
        return StoreError(self.why_lost() or "The database cannot be read or written now.")

    def _is_locked(self) -> StoreError:
        return _LockedError(
            "The database is locked, by another program or by a long write; the wait ended after "
            f"{self._wait.value:g} s ({self._wait.setting})."
        )

    @contextlib.contextmanager
    def _opening(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(begin="BEGIN IMMEDIATE")
                with connection.begin():
                    yield connection
        except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
            cause = error.orig if isinstance(error, sa.exc.DatabaseError) else error
            raise StoreError(f"{self._path} cannot be used: {cause}.") from error

    def _connect(self) -> sqlite3.Connection:
        # Not created: an empty database must not stand for one that is gone. Without an isolation
        # level, transactions begin where `_begin` says.
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._wait.value,
            isolation_level=None,
            check_same_thread=False,
        )

    def _log_writes(self) -> bool:
        """Write ahead to a log from now on, so that reads continue during a write.

        Returns whether the file system can do it.
        """
        try:
            with contextlib.closing(self._connect()) as connection:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self._path} cannot be used: {error}.") from error
        return bool(mode == "wal")


def check_version(path: Path, version: int | None) -> None:
    """Raises: StoreError if a newer release wrote a database of this version."""
    if version is not None and version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer version of the service (schema {version}; this one "
            f"supports {SCHEMA_VERSION})."
        )


def now() -> str:
    """Return the time in the stores' format: UTC, ISO 8601, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
