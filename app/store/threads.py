"""The threads that wait for the store, so that those which read stay free.

Some write to the database. Others work on files, which may be in a bucket that does not answer.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_FILES_AT_ONCE = 16

_files = ThreadPoolExecutor(_FILES_AT_ONCE, thread_name_prefix="files")
_asked_at: contextvars.ContextVar[float] = contextvars.ContextVar("asked_at")


class WriterThreads:
    """As many threads as a database has writers at a time: more would only wait for each other."""

    def __init__(self, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="store")

    async def write(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what a call returns that writes to the store, made in one of the threads.

        The time that it waits for its turn counts as waiting for the database: see
        `seconds_waited`.
        """
        context = contextvars.copy_context()
        context.run(_asked_at.set, time.monotonic())
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor, partial(context.run, call, *args, **kwargs)
        )

    def close(self) -> None:
        """Let the threads end when their calls return."""
        self._executor.shutdown(wait=False)


async def on_files(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what a call returns that works on stored files, made in a thread for these."""
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_files, partial(context.run, call, *args, **kwargs))


def seconds_waited() -> float:
    """Return how long the write in this thread has waited for its turn."""
    now = time.monotonic()
    return now - _asked_at.get(now)
