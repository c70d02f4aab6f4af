"""A bar on standard error that says how far a command is."""

import sys
import time
from types import TracebackType
from typing import Self

_WIDTH = 30
# Often enough to seem steady.
_INTERVAL_S = 0.1


class ProgressBar:
    """Counts steps; shows nothing where standard error is no terminal."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._is_shown = sys.stderr.isatty()
        self._start = time.monotonic()
        self._next = self._start

    def __enter__(self) -> Self:
        self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def step(self) -> None:
        """Count one more."""
        self._done += 1
        if time.monotonic() >= self._next:
            self._show()

    def clear(self) -> None:
        """Take the bar away, so that something else can be printed in its line."""
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _show(self) -> None:
        if not self._is_shown:
            return
        seconds = time.monotonic() - self._start
        share = self._done / self._steps
        left = f" {seconds / share - seconds:.0f} s left" if self._done else ""
        bar = ("=" * int(_WIDTH * share)).ljust(_WIDTH)
        text = f"\r[{bar}] {self._done:,}/{self._steps:,} {share:.0%}{left}\x1b[K"
        print(text, end="", file=sys.stderr, flush=True)
        self._next = time.monotonic() + _INTERVAL_S
