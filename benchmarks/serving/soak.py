"""`make soak`: load, query and unload networks hundreds of times, and measure what grows.

Writes `benchmarks/soak.md`. The exit status is 1 if an answer changes, a process ends by itself,
files stay open, or the memory of a process grows.
"""

import argparse
import itertools
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.serving import service
from benchmarks.serving.environments import PeerError
from benchmarks.serving.exchange import Answer, ask, http_request
from benchmarks.serving.processes import Server, descriptors, resident_kib
from benchmarks.serving.report import machine
from benchmarks.serving.workload import Array, tensor

RESULTS = Path(__file__).parents[1] / "soak.md"
# Chains, branches and residuals, small and large, on the runtime that `auto` chooses or on
# TensorFlow, whose memory grows with each network, so that its process is replaced now and then.
ARCHITECTURES: Mapping[str, str] = {
    "lenet": "auto",
    "mobilenet_v1_025": "tensorflow",
    "cifarnet": "auto",
    "mobilenet_v2_035": "auto",
    "inception_v1": "tensorflow",
    "mobilenet_v3_small": "auto",
    "mobilenet_v1": "auto",
    "resnet_v1_50": "auto",
    "mobilenet_edgetpu_075": "tensorflow",
    "mobilenet_v1_075": "auto",
}
# An answer may differ from the model's first by this share of the largest value.
_AGREEMENT = 1e-4
_PROGRESS_EVERY = 50
# A slope is 0 within its error if it is less than this many standard errors away.
_ERRORS = 2.0
_MOST_ALIKE = 0.95


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of a role use after a cycle."""

    kib: int
    descriptors: int


@dataclass(slots=True)
class Soak:
    """What the processes of each role used after each cycle; some come and go."""

    warm_up: int
    cycles: list[Mapping[str, Usage]] = field(default_factory=list)
    seconds: float = 0.0
    changed: int = 0  # answers that differ from the model's first
    refused: list[str] = field(default_factory=list)
    restarts: int = 0  # of processes that ended by themselves
    successors: int = 0  # of processes that the service replaced or started again

    @property
    def roles(self) -> list[str]:
        """The roles of the processes that were there after some cycle."""
        return list(dict.fromkeys(role for cycle in self.cycles for role in cycle))

    def series(self, role: str) -> list[Usage]:
        """Return the usage of a role after each cycle, without the warm-up."""
        return [usage[role] for usage in self.cycles[self.warm_up :] if role in usage]

    def slope(self, role: str) -> "Line":
        """Return how many KiB a role grows in a cycle."""
        turn = len(ARCHITECTURES)
        kib = [usage.kib for usage in self.series(role)]
        means = [
            float(np.mean(kib[start : start + turn]))
            for start in range(0, len(kib) - turn + 1, turn)
        ]
        line = least_squares(means)
        return Line(line.slope / turn, line.error / turn)

    @property
    def growing(self) -> list[str]:
        """The roles whose memory grows, or shrinks, by more than the error of the slope."""
        lines = {role: self.slope(role) for role in self.roles}
        return [role for role, line in lines.items() if abs(line.slope) > _ERRORS * line.error]

    @property
    def files_stay_open(self) -> bool:
        """Whether a process has more files open at the end than after the warm-up."""
        series = [self.series(role) for role in self.roles]
        turn = len(ARCHITECTURES)
        return any(
            min(usage.descriptors for usage in each[-turn:])
            > max(usage.descriptors for usage in each[:turn])
            for each in series
            if each
        )

    @property
    def holds(self) -> bool:
        """Whether all requirements are met."""
        bad = self.changed or self.refused or self.restarts or self.files_stay_open or self.growing
        return not bad


@dataclass(frozen=True, slots=True)
class Model:
    """A named model, and the request to it."""

    name: str
    request: bytes


def main() -> int:
    """Run the cycles and return the exit status."""
    parser = argparse.ArgumentParser(prog="make soak ARGS=...", description=__doc__)
    parser.add_argument("--cycles", type=int, default=500, help="after the warm-up (default 500)")
    parser.add_argument("--warm-up", type=int, default=50, help="cycles before (default 50)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    with service.started_service() as server:
        service.await_ready(server)
        soak = run(server, chosen.warm_up, chosen.warm_up + chosen.cycles)
    page = "\n".join(_page(soak)) + "\n"
    print(page)
    chosen.output.write_text(page, encoding="utf-8")
    return int(not soak.holds)


def run(server: Server, warm_up: int, cycles: int) -> Soak:
    """Load, query and unload one model after another."""
    models = [_named(server, *each) for each in ARCHITECTURES.items()]
    first: dict[str, Array] = {}
    soak = Soak(warm_up)
    seen = service.roles(server)
    began = time.perf_counter()
    for number, model in zip(range(cycles), itertools.cycle(models), strict=False):
        _repository(server, model, "load", soak)
        answer = ask(server.address, model.request)
        _repository(server, model, "unload", soak)
        if answer.status == 200:
            numbers = service.numbers_of(answer)
            expected = first.setdefault(model.name, numbers)
            soak.changed += not _agree(numbers, expected)
        else:
            soak.refused.append(_refusal(model, "infer", answer))
        processes = service.roles(server)
        soak.cycles.append(_usages(processes))
        soak.successors += len(
            [pid for pid, role in processes.items() if pid not in seen and role in seen.values()]
        )
        seen |= processes
        if (number + 1) % _PROGRESS_EVERY == 0:
            sizes = ", ".join(f"{r} {use.kib / 1024:.2f} MiB" for r, use in soak.cycles[-1].items())
            print(f"{number + 1} cycles: {sizes}", file=sys.stderr, flush=True)
    soak.seconds = time.perf_counter() - began
    soak.restarts = service.get_json(server, "/healthz")["worker"]["restarts"]
    return soak


def _named(server: Server, architecture: str, engine: str) -> Model:
    build = service.make_build(server, {"architecture": architecture})
    shape = service.get_json(server, f"/v1/builds/{build}")["input_shape"]
    service.send_json(
        server, "PUT", f"/v1/models/{architecture}", {"build": build, "engine": engine}
    )
    return Model(architecture, service.infer_request(architecture, tensor(tuple(shape))))


def _repository(server: Server, model: Model, verb: str, soak: Soak) -> None:
    path = f"/v2/repository/models/{model.name}/{verb}"
    answer = ask(server.address, http_request("POST", path), timeout_s=600)
    if answer.status != 200:
        soak.refused.append(_refusal(model, verb, answer))


def _refusal(model: Model, verb: str, answer: Answer) -> str:
    return f"{verb} of {model.name}: {answer.status or 'none'} {answer.body[:200]!r}"


def _usages(processes: Mapping[int, str]) -> dict[str, Usage]:
    usages: dict[str, Usage] = {}
    for pid, role in processes.items():
        try:
            kib, files = resident_kib(pid), descriptors(pid)
        except (FileNotFoundError, ProcessLookupError, PeerError):  # it rests since
            continue
        before = usages.get(role, Usage(0, 0))
        usages[role] = Usage(before.kib + kib, before.descriptors + files)
    return usages


def _agree(numbers: Array, expected: Array) -> bool:
    if numbers.shape != expected.shape:
        return False
    return bool(np.abs(numbers - expected).max() <= _AGREEMENT * np.abs(expected).max())


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through values at 0, 1, 2, ...: its slope and the slope's standard error."""

    slope: float
    error: float


def least_squares(values: Sequence[float]) -> Line:
    """Return the least-squares line through the values.

    Neighbours are alike, as memory that is taken stays so for a while: so the error is that of as
    many independent values as the correlation of neighbours leaves.

    >>> least_squares([1, 3, 5, 7])
    Line(slope=2.0, error=0.0)
    """
    count = len(values)
    if count < 3:
        return Line(math.nan, math.nan)
    x = np.arange(count) - (count - 1) / 2
    y = np.asarray(values, np.float64) - np.mean(values)
    spread = float(x @ x)
    slope = float(x @ y) / spread
    rest = y - slope * x
    error = math.sqrt(float(rest @ rest) / (count - 2) / spread)
    alike = float(rest[1:] @ rest[:-1]) / float(rest @ rest) if error else 0.0
    alike = min(max(alike, 0.0), _MOST_ALIKE)
    return Line(slope, error * math.sqrt((1 + alike) / (1 - alike)))


def _page(soak: Soak) -> Iterator[str]:
    measured = len(soak.cycles) - soak.warm_up
    yield "# Soak"
    yield ""
    yield (
        f"`make soak` writes this page. It ran {measured} cycles after {soak.warm_up} to warm up, "
        f"{soak.seconds / len(soak.cycles):.2f} s each, on {machine()}. A cycle loads a model, "
        "sends it one row and unloads it, in the Open Inference Protocol; then it reads the memory "
        "of each process. The models take turns: "
        + ", ".join(f"{name} ({engine})" for name, engine in ARCHITECTURES.items())
        + ". KiB per cycle is the slope of the least-squares line through the means of the turns, "
        "with its standard error, which takes into account how alike neighbours are. It must be 0 "
        f"within {_ERRORS:g} standard errors. TensorFlow's process is replaced after a number of "
        "networks."
    )
    yield ""
    yield (
        "| process | MiB, first turn | last turn | KiB per cycle | 0 within its error "
        "| open files, first turn | last |"
    )
    yield "|---|--:|--:|--:|---|--:|--:|"
    turn = len(ARCHITECTURES)
    for role in soak.roles:
        series = soak.series(role)
        if not series:
            continue
        line = soak.slope(role)
        yield (
            f"| {role} | {_mean_mib(series[:turn])} | {_mean_mib(series[-turn:])} "
            f"| {line.slope:+.2f} ± {line.error:.2f} | {'no' if role in soak.growing else 'yes'} "
            f"| {_files(series[:turn])} | {_files(series[-turn:])} |"
        )
    yield ""
    yield (
        f"Answers that differ from the model's first: {soak.changed}. Processes that ended by "
        f"themselves: {soak.restarts}. Processes that the service replaced or started again: "
        f"{soak.successors}. Requests rejected: {len(soak.refused)}."
    )
    for refusal in soak.refused[:10]:
        yield f"- {refusal}"


def _mean_mib(series: Sequence[Usage]) -> str:
    return f"{np.mean([usage.kib for usage in series]) / 1024:.1f}"


def _files(series: Sequence[Usage]) -> str:
    counts = [usage.descriptors for usage in series]
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


if __name__ == "__main__":
    sys.exit(main())
