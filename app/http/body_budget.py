"""Bounds the bytes that request bodies hold in memory, all together.

Bytes count as they arrive, and until the request ends. A declared size reserves nothing: eight
clients that declare 32 MiB and send nothing would lock out all others.

When a byte finds no room, bodies that are still arriving make room for it: those of the largest
size times the seconds for which they have been arriving. So a client that withholds the end of its
body cannot keep out one that sends, however it spreads its bytes, and small bodies pass. If the
body that asks has the largest product itself, it is refused, at once. One that has arrived is never
given up.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from app.http.problems import HttpError
from app.memory import give_back_freed_memory
from app.settings import Limit

# What malloc keeps of so many bytes, and of what is made of them, is more than the next requests
# need; and when none has come for so long.
_BURST_BYTES = 32 * 2**20
_REST_S = 1.0


class BodyBudget:
    """The bytes of all bodies; it is not thread-safe and belongs to the event loop."""

    def __init__(self, limit: Limit[int], clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.clock = clock
        self.held_bytes = 0
        self.arriving: set[HeldBody] = set()
        self._peak_bytes = 0

    def count(self, size: int) -> None:
        """Count bytes in, or out if negative; after a burst, its memory goes back to the system."""
        self.held_bytes += size
        if self.held_bytes > self._peak_bytes:
            self._peak_bytes = self.held_bytes
        elif not self.held_bytes and self._peak_bytes >= _BURST_BYTES:
            asyncio.get_running_loop().call_later(_REST_S, self._rest)

    def _rest(self) -> None:
        if self.held_bytes or self._peak_bytes < _BURST_BYTES:
            return  # it is not over, or memory was given back
        self._peak_bytes = 0
        asyncio.get_running_loop().run_in_executor(None, give_back_freed_memory)

    def body(self) -> "HeldBody":
        """Return the account of a request, which holds nothing yet."""
        return HeldBody(self)

    def make_room(self, asking: "HeldBody", size: int) -> None:
        """Give up bodies until `size` more bytes fit.

        Raises: HttpError (503) if that would take one that claims no more than `asking`.
        """
        missing = self.held_bytes + size - self.limit.value
        if missing <= 0:
            return
        now = self.clock()
        own = asking.claim(now)
        given_up = []
        for body in sorted(self.arriving, key=lambda each: each.claim(now), reverse=True):
            if missing <= 0 or body.claim(now) <= own:
                break
            if body.held_bytes:
                given_up.append(body)
                missing -= body.held_bytes
        if missing > 0:
            raise self.refusal()
        for body in given_up:
            body.give_up()

    def refusal(self) -> HttpError:
        """Return the error for a body that finds no room, or lost it."""
        return HttpError(
            "overloaded",
            f"The bodies of the requests in progress leave no room for this one; the limit is "
            f"{self.limit} bytes.",
            # The rest of the body is never read, so the connection cannot be reused.
            headers={"Retry-After": "1", "Connection": "close"},
            reason="bodies",
        )


class HeldBody:
    """The bytes that one request holds."""

    def __init__(self, budget: BodyBudget) -> None:
        self.held_bytes = 0
        self._budget = budget
        self._size = 0  # when all of it has arrived
        self._since = 0.0  # when it began to arrive
        self._is_given_up = False
        self._timeout: asyncio.Timeout | None = None

    def claim(self, now: float) -> float:
        """Return the size times the seconds for which it has been arriving."""
        return self._size * (now - self._since)

    def add(self, size: int) -> None:
        """Count bytes that arrived.

        Raises: HttpError (503) if there is no room for them.
        """
        if self._is_given_up:
            raise self._budget.refusal()
        try:
            self._budget.make_room(self, size)
        except HttpError:
            self.release(self.held_bytes)
            raise
        self.held_bytes += size
        self._budget.count(size)

    def release(self, size: int) -> None:
        """Count bytes that are no longer in memory."""
        size = min(size, self.held_bytes)  # none are left of a body that was given up
        self.held_bytes -= size
        self._budget.count(-size)

    def close(self) -> None:
        """Release everything at the end of the request."""
        self.release(self.held_bytes)

    @asynccontextmanager
    async def arriving(self, size: int, timeout_s: float) -> AsyncIterator[None]:
        """Receive at most `size` bytes inside; meanwhile the body may be given up.

        Raises: TimeoutError; HttpError (503) if it was given up.
        """
        self._size, self._since = size, self._budget.clock()
        self._budget.arriving.add(self)
        try:
            async with asyncio.timeout(timeout_s) as self._timeout:
                yield
        except TimeoutError:
            if not self._is_given_up:
                raise
        finally:
            self._budget.arriving.discard(self)
        if self._is_given_up:
            raise self._budget.refusal()

    @contextmanager
    def copied(self, size: int) -> Iterator[None]:
        """Count a copy that exists inside.

        Raises: HttpError (503) if there is no room for it.
        """
        self.add(size)
        try:
            yield
        finally:
            self.release(size)

    def give_up(self) -> None:
        """Release everything, and end the wait for more."""
        self._is_given_up = True
        self._budget.arriving.discard(self)
        self.close()
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(0)
