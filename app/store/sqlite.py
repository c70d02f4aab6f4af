"""The SQLite database under ZOO_HOME, which one service uses at a time.

The file is named after the builds, which were the first thing that it held.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.settings import Limit
from app.store import schema, tables
from app.store.database import Database, Transaction
from app.store.errors import StoreError
from app.store.reserve import Reserve
from app.store.threads import seconds_waited

FILE_NAME = "builds.sqlite"
_GONE = (
    "ZOO_HOME has vanished, or is another folder than the service opened. Mount it again; or "
    "restart the service, which then uses what is there."
)


class _LockedError(StoreError):
    """Something else held the lock of the database for too long."""


class SqliteDatabase(Database):
    """Connections to the database; it has one writer at a time."""

    is_shared = False

    def __init__(self, home: Path, wait: Limit[float]) -> None:
        """Open the database; create it if it does not exist, and upgrade an earlier release's.

        `wait` limits the seconds that a transaction waits for what locks the database.
        Raises: StoreError if the folder cannot be written, or if a newer release wrote the
        database.
        """
        super().__init__(wait, writers=1)
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
        self._writing = threading.Lock()
        # Since when reads have waited in vain; None after one that did not.
        self._blocked_since: float | None = None
        # Threads read, and bound how many connections there are.
        self._engine = sa.create_engine(
            "sqlite://", creator=self._connect, poolclass=sa.QueuePool, max_overflow=-1
        )
        sa.event.listen(self._engine, "begin", _begin)
        self._has_log = self._log_writes()
        self._prepare()

    def _prepare(self) -> None:
        """Give the database today's tables."""
        with self._opening() as connection:
            version = schema.read_version(connection)
            schema.check_not_newer(self._path, version)
            if version == schema.SCHEMA_VERSION:
                return
            if not sa.inspect(connection).get_table_names():
                tables.create(connection)
                return
            from app.store.migrations import upgrade  # imports Alembic, which takes time

            upgrade(connection)

    @contextlib.contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        """Reads do not wait for writes.

        Another program can lock them out, too; when it does, all wait as long as the first: those
        that come later wait less, or fail at once.
        """
        began = time.monotonic()
        self._blocked_since = self._blocked_since or began
        is_blocked = False
        try:
            with self._begun("BEGIN", began - self._blocked_since) as connection:
                yield connection
        except _LockedError:
            is_blocked = True
            raise
        finally:
            if not is_blocked:
                self._blocked_since = None

    @contextlib.contextmanager
    def _write(self, *, is_alone: bool) -> Iterator[sa.Connection]:
        """Whoever writes is alone: SQLite has one writer at a time."""
        if not self._writing.acquire(timeout=max(0, self.wait.value - seconds_waited())):
            raise self._is_locked()
        try:
            self.check()
            with self._begun("BEGIN IMMEDIATE", seconds_waited()) as connection:
                yield connection
                # What is written to a file that has no name any more would be lost, and yet
                # confirmed.
                self.check()
        finally:
            self._writing.release()

    def _make_room(self, transaction: Transaction) -> None:
        is_full = self._reserve.give()
        transaction.ending.callback(self._reserve.keep)
        if is_full:
            transaction.ending.callback(self._shorten_log)

    def _shorten_log(self) -> None:
        with contextlib.suppress(sqlite3.DatabaseError), self._engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def why_lost(self) -> str | None:
        """Return why nothing can be kept, if the database is not where it was opened any more."""
        try:
            is_there = _identity(self._path) == self._identity
            if self._has_log:  # in which, while a connection is open, the last writes are alone
                self._path.with_name(f"{FILE_NAME}-wal").stat()
        except OSError:
            is_there = False
        return None if is_there else _GONE

    def clock(self) -> sa.ColumnElement[float]:
        """Return the seconds since 1970, by this machine's clock: only this process writes."""
        return sa.literal(time.time(), sa.Double())

    def close(self) -> None:
        """Close all connections."""
        super().close()
        self._engine.dispose()

    @contextlib.contextmanager
    def _begun(self, begin: str, waited: float) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                left = max(0, self.wait.value - waited)
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
            f"{self.wait.in_seconds}."
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
            timeout=self.wait.value,
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


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
