"""What serving needs of the request that it works for."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from app.errors import ServiceError
from app.telemetry.timings import Timings

Result = TypeVar("Result")


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
    task = asyncio.ensure_future(work)
    gone = asyncio.create_task(exchange.until_disconnected())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(gone, task, return_exceptions=True)
