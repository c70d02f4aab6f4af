"""The lanes of a network: how many of its batches are computed side by side."""

import threading
from collections import deque
from collections.abc import Callable

Work = Callable[[], None]


class Lanes:
    """Does work of several threads, some of it at a time.

    The thread that ends one work does the next one itself. If it woke a thread that waits for the
    lane, a core would often be idle meanwhile, and two lanes would then share the other one.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[Work] = deque()
        self._lock = threading.Lock()

    def do(self, work: Work) -> None:
        """Do work now if a lane is free; else return, and the thread that frees one does it."""
        with self._lock:
            if not self._free:
                self._waiting.append(work)
                return
            self._free -= 1
        following: Work | None = work
        while following is not None:
            following()
            following = self._next()

    def _next(self) -> Work | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._free += 1
            return None
