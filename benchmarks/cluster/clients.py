"""Clients that send one request again and again, and compare each answer with the known one.

`watch` runs beside, in a process of its own, until it is ended.
"""

import threading
import time
from dataclasses import dataclass, field

from app.arrays import AGREEMENT, relative_difference
from benchmarks.serving.apart import is_over
from benchmarks.serving.exchange import ask
from benchmarks.serving.service import numbers_of
from benchmarks.serving.workload import Array

_TIMEOUT_SECONDS = 130.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What is sent by how many clients, and the output that every answer has."""

    port: int
    request: bytes
    output: Array
    clients: int


@dataclass(slots=True)
class Watched:
    """The answers: when each came, in seconds of `time.time`, and how long it took."""

    right: list[tuple[float, float]] = field(default_factory=list)
    wrong: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All requests."""
        return len(self.right) + self.wrong + len(self.failed)

    @property
    def longest_s(self) -> float:
        """The longest time that a client waited for a right answer."""
        return max((seconds for _, seconds in self.right), default=0.0)

    def rate(self, start: float, stop: float) -> float:
        """Return the right answers per second between two times."""
        return sum(start <= at < stop for at, _ in self.right) / (stop - start)


def watch(task: Watch) -> Watched:
    """Send requests until the process that runs this one ends it."""
    watched, ended = Watched(), threading.Event()
    threads = [
        threading.Thread(target=_run, args=(task, watched, ended)) for _ in range(task.clients)
    ]
    for thread in threads:
        thread.start()
    while not is_over(0.05):
        pass
    ended.set()
    for thread in threads:
        thread.join()
    return watched


def _run(task: Watch, watched: Watched, ended: threading.Event) -> None:
    while not ended.is_set():
        began = time.time()
        try:
            answer = ask(("127.0.0.1", task.port), task.request, _TIMEOUT_SECONDS)
        except OSError as error:
            watched.failed.append(str(error))
            continue
        if answer.status != 200:
            watched.failed.append(f"{answer.status}: {answer.body[:200]!r}")
        elif relative_difference(numbers_of(answer), task.output) > AGREEMENT:
            watched.wrong += 1
        else:
            now = time.time()
            watched.right.append((now, now - began))
