"""The time of each layer on ONNX Runtime, by its own profiler."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from app.arrays import OUTPUT, Array
from app.compute.worker.runtimes.kernels import Kernel, Placement, number_nodes, place
from app.compute.worker.runtimes.layer_times import Repeats, layer_seconds
from app.compute.worker.runtimes.onnx_runtime import CORES, lowered
from app.compute.worker.runtimes.onnx_sessions import SharedWeights, open_session
from app.tasks import KernelSeconds, LayerSeconds, MeasuredProfile
from model_zoo import Node, Trace, WeightLibrary

# The profiler keeps a kilobyte of each in memory until it writes the file.
_MAX_EVENTS = 50_000
_SUFFIX = "_kernel_time"


@dataclass(frozen=True, slots=True)
class _Event:
    kernel: Kernel
    seconds: float


def profile_onnx(
    traced: Trace, library: WeightLibrary, rows: Array, repeats: Repeats
) -> MeasuredProfile:
    """Return the time of each layer for a batch that all cores compute.

    Raises: ZooError if the network has no form in ONNX.
    """
    model, beside = lowered(traced, library, (OUTPUT,))
    numbered = number_nodes(model, traced.graph)
    optimized = SharedWeights().optimize(model, beside)
    del model, beside
    with tempfile.TemporaryDirectory(prefix="zoo-profile-") as folder:
        session = open_session(optimized, CORES, profile_prefix=str(Path(folder) / "profile"))

        def run() -> None:
            session.run([OUTPUT], {"input": rows})

        repeats.check()
        run()  # the first run allocates memory, and does not count
        made = len(repeats.layers(run, at_most=_MAX_EVENTS // max(1, len(numbered))))
        runs = list(_runs(Path(session.end_profiling())))[-made:]
    network = repeats.network(run)  # without the profiler
    kernels = [event.kernel for event in runs[0]]
    seconds = [median(each) for each in zip(*(map(_seconds, run) for run in runs), strict=True)]
    placement = place(traced.graph, numbered, kernels)
    return MeasuredProfile(
        engine="onnxruntime",
        precision="float32",
        device="cpu",
        runs=made,
        layers=_layers(traced, placement, kernels, seconds),
        other=_other(placement, kernels, seconds),
        network_seconds=median(network),
    )


def _seconds(event: _Event) -> float:
    return event.seconds


def _runs(path: Path) -> Iterator[Sequence[_Event]]:
    """Yield the kernels of each run, in the order of execution."""
    events: list[_Event] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:  # of a list, one object each
            if not line.startswith("{"):
                continue
            event = json.loads(line.rstrip().removesuffix(","))
            if event["cat"] == "Node" and event["name"].endswith(_SUFFIX):
                name = event["name"].removesuffix(_SUFFIX)
                events.append(_Event(Kernel(name, event["args"]["op_name"]), event["dur"] / 1e6))
            elif event["name"] == "model_run":
                yield events
                events = []


def _layers(
    traced: Trace, placement: Placement, kernels: Sequence[Kernel], seconds: Sequence[float]
) -> tuple[LayerSeconds, ...]:
    names = {
        node: row.name
        for row, nodes in zip(traced.summary().rows, traced.layer_nodes(), strict=True)
        for node in nodes
    }
    own: dict[Node, list[int]] = {}
    for index, node in enumerate(placement.nodes):
        if node is not None:
            own.setdefault(node, []).append(index)

    def seconds_of(nodes: Sequence[Node]) -> LayerSeconds:
        indices = sorted(index for node in nodes for index in own.get(node, ()))
        if indices:
            ops = tuple(dict.fromkeys(kernels[index].op for index in indices))
            # Kernels are timed in microseconds; the sums of floats are not as round.
            return LayerSeconds(round(sum(seconds[index] for index in indices), 9), ops)
        hosts = [
            placement.kernels[node.output] for node in nodes if node.output in placement.kernels
        ]
        host = placement.nodes[hosts[-1]] if hosts else None
        if any(node.multiply_adds for node in nodes):
            return LayerSeconds(None)  # the name of its kernel does not tell
        return LayerSeconds(0.0, computed_with=names[host] if host else None)

    return layer_seconds(traced, seconds_of)


def _other(
    placement: Placement, kernels: Sequence[Kernel], seconds: Sequence[float]
) -> tuple[KernelSeconds, ...]:
    """Return the kernels of no layer, by their kind."""
    other: dict[str, list[float]] = {}
    for node, kernel, each in zip(placement.nodes, kernels, seconds, strict=True):
        if node is None:
            other.setdefault(kernel.op, []).append(each)
    return tuple(KernelSeconds(op, len(times), sum(times)) for op, times in other.items())
