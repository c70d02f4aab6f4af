"""What became of the requests under overload, and whether that is what is required."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.serving.closed_loop import Measured, percentile
from benchmarks.serving.open_loop import Outcome
from benchmarks.serving.report import machine
from benchmarks.serving.requirements import Requirement

# Answers that tell a client to come back later.
_LATER = (429, 503)


@dataclass(frozen=True, slots=True)
class Overloaded:
    """The first phase: what was possible, and what came of more."""

    capacity: Measured
    rate: float
    outcome: Outcome
    health: Outcome

    @property
    def kept(self) -> float:
        """What share of the capacity was still answered, while requests came in."""
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
        # Polling sees readiness a little late; to load the network takes much longer than that.
        since = self.at_s + self.ready_s - 0.1
        ends = (due + ms / 1e3 for due, status, ms in self.outcome.answers if status == 200)
        return min((end for end in ends if end > since), default=math.nan) - self.at_s


def verdicts(overloaded: Overloaded, killed: Killed) -> list[Requirement]:
    """Return what is required, and whether it holds."""
    others = _others(overloaded.outcome)
    health = overloaded.health
    return [
        Requirement(
            "Overload: every request is answered with 200, or with 429 or 503",
            f"{others} otherwise, {_unanswered(overloaded.outcome)} not",
            not others and not _unanswered(overloaded.outcome),
        ),
        Requirement(
            "Overload: health is answered, every time",
            f"{health.statuses[200]} of {health.due}",
            health.statuses[200] == health.due,
        ),
        Requirement(
            "Worker killed: nothing hangs, every request is answered",
            f"{_unanswered(killed.outcome)} not",
            not _unanswered(killed.outcome),
        ),
        Requirement(
            "Worker killed: the service is ready again by itself",
            f"after {killed.ready_s:.1f} s; a request is computed again after "
            f"{killed.first_answer_s:.1f} s",
            killed.afterwards == 200,
        ),
        Requirement(
            "Worker killed: every build and upload that was acknowledged is there",
            f"{len(killed.lost)} of {sum(killed.acknowledged.values())} lost",
            not killed.lost and all(killed.acknowledged.values()),
        ),
    ]


def page(what: str, overloaded: Overloaded, killed: Killed, found: Iterable[Requirement]) -> str:
    """Return the whole page."""
    return "\n".join(_lines(what, overloaded, killed, found)) + "\n"


def _lines(
    what: str, overloaded: Overloaded, killed: Killed, found: Iterable[Requirement]
) -> Iterator[str]:
    yield "# Overloaded"
    yield ""
    yield (
        f"Written by `make overload` on {machine()}: {what}, sent when they are due, whether or "
        "not others are answered; the client shares the cores. Latencies count from when a request "
        "was due."
    )
    yield ""
    yield "| required | measured | holds |"
    yield "|---|---|---|"
    for each in found:
        yield f"| {each.text} | {each.measured} | {'yes' if each.holds else '**no**'} |"
    yield ""
    capacity, outcome = overloaded.capacity, overloaded.outcome
    yield f"## {overloaded.rate / capacity.rate:.0f} times the capacity, {outcome.seconds:g} s"
    yield ""
    yield (
        f"The capacity is {capacity.rate:.1f} requests/s (8 at once, p99 "
        f"{capacity.percentile(0.99):.0f} ms). Of {overloaded.rate:.0f} requests/s, "
        f"{overloaded.kept * capacity.rate:.1f} were computed each second, "
        f"{overloaded.kept:.2f} of the capacity. `GET /healthz`, every 100 ms beside it, took "
        f"{_spell(overloaded.health.latencies_ms(200))} ms (p50, p99, longest)."
    )
    yield ""
    yield from _answers(outcome)
    yield ""
    yield f"## The worker killed, at {killed.rate / capacity.rate:.0f} times the capacity"
    yield ""
    written = ", ".join(f"{count} {kind}" for kind, count in killed.acknowledged.items())
    yield (
        f"SIGKILL {killed.at_s:.0f} s after the load of {killed.rate:.0f} requests/s began. Ready "
        f"again {killed.ready_s:.1f} s later; the first request was computed "
        f"{killed.first_answer_s:.1f} s after the kill. Acknowledged meanwhile: "
        f"{written}; refused: {len(killed.refused)}; lost: {len(killed.lost)}."
    )
    yield ""
    yield from _answers(killed.outcome)
    for text in [*killed.refused[:5], *killed.lost[:5]]:
        yield f"- {' '.join(text.split())[:200]}"


def _answers(outcome: Outcome) -> Iterator[str]:
    yield "| answer | requests | p50, p99 and longest ms |"
    yield "|---|--:|---|"
    for status in (200, *_LATER):
        yield f"| {status} | {outcome.statuses[status]} | {_spell(outcome.latencies_ms(status))} |"
    yield f"| other | {_others(outcome)} | |"
    yield f"| none: closed | {outcome.statuses[0]} | |"
    yield f"| none within the timeout | {outcome.unanswered} | |"
    yield ""
    yield (
        f"Connections open at once: {outcome.most_open}; the client was late by at most "
        f"{outcome.late_ms:.0f} ms."
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
