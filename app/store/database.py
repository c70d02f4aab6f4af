"""The database that the stores share: what SQLite's and PostgreSQL's have in common.

There is one rule for transactions: a block is one. What is written or read inside a block by the
same thread, in whatever store, joins it, and an error undoes all of it. No block that reads has one
that writes inside.
"""

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

import sqlalchemy as sa

from app.settings import Limit
from app.store.errors import StoreError
from app.store.threads import WriterThreads

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Transaction:
    """A transaction that writes: in `ending` is what follows its end, however it ends."""

    connection: sa.Connection
    is_alone: bool
    ending: contextlib.ExitStack
    after_commit: list[Callable[[], None]] = field(default_factory=list)


class Database(ABC):
    """Connections to a database. Methods that are not coroutines block."""

    # Whether other processes write to it: the other replicas of the service.
    is_shared: bool

    def __init__(self, wait: Limit[float], writers: int) -> None:
        self.wait = wait
        # Of this process, since it started; see `app.store.revision`.
        self.changes = 0
        self._writers = WriterThreads(writers)
        self._of_thread = threading.local()

    async def write(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what a call returns that writes, made in one of the threads for that."""
        return await self._writers.write(call, *args, **kwargs)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection that sees the database as it is now, whatever is written meanwhile.

        Raises: StoreError, with a message fit for a client.
        """
        joined: sa.Connection | None = getattr(self._of_thread, "connection", None)
        if joined is not None:
            yield joined
            return
        with self._read() as connection:
            self._of_thread.connection = connection
            try:
                yield connection
            finally:
                self._of_thread.connection = None

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection; commit at the end, or roll back if the block raises.

        Nobody else writes meanwhile; in a block of `adding`, nobody removes.
        Raises: StoreError, with a message fit for a client.
        """
        transaction = self._transaction
        with self._block(is_alone=transaction is None or transaction.is_alone) as joined:
            yield joined.connection

    @contextlib.contextmanager
    def removing(self) -> Iterator[sa.Connection]:
        """Yield a connection to delete with, as `writing` does; a full disk has room for it.

        Raises: StoreError, with a message fit for a client.
        """
        with self._block(is_alone=True) as transaction:
            self._make_room(transaction)
            yield transaction.connection

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else write inside the block, in any store and in any replica.

        Raises: StoreError if somebody else writes for too long, or as `check` does.
        """
        with self._block(is_alone=True):
            yield

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """Let nobody remove anything inside the block, in any store and in any replica.

        Others may add meanwhile, too.
        Raises: as `alone`.
        """
        with self._block(is_alone=False):
            yield

    def after_commit(self, call: Callable[[], None]) -> None:
        """Have something called once the transaction of this thread is committed."""
        transaction = self._transaction
        assert transaction is not None, "no transaction has begun"
        transaction.after_commit.append(call)

    def count_change(self) -> None:
        """Count a change of this process."""
        self.changes += 1

    def check(self) -> None:
        """Raises: StoreError if nothing can be kept now."""
        if lost := self.why_lost():
            raise StoreError(lost)

    @abstractmethod
    def why_lost(self) -> str | None:
        """Return why nothing can be kept now, if that is known; without waiting."""

    @abstractmethod
    def clock(self) -> sa.ColumnElement[float]:
        """Return the seconds since 1970, by a clock that all who write have in common."""

    def close(self) -> None:
        """Close all connections."""
        self._writers.close()

    @property
    def _transaction(self) -> Transaction | None:
        return getattr(self._of_thread, "transaction", None)

    @contextlib.contextmanager
    def _block(self, *, is_alone: bool) -> Iterator[Transaction]:
        joined = self._transaction
        if joined is not None:
            assert joined.is_alone or not is_alone, "only from its start can a block be alone"
            yield joined
            return
        with contextlib.ExitStack() as ending:
            with self._write(is_alone=is_alone) as connection:
                transaction = Transaction(connection, is_alone, ending)
                self._of_thread.transaction = transaction
                self._of_thread.connection = connection
                try:
                    yield transaction
                finally:
                    self._of_thread.transaction = self._of_thread.connection = None
            for call in transaction.after_commit:
                call()

    @abstractmethod
    def _read(self) -> AbstractContextManager[sa.Connection]:
        """Begin to read, as `reading` says."""

    @abstractmethod
    def _write(self, *, is_alone: bool) -> AbstractContextManager[sa.Connection]:
        """Begin a transaction that writes; commit it at the end, or roll it back."""

    @abstractmethod
    def _make_room(self, transaction: Transaction) -> None:
        """Make room for what a transaction writes to delete something."""


class Store:
    """What every store has: the database that it shares with the others."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def alone(self) -> AbstractContextManager[None]:
        """Let nothing else be stored or removed inside the block, in any of the stores.

        What may be referred to is looked up and removed in one block.
        Raises: StoreError if something else takes too long.
        """
        return self.database.alone()

    def adding(self) -> AbstractContextManager[None]:
        """Let nothing be removed inside the block, in any of the stores.

        What a build refers to is looked up and used in one block.
        Raises: StoreError if something else takes too long.
        """
        return self.database.adding()

    async def write(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what a call returns that writes to stores, made in a thread for that."""
        return await self.database.write(call, *args, **kwargs)


def now() -> str:
    """Return the time in the stores' format: UTC, ISO 8601, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
