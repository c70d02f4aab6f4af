"""Callers: who sends a request, what they may do, and how much of it at once."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.callers.roles import Role


class NotKnownNowError(Exception):
    """Whether a token is valid cannot be known now."""


class UsageError(Exception):
    """A caller sends more than it may; the message is fit for it."""

    def __init__(self, message: str, reason: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Usage:
    """The requests of one caller, and their limits; None means no limit.

    It is not thread-safe and belongs to the event loop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._per_s: float | None = None
        self._concurrency: int | None = None
        self._in_progress = 0
        self._left = math.inf  # requests that may be sent now
        self._counted = clock()

    def limit(self, requests_per_s: float | None, concurrency: int | None) -> None:
        """Set the limits; what is in progress stays counted."""
        if requests_per_s != self._per_s:
            self._per_s = requests_per_s
            self._left = math.inf
        self._concurrency = concurrency

    def count(self) -> None:
        """Count a request against the limit on requests a second.

        Those of one second may come at once. Raises: UsageError if there are too many.
        """
        if self._per_s is None:
            return
        now = self._clock()
        most = max(1.0, self._per_s)
        self._left = min(most, self._left + (now - self._counted) * self._per_s)
        self._counted = now
        if self._left < 1:
            raise UsageError(
                f"This caller may send {self._per_s:g} requests a second.",
                "token-rate",
                math.ceil((1 - self._left) / self._per_s),
            )
        self._left -= 1

    def enter(self) -> None:
        """Count a request in; every request that enters must leave.

        Raises: UsageError if as many are in progress as may be.
        """
        if self._concurrency is not None and self._in_progress >= self._concurrency:
            raise UsageError(
                f"{self._in_progress} requests of this caller are already in progress.",
                "token-concurrency",
                1,
            )
        self._in_progress += 1

    def leave(self) -> None:
        """Count a request out."""
        self._in_progress -= 1


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, as the log names them: `token:NAME` or `oidc:SUBJECT`.

    A caller without a role is known, and may do nothing.
    """

    name: str
    role: Role | None
    usage: Usage | None = None
