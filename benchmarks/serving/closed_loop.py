"""A closed loop of requests: each connection sends the next when it has the answer."""

import math
import resource
import select
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.serving.exchange import Connection

# A server that is gone refuses connections as fast as they are tried.
_AFTER_NONE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent, and how. The warm-up goes over into the measurement without a pause."""

    port: int
    request: bytes
    concurrency: int
    warm_up_s: float
    seconds: float
    timeout_s: float = 120.0


@dataclass(slots=True)
class Measured:
    """What came back within the measured seconds."""

    seconds: float
    client_cpu_s: float
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)  # 0 is none

    @property
    def rate(self) -> float:
        """Requests answered with 200, per second."""
        return self.statuses[200] / self.seconds

    @property
    def errors(self) -> int:
        """Requests that were answered otherwise, or not at all."""
        return self.statuses.total() - self.statuses[200]

    def percentile(self, share: float) -> float:
        """Return the latency in ms that this share of the requests kept."""
        return percentile(self.latencies_ms, share)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of the values does not exceed; NaN of none.

    >>> percentile([3, 1, 2, 4], 0.5), percentile([3, 1, 2, 4], 0.99)
    (2, 4)
    """
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def run(load: Load) -> Measured:
    """Run a load; call it by `apart`, in a process of its own."""
    address = ("127.0.0.1", load.port)
    with select.epoll() as epoll:
        open_now: dict[int, Connection] = {}
        for _ in range(load.concurrency):
            _begin(Connection(address, epoll), load.request, open_now)
        measured = Measured(load.seconds, 0.0)
        warm = _WarmUp(load)
        ends = float("inf")
        while (now := time.perf_counter()) < ends:
            if warm.is_over(now) and ends == float("inf"):
                ends = now + load.seconds
                measured.client_cpu_s = -_cpu_seconds()
            for descriptor, events in epoll.poll(max(0.0, min(0.1, ends - now))):
                connection = open_now.pop(descriptor)
                answer = connection.go_on(events)
                if answer is None:
                    open_now[descriptor] = connection
                    continue
                now = time.perf_counter()
                if not answer.status:
                    time.sleep(_AFTER_NONE_SECONDS)
                warm.answers += 1
                if ends != float("inf") and now < ends:
                    measured.statuses[answer.status] += 1
                    if answer.status == 200:
                        measured.latencies_ms.append((now - connection.tag) * 1e3)
                _begin(connection, load.request, open_now)
            _give_up(open_now, load, measured, now)
        measured.client_cpu_s += _cpu_seconds()
        for connection in open_now.values():
            connection.close()
    return measured


class _WarmUp:
    """Some seconds, and an answer for each connection; not without end, if none comes."""

    def __init__(self, load: Load) -> None:
        self._least = load.concurrency
        began = time.perf_counter()
        self._from = began + load.warm_up_s
        self._at_most = began + 5 * load.warm_up_s
        self.answers = 0

    def is_over(self, now: float) -> bool:
        """Whether to measure."""
        return now >= self._from and (self.answers >= self._least or now >= self._at_most)


def _begin(connection: Connection, request: bytes, open_now: dict[int, Connection]) -> None:
    connection.tag = time.perf_counter()
    connection.begin(request)
    open_now[connection.descriptor] = connection


def _give_up(open_now: dict[int, Connection], load: Load, measured: Measured, now: float) -> None:
    late = [c for c in open_now.values() if now - c.tag > load.timeout_s]
    for connection in late:
        measured.statuses[0] += 1
        del open_now[connection.descriptor]
        connection.close()
        _begin(connection, load.request, open_now)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def spell_statuses(statuses: Mapping[int, int]) -> str:
    """Return how often each status came, such as `200: 950, 503: 7, none: 1`."""
    return ", ".join(f"{status or 'none'}: {count}" for status, count in sorted(statuses.items()))
