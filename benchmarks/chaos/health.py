"""Asks a service for its health over and over, in a process of its own.

In the process of the other clients, what they do would delay these answers as well.
"""

import time
from dataclasses import dataclass, field

from benchmarks.serving.apart import is_over
from benchmarks.serving.exchange import Answer, ask, http_request


@dataclass(frozen=True, slots=True)
class HealthTask:
    """Where to ask, how long to wait for an answer, and how long between two questions."""

    address: tuple[str, int]
    timeout_s: float
    pause_s: float


@dataclass(slots=True)
class Health:
    """How long each answer took, and those that were not 200."""

    seconds: list[float] = field(default_factory=list)
    bad: list[Answer] = field(default_factory=list)


def look_at_health(task: HealthTask) -> Health:
    """Return what was answered until the other process ends it, or is gone; once at least."""
    request = http_request("GET", "/healthz")
    health = Health()
    while True:
        began = time.perf_counter()
        try:
            answer = ask(task.address, request, task.timeout_s)
        except OSError:
            answer = Answer(0)
        health.seconds.append(time.perf_counter() - began)
        if answer.status != 200:
            health.bad.append(answer)
        if is_over(task.pause_s):
            return health
