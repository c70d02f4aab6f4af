"""One server with one network: its answers are checked, then it is measured at every point."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.serving.apart import apart
from benchmarks.serving.closed_loop import Load, Measured, run, spell_statuses
from benchmarks.serving.contestants import Classes, Contestant
from benchmarks.serving.environments import PeerError
from benchmarks.serving.exchange import Answer
from benchmarks.serving.in_process import InProcess
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
    seconds: float
    warm_up_s: float


@dataclass(frozen=True, slots=True)
class Point:
    """A point of comparison: a network, a form of request, and how many are concurrent."""

    network: str
    form: Form
    concurrency: int


@dataclass(slots=True)
class Result:
    """The measurements of a server by point, and its failures."""

    points: dict[Point, Measured] = field(default_factory=dict)
    first_answer_s: dict[str, float] = field(default_factory=dict)  # by network
    failures: list[str] = field(default_factory=list)


def compare(
    contestant: Contestant, network: str, expected: InProcess, plan: Plan, result: Result
) -> None:
    """Measure a server with a network, and add measurements and failures to the result."""
    try:
        with contestant.running(network) as server:
            for form in plan.forms:
                request = contestant.request(server, network, form)
                answer = await_answer(server, request)
                result.first_answer_s.setdefault(network, time.perf_counter() - server.started)
                check(contestant, form, answer, expected)
                for concurrency in plan.concurrencies:
                    load = Load(server.port, request, concurrency, plan.warm_up_s, plan.seconds)
                    measured = apart(run, load)
                    result.points[Point(network, form, concurrency)] = measured
                    print(
                        f"{contestant.title}, {network}, {FORMS[form]}, {concurrency} concurrent: "
                        f"{measured.rate:.1f}/s, p50 {measured.percentile(0.5):.1f} ms, "
                        f"p99 {measured.percentile(0.99):.1f} ms, "
                        f"{spell_statuses(measured.statuses)}",
                        file=sys.stderr,
                        flush=True,
                    )
    except (PeerError, OSError, TimeoutError) as error:
        result.failures.append(f"{contestant.title} with {network}: {error}")
        print(result.failures[-1], file=sys.stderr, flush=True)


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
