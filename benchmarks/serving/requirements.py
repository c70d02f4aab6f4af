"""The requirements on this service, and whether a run meets them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.serving.cold_start import ColdStart
from benchmarks.serving.compare import Plan, Point, Result
from benchmarks.serving.in_process import InProcess
from benchmarks.serving.workload import FORMS, TITLES

# A binary request, sent alone, may take this many times as long as the call in process.
LATENCY = {"mobilenet_v1": 1.35, "resnet_v1_50": 1.15}
# The share of the peak in process that this many concurrent requests must reach.
PEAK, PEAK_CONCURRENCY = 0.9, 8


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
        """The others' results."""
        return dict(list(self.results.items())[1:])

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
    return [*_fastest(run), *_single(run), *_peak(run), *_cold(run), *_complete(run)]


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
        measured = (
            f"{rates:.2f} times the requests/s of {next_rate}; {next_p99}'s p99 is "
            f"{slower:.2f} times ours; {ours.errors} errors"
        )
        yield Requirement(text, measured, rates > 1 and slower > 1 and not ours.errors)


def _single(run: Run) -> Iterator[Requirement]:
    for point in run.points:
        if point.form == "tensor" and point.concurrency == 1 and point.network in LATENCY:
            limit = LATENCY[point.network]
            text = f"{_spell(point)}: p50 at most {limit} times the call in process"
            ours = run.ours.points.get(point)
            if ours is None:
                yield Requirement(text, "not measured", False)
                continue
            ratio = ours.percentile(0.5) / run.single_ms(point)
            yield Requirement(text, f"{ratio:.2f} times", ratio <= limit)


def _peak(run: Run) -> Iterator[Requirement]:
    for point in run.points:
        if point.concurrency == PEAK_CONCURRENCY:
            text = f"{_spell(point)}: at least {PEAK:.0%} of the peak in process"
            ours = run.ours.points.get(point)
            if ours is None:
                yield Requirement(text, "not measured", False)
                continue
            share = ours.rate / run.peak_rate(point)
            yield Requirement(text, f"{share:.0%}", share >= PEAK)


def _cold(run: Run) -> Iterator[Requirement]:
    if run.cold_start is not None:
        cold = run.cold_start
        yield Requirement(
            "Cold start: builds and summaries are answered before the worker is ready",
            f"after {cold.summary_s:.2f} s; the worker is ready after {cold.ready_s:.2f} s",
            cold.before_ready,
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
