"""What serving needs of the request that it works for."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from app.errors import ServiceError
from app.telemetry.timings import Timings

Result = TypeVar("Result")

# To watch a connection costs more than to do what takes less than this.
_UNWATCHED_SECONDS = 0.05


class ClientGoneError(ServiceError):
    """The client closed the connection, so that nobody would read an answer."""

    def __init__(self) -> None:
        super().__init__("client-gone", "The client closed the connection.")


class Exchange(Protocol):
    """A request in progress."""

    @property
    def timings(self) -> Timings:
        """The phases of the request."""

    def name_model(self, name: str) -> None:
        """Record the model that the request is about, for the log."""

    async def until_disconnected(self) -> None:
        """Wait until the client closes the connection."""


async def while_connected(exchange: Exchange, work: Awaitable[Result]) -> Result:
    """Return the result of `work`, or cancel it when the client disconnects.

    Raises: ClientGoneError if the client disconnects first.
    """
    watch = _Watch(exchange)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.has_cancelled():
            raise ClientGoneError from None
        raise
    finally:
        watch.end()


class _Watch:
    """Cancels the task that makes it when the client disconnects, once the work takes a while."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._worker = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(_UNWATCHED_SECONDS, self._begin)
        self._task: asyncio.Task[None] | None = None
        self._is_gone = False

    def has_cancelled(self) -> bool:
        """Return whether the work was cancelled for this reason, and for no other."""
        assert self._worker is not None
        return self._is_gone and not self._worker.uncancel()

    def end(self) -> None:
        """Watch no longer."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._cancel_when_gone())

    async def _cancel_when_gone(self) -> None:
        await self._exchange.until_disconnected()
        assert self._worker is not None
        self._is_gone = True
        self._worker.cancel()
