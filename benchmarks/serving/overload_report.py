"""The page about overload: how requests were answered, and which requirements are met."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.serving.closed_loop import Measured, percentile
from benchmarks.serving.open_loop import Outcome
from benchmarks.serving.report import machine, requirement_rows
from benchmarks.serving.requirements import Requirement

# Answers that tell a client to try again later.
_LATER = (429, 503)


@dataclass(frozen=True, slots=True)
class Overloaded:
    """The first phase: the capacity, and the outcome of a multiple of it."""

    capacity: Measured
    rate: float
    outcome: Outcome
    health: Outcome

    @property
    def kept(self) -> float:
        """The share of the capacity that was still served while requests came in."""
        return (
            self.outcome.done_within(self.outcome.seconds)
            / self.outcome.seconds
            / (self.capacity.rate)
        )


@dataclass(frozen=True, slots=True)
class Killed:
    """The second phase: the worker was killed `at_s` seconds after the load began."""

    outcome: Outcome
    rate: float
    at_s: float
    ready_s: float  # after the kill
    acknowledged: Mapping[str, int]
    refused: Sequence[str]
    lost: Sequence[str]
    afterwards: int  # the status of one more request

    @property
    def first_answer_s(self) -> float:
        """Seconds from the kill to the first 200 of the next worker."""
        # Polling sees readiness a little late; loading the network takes much longer than that.
        since = self.at_s + self.ready_s - 0.1
        ends = (due + ms / 1e3 for due, status, ms in self.outcome.answers if status == 200)
        return min((end for end in ends if end > since), default=math.nan) - self.at_s


def verdicts(overloaded: Overloaded, killed: Killed) -> list[Requirement]:
    """Return the requirements, and whether they are met."""
    others = _others(overloaded.outcome)
    health = overloaded.health
    return [
        Requirement(
            "Overload: every request gets 200, 429 or 503",
            f"{others} other answers, {_unanswered(overloaded.outcome)} unanswered",
            not others and not _unanswered(overloaded.outcome),
        ),
        Requirement(
            "Overload: every health check is answered",
            f"{health.statuses[200]} of {health.due}",
            health.statuses[200] == health.due,
        ),
        Requirement(
            "Worker killed: every request is answered",
            f"{_unanswered(killed.outcome)} unanswered",
            not _unanswered(killed.outcome),
        ),
        Requirement(
            "Worker killed: the service recovers by itself",
            f"ready after {killed.ready_s:.1f} s; the first result comes after "
            f"{killed.first_answer_s:.1f} s",
            killed.afterwards == 200,
        ),
        Requirement(
            "Worker killed: no acknowledged build or upload is lost",
            f"{len(killed.lost)} of {sum(killed.acknowledged.values())} lost",
            not killed.lost and all(killed.acknowledged.values()),
        ),
    ]


def page(
    workload: str, overloaded: Overloaded, killed: Killed, checked: Iterable[Requirement]
) -> str:
    """Return the whole page."""
    return "\n".join(_lines(workload, overloaded, killed, checked)) + "\n"


def _lines(
    workload: str, overloaded: Overloaded, killed: Killed, checked: Iterable[Requirement]
) -> Iterator[str]:
    yield "# Overload"
    yield ""
    yield (
        f"`make overload` writes this page. It ran on {machine()}, with {workload}. The client "
        "sends each request when it is due, whether or not earlier ones are answered, and shares "
        "the cores. Latencies count from when a request is due."
    )
    yield ""
    yield from requirement_rows(checked)
    yield ""
    capacity, outcome = overloaded.capacity, overloaded.outcome
    yield f"## {overloaded.rate / capacity.rate:.0f} times the capacity, {outcome.seconds:g} s"
    yield ""
    yield (
        f"The capacity is {capacity.rate:.1f} requests/s (8 concurrent, p99 "
        f"{capacity.percentile(0.99):.0f} ms). At {overloaded.rate:.0f} requests/s, the service "
        f"computed {overloaded.kept * capacity.rate:.1f} each second, {overloaded.kept:.0%} of its "
        "capacity. `GET /healthz`, sent every 100 ms meanwhile, took "
        f"{_spell(overloaded.health.latencies_ms(200))} ms (p50, p99, maximum)."
    )
    yield ""
    yield from _answers(outcome)
    yield ""
    yield f"## Worker killed at {killed.rate / capacity.rate:.0f} times the capacity"
    yield ""
    written = ", ".join(f"{count} {kind}" for kind, count in killed.acknowledged.items())
    yield (
        f"The worker got SIGKILL {killed.at_s:.0f} s after the load of {killed.rate:.0f} "
        f"requests/s began. The service was ready {killed.ready_s:.1f} s after the kill, and the "
        f"first result came after {killed.first_answer_s:.1f} s. Acknowledged meanwhile: "
        f"{written}; rejected: {len(killed.refused)}; lost: {len(killed.lost)}."
    )
    yield ""
    yield from _answers(killed.outcome)
    for text in [*killed.refused[:5], *killed.lost[:5]]:
        yield f"- {' '.join(text.split())[:200]}"


def _answers(outcome: Outcome) -> Iterator[str]:
    yield "| answer | requests | p50, p99 and maximum ms |"
    yield "|---|--:|---|"
    for status in (200, *_LATER):
        yield f"| {status} | {outcome.statuses[status]} | {_spell(outcome.latencies_ms(status))} |"
    yield f"| other | {_others(outcome)} | |"
    yield f"| connection closed | {outcome.statuses[0]} | |"
    yield f"| timeout | {outcome.unanswered} | |"
    yield ""
    yield (
        f"At most {outcome.most_open} connections were open. The client was at most "
        f"{outcome.late_ms:.0f} ms late."
    )


def _others(outcome: Outcome) -> int:
    return sum(n for status, n in outcome.statuses.items() if status not in (0, 200, *_LATER))


def _unanswered(outcome: Outcome) -> int:
    return outcome.statuses[0] + outcome.unanswered


def _spell(latencies: Sequence[float]) -> str:
    if not latencies:
        return "-"
    values = (percentile(latencies, 0.5), percentile(latencies, 0.99), max(latencies))
    return " / ".join(f"{value:.0f}" for value in values)
