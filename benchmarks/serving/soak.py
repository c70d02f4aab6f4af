"""`make soak`: load, query and unload networks hundreds of times, and measure what grows.

Writes `benchmarks/soak.md`. The exit status is 1 if an answer changes, a process is replaced, or
files stay open.
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
from benchmarks.serving.exchange import Answer, ask, http_request
from benchmarks.serving.processes import Server, descriptors, resident_kib
from benchmarks.serving.report import machine
from benchmarks.serving.workload import Array, tensor

RESULTS = Path(__file__).parents[1] / "soak.md"
# Chains, branches and residuals, small and large, on the runtime that `auto` chooses or on
# TensorFlow, whose memory growth only a long run shows.
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


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process uses after a cycle."""

    kib: int
    descriptors: int


@dataclass(slots=True)
class Soak:
    """What each process used after each cycle, by its role."""

    warm_up: int
    cycles: list[Mapping[str, Usage]] = field(default_factory=list)
    seconds: float = 0.0
    changed: int = 0  # answers that differ from the model's first
    refused: list[str] = field(default_factory=list)
    replaced: int = 0

    def series(self, role: str) -> list[Usage]:
        """Return the usage of a process after each cycle, without the warm-up."""
        return [usage[role] for usage in self.cycles[self.warm_up :]]

    @property
    def files_stay_open(self) -> bool:
        """Whether a process has more files open at the end than after the warm-up."""
        series = [self.series(role) for role in self.cycles[-1]]
        turn = len(ARCHITECTURES)
        return any(
            min(usage.descriptors for usage in each[-turn:])
            > max(usage.descriptors for usage in each[:turn])
            for each in series
        )


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
    return int(bool(soak.changed or soak.refused or soak.replaced or soak.files_stay_open))


def run(server: Server, warm_up: int, cycles: int) -> Soak:
    """Load, query and unload one model after another."""
    models = [_named(server, *each) for each in ARCHITECTURES.items()]
    first: dict[str, Array] = {}
    soak = Soak(warm_up)
    processes = _processes(server)
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
        if _processes(server) != processes:
            soak.replaced += 1
            processes = _processes(server)
        soak.cycles.append({role: _usage(pid) for role, pid in processes.items()})
        if (number + 1) % _PROGRESS_EVERY == 0:
            sizes = ", ".join(f"{r} {use.kib // 1024} MiB" for r, use in soak.cycles[-1].items())
            print(f"{number + 1} cycles: {sizes}", file=sys.stderr, flush=True)
    soak.seconds = time.perf_counter() - began
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


def _processes(server: Server) -> dict[str, int]:
    return {role: pid for pid, role in service.roles(server).items()}


def _usage(pid: int) -> Usage:
    return Usage(resident_kib(pid), descriptors(pid))


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
    return Line(slope, math.sqrt(float(rest @ rest) / (count - 2) / spread))


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
        + ". KiB per cycle is the slope of the least-squares line through the cycles, with its "
        "standard error."
    )
    yield ""
    yield (
        "| process | MiB, first turn | last turn | KiB per cycle | open files, first turn | last |"
    )
    yield "|---|--:|--:|--:|--:|--:|"
    turn = len(ARCHITECTURES)
    for role in soak.cycles[-1]:
        series = soak.series(role)
        line = least_squares([usage.kib for usage in series])
        yield (
            f"| {role} | {_mean_mib(series[:turn])} | {_mean_mib(series[-turn:])} "
            f"| {line.slope:+.2f} ± {line.error:.2f} | {_files(series[:turn])} "
            f"| {_files(series[-turn:])} |"
        )
    yield ""
    yield (
        f"Answers that differ from the model's first: {soak.changed}. Processes replaced: "
        f"{soak.replaced}. Requests rejected: {len(soak.refused)}."
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
