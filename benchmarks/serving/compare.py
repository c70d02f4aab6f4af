"""All servers with one network: answers are checked, then they take turns at every point."""

import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np

from benchmarks.serving.apart import apart
from benchmarks.serving.closed_loop import Load, Measured, run, spell_statuses
from benchmarks.serving.contestants import Classes, Contestant
from benchmarks.serving.environments import PeerError
from benchmarks.serving.exchange import Answer
from benchmarks.serving.in_process import InProcess
from benchmarks.serving.processes import Server
from benchmarks.serving.service import await_answer
from benchmarks.serving.workload import BEST, FORMS, Array, Form

# An answer may differ from the output in process by this share of the largest value.
AGREEMENT = 1e-4


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and for how long."""

    networks: Sequence[str]
    forms: Sequence[Form]
    concurrencies: Sequence[int]
    seconds: float  # of each round
    warm_up_s: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Point:
    """A point of comparison: a network, a form of request, and how many are concurrent."""

    network: str
    form: Form
    concurrency: int


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rounds of a server at a point. Each figure is their median."""

    each: Sequence[Measured]

    @property
    def rate(self) -> float:
        """Requests answered with 200, per second."""
        return statistics.median(self.rates)

    @property
    def rates(self) -> list[float]:
        """Requests answered with 200, per second, of each round."""
        return [measured.rate for measured in self.each]

    @property
    def errors(self) -> int:
        """Requests that were answered otherwise, or not at all."""
        return sum(measured.errors for measured in self.each)

    def percentiles(self, share: float) -> list[float]:
        """Return the latency in ms that this share of the requests kept, of each round."""
        return [measured.percentile(share) for measured in self.each]

    def percentile(self, share: float) -> float:
        """Return the median of the rounds' percentiles."""
        return statistics.median(self.percentiles(share))


@dataclass(slots=True)
class Result:
    """The measurements of a server by point, and its failures."""

    points: dict[Point, Rounds] = field(default_factory=dict)
    first_answer_s: dict[str, float] = field(default_factory=dict)  # by network
    failures: list[str] = field(default_factory=list)


def compare(
    contestants: Sequence[Contestant],
    network: str,
    expected: InProcess,
    plan: Plan,
    results: Mapping[str, Result],
) -> None:
    """Measure servers with a network, and add measurements and failures to the results by title.

    All run at once, and take turns: what slows the machine down for a while slows down each.
    """
    with ExitStack() as servers:
        requests: dict[tuple[Contestant, Form], tuple[Server, bytes]] = {}
        for contestant in contestants:
            result = results[contestant.title]
            with _failing(contestant, network, result):
                server = servers.enter_context(contestant.running(network))
                for form in plan.forms:
                    request = contestant.request(server, network, form)
                    answer = await_answer(server, request)
                    result.first_answer_s.setdefault(network, time.perf_counter() - server.started)
                    check(contestant, form, answer, expected)
                    requests[contestant, form] = server, request
        for form in plan.forms:
            for concurrency in plan.concurrencies:
                rounds: dict[Contestant, list[Measured]] = {}
                for _ in range(plan.rounds):
                    for contestant in contestants:
                        if (contestant, form) not in requests:
                            continue
                        server, request = requests[contestant, form]
                        load = Load(server.port, request, concurrency, plan.warm_up_s, plan.seconds)
                        with _failing(contestant, network, results[contestant.title]):
                            server.check()
                            rounds.setdefault(contestant, []).append(apart(run, load))
                for contestant, measured in rounds.items():
                    point = Point(network, form, concurrency)
                    results[contestant.title].points[point] = Rounds(measured)
                    _say(contestant, point, Rounds(measured))


@contextmanager
def _failing(contestant: Contestant, network: str, result: Result) -> Iterator[None]:
    try:
        yield
    except (PeerError, OSError, TimeoutError) as error:
        result.failures.append(f"{contestant.title} with {network}: {error}")
        print(result.failures[-1], file=sys.stderr, flush=True)


def _say(contestant: Contestant, point: Point, rounds: Rounds) -> None:
    statuses = sum((each.statuses for each in rounds.each), Counter[int]())
    print(
        f"{contestant.title}, {point.network}, {FORMS[point.form]}, {point.concurrency} "
        f"concurrent: {rounds.rate:.1f}/s, p50 {rounds.percentile(0.5):.1f} ms, "
        f"p99 {rounds.percentile(0.99):.1f} ms, {spell_statuses(statuses)}",
        file=sys.stderr,
        flush=True,
    )


def check(contestant: Contestant, form: Form, answer: Answer, expected: InProcess) -> None:
    """Raises: PeerError if an answer is not the output in process."""
    if form == "tensor":
        logits = contestant.logits(answer)
        is_right = logits.shape == expected.logits.shape and _agree(logits, expected.logits)
    else:
        classes = contestant.classes(answer)
        is_right = tells(classes, expected.probabilities)
        if is_right and tells(classes, expected.mirrored):
            raise AssertionError("The check does not tell the workload's pictures apart.")
    if not is_right:
        raise PeerError(f"answers {FORMS[form]}s otherwise than the same network in process.")


def tells(classes: Classes, probabilities: Array) -> bool:
    """Whether these are the most probable classes, with their probabilities."""
    answered = np.array(classes.probabilities)
    best = np.sort(probabilities)[::-1][:BEST]
    there = probabilities[np.array(classes.indices, np.intp)]
    return answered.shape == best.shape and _agree(answered, best) and _agree(answered, there)


def _agree(values: Array, expected: Array) -> bool:
    return bool(np.abs(values - expected).max() <= AGREEMENT * np.abs(expected).max())
