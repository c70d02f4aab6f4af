"""Threads for documents, traces and reports, so that no other request waits behind these.

To read a document or to trace a network takes milliseconds, or a second with the reports of a large
one. Hundreds of them in `asyncio.to_thread` would hold up every read of the store, and as many as
that has threads would be in memory at once.
"""

import asyncio
import contextvars
import functools
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from app.engine import QueueFullError
from app.settings import Limit

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# Traces are Python, and take turns: a second thread is for what reads files meanwhile, and for
# small networks behind a large one. More would only slow the event loop.
_THREADS = 2
# The weight of the last run in the mean.
_NEWEST = 0.2


class TraceThreads:
    """Runs functions in threads of its own, and rejects those that would wait for too long."""

    def __init__(self, wait: Limit[float]) -> None:
        self._wait = wait
        self._executor = ThreadPoolExecutor(_THREADS, "trace")
        self._free = asyncio.Semaphore(_THREADS)
        self._waiting = 0
        self._mean_s = 0.0  # of the last runs

    async def run(
        self,
        function: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Return what a function returns, as `asyncio.to_thread` does.

        Raises: QueueFullError at once if the wait is expected to take too long, or when it does.
        """
        if self._expected_s > self._wait.value:
            raise self._refusal()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait.value):
                await self._free.acquire()
        except TimeoutError:
            raise self._refusal() from None
        finally:
            self._waiting -= 1
        began = time.monotonic()
        try:
            call = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
            return await asyncio.get_running_loop().run_in_executor(self._executor, call)
        finally:
            self._free.release()
            self._mean_s += _NEWEST * (time.monotonic() - began - self._mean_s)

    @property
    def _expected_s(self) -> float:
        return self._waiting * self._mean_s / _THREADS

    def _refusal(self) -> QueueFullError:
        return QueueFullError(
            f"The networks of other requests are being traced, for which a request may wait "
            f"{self._wait} s.",
            math.ceil(max(1, min(self._expected_s, self._wait.value))),
            reason="traces",
        )
