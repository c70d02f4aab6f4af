"""`make soak`: networks come into memory, answer and leave, hundreds of times; does anything grow?

Writes `benchmarks/soak.md`; the status is 1 if an answer changes, a process is replaced, or files
stay open.
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
# Chains, branches and residuals, small and large, and by which engine each is run: what `auto`
# chooses, or TensorFlow, whose memory nothing but time shows.
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
# Of the largest value: how far an answer may be from the first one of the same model.
_AGREEMENT = 1e-4
_TOLD_EVERY = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """A process after a cycle."""

    kib: int
    descriptors: int


@dataclass(slots=True)
class Soak:
    """What was seen, cycle by cycle, of each process by what it does."""

    warm_up: int
    cycles: list[Mapping[str, Seen]] = field(default_factory=list)
    seconds: float = 0.0
    changed: int = 0  # answers that were not the model's first one
    refused: list[str] = field(default_factory=list)
    replaced: int = 0

    def series(self, role: str) -> list[Seen]:
        """Return a process after the warm-up."""
        return [seen[role] for seen in self.cycles[self.warm_up :]]

    @property
    def files_stay_open(self) -> bool:
        """Whether a process has more files open at the end than after the warm-up."""
        series = [self.series(role) for role in self.cycles[-1]]
        turn = len(ARCHITECTURES)
        return any(
            min(seen.descriptors for seen in each[-turn:])
            > max(seen.descriptors for seen in each[:turn])
            for each in series
        )


@dataclass(frozen=True, slots=True)
class Model:
    """A named model, and how it is asked."""

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
    """Load, ask and unload one model after the other."""
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
            found = service.numbers_of(answer)
            expected = first.setdefault(model.name, found)
            soak.changed += not _agree(found, expected)
        else:
            soak.refused.append(_refusal(model, "infer", answer))
        if _processes(server) != processes:
            soak.replaced += 1
            processes = _processes(server)
        soak.cycles.append({role: _look(pid) for role, pid in processes.items()})
        if (number + 1) % _TOLD_EVERY == 0:
            told = ", ".join(f"{r} {seen.kib // 1024} MiB" for r, seen in soak.cycles[-1].items())
            print(f"{number + 1} cycles: {told}", file=sys.stderr, flush=True)
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


def _look(pid: int) -> Seen:
    return Seen(resident_kib(pid), descriptors(pid))


def _agree(found: Array, expected: Array) -> bool:
    if found.shape != expected.shape:
        return False
    return bool(np.abs(found - expected).max() <= _AGREEMENT * np.abs(expected).max())


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through values at 0, 1, 2, ...: its slope, and that one's standard error."""

    slope: float
    error: float


def least_squares(values: Sequence[float]) -> Line:
    """Return the line that is closest to the values.

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
    yield "# Loaded and unloaded, again and again"
    yield ""
    yield (
        f"Written by `make soak`: {measured} cycles after {soak.warm_up} to warm up, "
        f"{soak.seconds / len(soak.cycles):.2f} s each, on {machine()}. A cycle loads a model, "
        "asks it for one row and unloads it, by the Open Inference Protocol; then the memory of "
        "each process is read. The models take turns: "
        + ", ".join(f"{name} ({engine})" for name, engine in ARCHITECTURES.items())
        + ". The slope is that of the least-squares line through the cycles."
    )
    yield ""
    yield "| process | MiB, first turn | last turn | KiB a cycle | open files, first turn | last |"
    yield "|---|--:|--:|--:|--:|--:|"
    turn = len(ARCHITECTURES)
    for role in soak.cycles[-1]:
        series = soak.series(role)
        line = least_squares([seen.kib for seen in series])
        yield (
            f"| {role} | {_mean_mib(series[:turn])} | {_mean_mib(series[-turn:])} "
            f"| {line.slope:+.2f} ± {line.error:.2f} | {_files(series[:turn])} "
            f"| {_files(series[-turn:])} |"
        )
    yield ""
    yield (
        f"Answers that differed from the model's first: {soak.changed}. Processes replaced: "
        f"{soak.replaced}. Requests refused: {len(soak.refused)}."
    )
    for refusal in soak.refused[:10]:
        yield f"- {refusal}"


def _mean_mib(series: Sequence[Seen]) -> str:
    return f"{np.mean([seen.kib for seen in series]) / 1024:.1f}"


def _files(series: Sequence[Seen]) -> str:
    counts = [seen.descriptors for seen in series]
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


if __name__ == "__main__":
    sys.exit(main())
