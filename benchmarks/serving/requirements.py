"""The requirements on this service, and whether a run meets them."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.serving.cold_start import ColdStart
from benchmarks.serving.compare import Plan, Point, Result, Rounds
from benchmarks.serving.contestants import BARE_TITLES
from benchmarks.serving.in_process import InProcess
from benchmarks.serving.workload import FORMS, TITLES

# Of the least server's p50, at one request at once; and of its requests per second, at several.
LATENCY = {"mobilenet_v1": 1.15, "resnet_v1_50": 1.05}
RATE = {"mobilenet_v1": 0.92, "resnet_v1_50": 0.97}
RATE_CONCURRENCY = 8
# Of a cold start on two cores: seconds after the start of the process, and megabytes.
READY_S = 2.0
ANSWER_S = 3.5
LARGE_ANSWER_S = 10.0
MEMORY_MB = 350.0


@dataclass(frozen=True, slots=True)
class Run:
    """The measurements of one run. This service is the first of the results."""

    plan: Plan
    in_process: Mapping[str, InProcess]
    again: Mapping[str, InProcess]  # after the servers, the fastest ways only
    results: Mapping[str, Result]  # by the server's title
    cold_start: ColdStart | None

    @property
    def ours(self) -> Result:
        """This service's result."""
        return next(iter(self.results.values()))

    @property
    def peers(self) -> Mapping[str, Result]:
        """The others' results, without those of the least server."""
        others = list(self.results.items())[1:]
        return {title: result for title, result in others if title not in BARE_TITLES}

    def bare(self, point: Point) -> Mapping[str, Rounds]:
        """Return the measurements of the least server, by its title in each mode."""
        return {
            title: result.points[point]
            for title, result in self.results.items()
            if title in BARE_TITLES and point in result.points
        }

    @property
    def points(self) -> list[Point]:
        """The planned points of comparison."""
        return [
            Point(network, form, concurrency)
            for network in self.plan.networks
            for form in self.plan.forms
            for concurrency in self.plan.concurrencies
        ]

    def single_ms(self, point: Point) -> float:
        """Return the latency of a call in process, the better of before and after."""
        passes = (self.in_process[point.network], self.again[point.network])
        return min(each.single(point.form).p50_ms for each in passes)

    def peak_rate(self, point: Point) -> float:
        """Return the most rows per second in process, the better of before and after."""
        passes = (self.in_process[point.network], self.again[point.network])
        return max(each.rates[each.fastest(point.form)[0]] for each in passes)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A requirement, its measurement, and whether it is met."""

    text: str
    measured: str
    holds: bool


def requirements(run: Run) -> list[Requirement]:
    """Return the requirements that the run's plan covers."""
    cold = cold_start_requirements(run.cold_start) if run.cold_start else ()
    return [*_fastest(run), *_near_bare(run), *cold, *_complete(run)]


def _fastest(run: Run) -> Iterator[Requirement]:
    for point in run.points:
        ours = run.ours.points.get(point)
        peers = {
            name: each.points[point] for name, each in run.peers.items() if point in each.points
        }
        text = f"{_spell(point)}: most requests/s, lowest p99, no errors"
        if ours is None or not peers:
            yield Requirement(text, "not measured", False)
            continue
        next_rate = max(peers, key=lambda name: peers[name].rate)
        next_p99 = min(peers, key=lambda name: peers[name].percentile(0.99))
        rates = ours.rate / peers[next_rate].rate if peers[next_rate].rate else float("inf")
        slower = peers[next_p99].percentile(0.99) / ours.percentile(0.99)
        leads = _leads(ours.rates, peers[next_rate].rates)
        keeps = _leads(peers[next_p99].percentiles(0.99), ours.percentiles(0.99))
        measured = (
            f"{rates:.2f} times the requests/s of {next_rate}{_tied(rates, leads)}; {next_p99}'s "
            f"p99 is {slower:.2f} times ours{_tied(slower, keeps)}; {ours.errors} errors"
        )
        yield Requirement(text, measured, leads and keeps and not ours.errors)


def _leads(larger: Sequence[float], smaller: Sequence[float]) -> bool:
    """Whether the first is larger in the median, or is so in some round: then they are tied."""
    return statistics.median(larger) > statistics.median(smaller) or max(larger) > min(smaller)


def _tied(ratio: float, leads: bool) -> str:
    return " (a tie: the rounds overlap)" if leads and ratio <= 1 else ""


def _near_bare(run: Run) -> Iterator[Requirement]:
    for point in run.points:
        bare, ours = run.bare(point), run.ours.points.get(point)
        if point.concurrency == 1:
            limit = LATENCY[point.network]
            text = f"{_spell(point)}: p50 at most {limit} times the best bare server's"
        elif point.concurrency == RATE_CONCURRENCY:
            limit = RATE[point.network]
            text = f"{_spell(point)}: at least {limit} times the best bare server's requests/s"
        else:
            continue
        if ours is None or not bare:
            yield Requirement(text, "not measured", False)
        elif point.concurrency == 1:
            best = min(bare, key=lambda title: bare[title].percentile(0.5))
            ratio = ours.percentile(0.5) / bare[best].percentile(0.5)
            yield Requirement(text, f"{ratio:.2f} times that of {best}", ratio <= limit)
        else:
            best = max(bare, key=lambda title: bare[title].rate)
            ratio = ours.rate / bare[best].rate
            yield Requirement(text, f"{ratio:.2f} times those of {best}", ratio >= limit)


def cold_start_requirements(cold: ColdStart) -> Iterator[Requirement]:
    """Yield the requirements on a cold start."""
    yield Requirement(
        "Cold start: builds and summaries are answered before the worker is ready",
        f"after {cold.summary_s:.2f} s; the worker is ready after {cold.ready_s:.2f} s",
        cold.before_ready,
    )
    for what, measured, most in (
        ("ready", cold.ready_s, READY_S),
        ("the first answer of MobileNet v1", cold.answer_s, ANSWER_S),
        ("the first answer of VGG-16", cold.large_answer_s, LARGE_ANSWER_S),
    ):
        text = f"Cold start: {what} at most {most:g} s after the process starts"
        yield Requirement(text, f"{measured:.2f} s", measured <= most)
    yield Requirement(
        f"Memory of all processes with MobileNet v1 loaded and answering: at most {MEMORY_MB:g} MB",
        f"{cold.memory_mb:.0f} MB (PSS)",
        cold.memory_mb <= MEMORY_MB,
    )


def _complete(run: Run) -> Iterator[Requirement]:
    failures = [failure for each in run.results.values() for failure in each.failures]
    yield Requirement(
        "Every server was measured, and its answers equal those in process",
        "; ".join(" ".join(failure.split())[:200] for failure in failures) or "yes",
        not failures,
    )


def _spell(point: Point) -> str:
    return f"{TITLES[point.network]}, {FORMS[point.form]}, {point.concurrency} concurrent"
