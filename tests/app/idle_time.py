"""An event loop on which nothing is late because the machine is slow."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any

# What a step of the loop counts for at most, however long it took.
_LONGEST_STEP_S = 0.001


class _IdleTime(selectors.DefaultSelector):
    """Counts the seconds in which a loop waits, and hardly any in which it works."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._began = time.monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        waits = time.monotonic()
        self.seconds += min(waits - self._began, _LONGEST_STEP_S)
        events = super().select(timeout)
        self._began = time.monotonic()
        if timeout is not None and timeout > 0:
            self.seconds += min(self._began - waits, timeout) if events else timeout
        return events


class _IdleTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose time nearly stands still while it works, or while its process is stopped."""

    def __init__(self) -> None:
        self._idle = _IdleTime()
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.seconds


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a test whose limits are of time in which it waits."""
    with asyncio.Runner(loop_factory=_IdleTimeLoop) as runner:
        runner.run(coroutine)


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    while not condition():
        await asyncio.sleep(0.001)
