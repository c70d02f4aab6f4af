"""The thread that writes to the store.

SQLite has one writer at a time, so more threads would only wait for each other; and the threads
that read stay free, whatever the writer waits for.
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

_writer = ThreadPoolExecutor(1, thread_name_prefix="store")
_asked_at: contextvars.ContextVar[float] = contextvars.ContextVar("asked_at")


async def write(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what a call returns that writes to the store, made in its thread.

    The time that it waits for its turn counts as waiting for the database: see `seconds_waited`.
    """
    context = contextvars.copy_context()
    context.run(_asked_at.set, time.monotonic())
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_writer, partial(context.run, call, *args, **kwargs))


def seconds_waited() -> float:
    """Return how long the write in this thread has waited for its turn."""
    now = time.monotonic()
    return now - _asked_at.get(now)
