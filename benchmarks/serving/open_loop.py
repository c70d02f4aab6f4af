"""An open loop of requests: they are sent when they are due, whether or not others are answered.

Latencies count from when a request was due, so a server that stalls pays for those behind.
"""

import select
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from benchmarks.serving.exchange import Connection

# Servers close what was idle for longer; a request that meets that end would count as unanswered.
_IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Stream:
    """What is sent at which rate."""

    port: int
    request: bytes
    rate: float
    seconds: float
    timeout_s: float


@dataclass(slots=True)
class Outcome:
    """What became of every request that was due."""

    seconds: float  # of sending
    began: float  # of time.perf_counter(), which all processes share on Linux
    due: int = 0
    statuses: Counter[int] = field(default_factory=Counter)  # 0: closed without an answer
    unanswered: int = 0  # nothing came within the timeout
    # Of each answer: when it was due, seconds from the start; its status; the latency in ms.
    answers: list[tuple[float, int, float]] = field(default_factory=list)
    most_open: int = 0
    late_ms: float = 0.0  # how far the client itself was behind, at worst

    def latencies_ms(self, status: int) -> list[float]:
        """Return the latencies of the answers with a status."""
        return [latency for _, answered, latency in self.answers if answered == status]

    def done_within(self, seconds: float, status: int = 200) -> int:
        """Return how many answers of a status had come by then."""
        return sum(
            1
            for due, answered, latency in self.answers
            if answered == status and due + latency / 1e3 <= seconds
        )


def run(stream: Stream) -> Outcome:
    """Send a stream and await every answer; call it by `apart`, in a process of its own."""
    address = ("127.0.0.1", stream.port)
    total = int(stream.rate * stream.seconds)
    idle: list[tuple[Connection, float]] = []  # since when
    open_now: dict[int, Connection] = {}
    # In the order of their deadlines: all requests have the same timeout.
    waiting: deque[tuple[Connection, float]] = deque()
    began = time.perf_counter()
    outcome = Outcome(stream.seconds, began)
    with select.epoll() as epoll:
        while outcome.due < total or open_now:
            now = time.perf_counter()
            while outcome.due < total and (due := began + outcome.due / stream.rate) <= now:
                outcome.late_ms = max(outcome.late_ms, (now - due) * 1e3)
                outcome.due += 1
                connection, since = idle.pop() if idle else (Connection(address, epoll), now)
                if now - since > _IDLE_SECONDS:
                    connection.close()
                connection.tag = due
                connection.begin(stream.request)
                open_now[connection.descriptor] = connection
                waiting.append((connection, due))
                now = time.perf_counter()
            outcome.most_open = max(outcome.most_open, len(open_now))
            for descriptor, events in epoll.poll(_pause(outcome, stream, began, total)):
                if descriptor not in open_now:
                    _close_idle(idle, descriptor)
                    continue
                connection = open_now[descriptor]
                answer = connection.go_on(events)
                if answer is None:
                    continue
                del open_now[descriptor]
                now = time.perf_counter()
                _note(outcome, began, connection, answer.status, now)
                connection.tag = 0.0
                idle.append((connection, now))
            now = time.perf_counter()
            while waiting and now - waiting[0][1] > stream.timeout_s:
                connection, due = waiting.popleft()
                if connection.tag != due:
                    continue  # answered
                outcome.unanswered += 1
                del open_now[connection.descriptor]
                connection.close()
        for connection, _ in idle:
            connection.close()
    return outcome


def _close_idle(idle: list[tuple[Connection, float]], descriptor: int) -> None:
    """Close what the server has closed."""
    for connection, _ in idle:
        if connection.descriptor == descriptor:
            connection.close()


def _pause(outcome: Outcome, stream: Stream, began: float, total: int) -> float:
    """Return how long nothing is due."""
    if outcome.due >= total:
        return 0.1
    return max(0.0, min(0.1, began + outcome.due / stream.rate - time.perf_counter()))


def _note(outcome: Outcome, began: float, connection: Connection, status: int, now: float) -> None:
    outcome.statuses[status] += 1
    due = connection.tag
    outcome.answers.append((due - began, status, (now - due) * 1e3))
