"""A PostgreSQL database, which any number of replicas of the service use at a time."""

import contextlib
import logging
import math
import time
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import conninfo

from app.settings import Limit
from app.store import schema
from app.store.database import Database, Transaction
from app.store.errors import StoreError
from app.store.threads import seconds_waited

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# What transactions lock that write: alone, or together with others that only add.
_LOCK = 0x6D6F64656C7A6F6F
_WRITERS = 4
# Of one replica. A server has 100, unless it is told to have more.
_MAX_CONNECTIONS = 10
# A replica that stands still inside a transaction is ended after so long: it may lock out others.
_MIN_IDLE_S = 10
# An answer of the server that says that its own limit has passed may take a while.
_GRACE_S = 1
_URL_RULE = (
    "ZOO_DATABASE_URL cannot be read as postgresql://user:password@host:5432/database. In a "
    "password, %40 stands for @, %2F for / and %25 for %."
)
_GONE = "The database does not answer: it is down, restarting, or cannot be reached."


class PostgresqlDatabase(Database):
    """Connections to the database."""

    is_shared = True

    def __init__(self, url: str, wait: Limit[float]) -> None:
        """Connect to a database that has today's tables.

        `wait` limits the seconds to connect, those that a statement takes, and those that a
        transaction waits for others.
        Raises: StoreError if it cannot be used, or has the tables of another release.
        """
        super().__init__(wait, _WRITERS)
        self._lost: str | None = None
        self._is_closed = False
        self._engine = engine(url, wait.value)
        sa.event.listen(self._engine, "checkin", self._close_returned)
        # Most reads are one statement each, which needs no transaction.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        try:
            self._check_schema(described(url))
        except BaseException:
            self.close()
            raise

    def _check_schema(self, database: str) -> None:
        try:
            with self._reading.connect() as connection:
                version = schema.read_version(connection)
        except sa.exc.DBAPIError as error:
            raise StoreError(f"{database} cannot be used: {one_line(error)}") from error
        schema.check_not_newer(database, version)
        if version != schema.SCHEMA_VERSION:
            has = "no tables of the service" if version is None else f"schema {version}"
            raise StoreError(
                f"{database} has {has}, and this version of the service needs schema "
                f"{schema.SCHEMA_VERSION}: run model-zoo home upgrade."
            )

    @contextlib.contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with self._explaining(), self._reading.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def _write(self, *, is_alone: bool) -> Iterator[sa.Connection]:
        """Who only adds shares the lock of the database with others who do."""
        lock = "pg_advisory_xact_lock" if is_alone else "pg_advisory_xact_lock_shared"
        with self._explaining(), self._engine.begin() as connection:
            left = max(1, round(1000 * (self.wait.value - seconds_waited())))
            connection.exec_driver_sql(
                f"SELECT set_config('lock_timeout', '{left}', true), {lock}({_LOCK})"
            )
            yield connection

    def _make_room(self, transaction: Transaction) -> None:
        """The server has room of its own, or none."""

    def why_lost(self) -> str | None:
        """Return why nothing can be kept, if the last that was tried found it so."""
        return self._lost

    def clock(self) -> sa.ColumnElement[float]:
        """Return the seconds since 1970, by the server's clock."""
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double())

    def close(self) -> None:
        """Close all connections, those in use as soon as they are not."""
        super().close()
        self._is_closed = True
        self._engine.dispose()

    def _close_returned(self, connection: psycopg.Connection[Any] | None, _record: object) -> None:
        if self._is_closed and connection is not None:
            connection.close()

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.TimeoutError as error:
            raise self._is_busy() from error
        except (sa.exc.DBAPIError, psycopg.Error) as error:
            raise self._explained(error) from error
        if self._lost is not None:
            self._lost = None
            log.info("The database answers again.")

    def _explained(self, error: sa.exc.DBAPIError | psycopg.Error) -> StoreError:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        state = getattr(cause, "sqlstate", None) or ""
        if state in ("55P03", "57014", "40P01", "40001"):  # timeouts, and deadlocks
            return self._is_busy()
        # That there is none is said once, until there is one again.
        if self._lost is None or not is_lost(error):
            log.warning("The database reported an error: %s", one_line(error))
        if state == "53100":
            return StoreError("The database cannot be written: its disk is full.")
        if state == "25006":
            return StoreError("The database cannot be written now: it is read-only.")
        if is_lost(error):
            self._lost = _GONE
            return StoreError(_GONE)
        return StoreError("The database cannot be read or written now.")

    def _is_busy(self) -> StoreError:
        return StoreError(
            "The database is busy: others write, or it is slow to answer; the wait ended after "
            f"{self.wait.in_seconds}."
        )


class _Connection(psycopg.Connection[Any]):
    """A connection on which nothing waits for ever: a server may stand still, or its network."""

    limit_s = math.inf

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """See psycopg."""
        return super().wait(self._bounded(gen), *args, **options)

    def _bounded(self, steps: Generator[Any, Any, Result]) -> Generator[Any, Any, Result]:
        """Return steps that end when the limit has passed; psycopg takes some each second."""
        ends = time.monotonic() + self.limit_s
        try:
            state = next(steps)
            while True:
                ready = yield state
                if not ready and time.monotonic() > ends:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {self.limit_s:g} s")
                state = steps.send(ready)
        except StopIteration as end:
            result: Result = end.value
            return result


def engine(url: str, wait_s: float) -> sa.Engine:
    """Return what connects to a database.

    Raises: StoreError if the URL is none.
    """
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:  # in words that may repeat a password
        raise StoreError(_URL_RULE) from error
    defaults: dict[str, Any] = {
        "connect_timeout": max(2, math.ceil(wait_s)),
        "tcp_user_timeout": math.ceil(1000 * (wait_s + _GRACE_S)),
        "application_name": "model-zoo",
    }

    def connect() -> psycopg.Connection[Any]:
        connection = _Connection.connect(**{**defaults, **given}, autocommit=True)
        connection.limit_s = wait_s + _GRACE_S
        limit = math.ceil(1000 * wait_s)
        idle = math.ceil(1000 * max(_MIN_IDLE_S, 2 * wait_s))
        try:
            connection.execute(
                f"SET statement_timeout = {limit}; SET lock_timeout = {limit}; "
                f"SET idle_in_transaction_session_timeout = {idle}"
            )
            connection.autocommit = False
        except BaseException:
            connection.close()
            raise
        return connection

    return sa.create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=_MAX_CONNECTIONS,
        max_overflow=0,
        pool_timeout=wait_s,
        # So that after a restart of the server no request fails for a connection that it closed.
        pool_pre_ping=True,
    )


def lock(connection: sa.Connection) -> None:
    """Let nobody else write until the transaction ends."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def described(url: str) -> str:
    """Return which database a URL names, without its user and password."""
    given = conninfo.conninfo_to_dict(url)
    name = given.get("dbname") or given.get("user") or "postgres"
    where = given.get("host") or given.get("hostaddr") or "this machine"
    return f"The PostgreSQL database {name} on {where}"


def is_lost(error: sa.exc.DBAPIError | psycopg.Error) -> bool:
    """Return whether there was no connection, or is none any more."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if not isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)):
        return False
    # Without a state, it is not the server that reports it; 53300: it has too many connections.
    return not cause.sqlstate or cause.sqlstate.startswith(("08", "57P", "53300"))


def one_line(error: sa.exc.DBAPIError | psycopg.Error) -> str:
    """Return what a server or a connection reported, as one line."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return " ".join(str(cause).split())
