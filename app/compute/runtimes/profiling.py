"""The time of each layer of a network, measured by the engine that serves it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

from app.arrays import Array
from app.compute.runtimes import Runtime
from app.compute.runtimes.loading import check_bfloat16, give_memory_back, sample
from app.model_state import Precision, RuntimeName
from app.settings import Settings, variable
from model_zoo import Node, Trace, WeightLibrary, ZooError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class LayerTime:
    """The seconds of one layer; None if it is not computed for the output, or not seen apart.

    `kernels` are the engine's, where it names them; a layer without any may be computed in the
    kernel of another node.
    """

    seconds: float | None
    kernels: tuple[str, ...] = ()
    computed_with: Node | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of the layers, in the order of the summary; and each run of the whole network.

    `other` is what is no layer's, by the kind of kernel: how many there are, and their seconds.
    `call_seconds` is what each step of a layer takes besides computing, where that is much.
    """

    layers: Sequence[LayerTime]
    other: Mapping[str, tuple[int, float]]
    runs: int
    network: Sequence[float]
    call_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often to run, and until when; at least once in any case.

    Times are those of `time.monotonic`, which is one clock for all processes.
    """

    asked: int
    layers_until: float
    network_until: float

    def check(self) -> None:
        """Raises: ZooError if there is no time for any run."""
        if time.monotonic() > self.network_until:
            raise ZooError(
                "It took all the time that a request has to make the network ready "
                f"({variable('request_timeout_s')}); nothing was measured."
            )

    def layers(self, run: Callable[[], Result], at_most: int = 1_000_000) -> list[Result]:
        """Return the results of the runs in which layers are measured."""
        return _repeated(run, max(1, min(self.asked, at_most)), self.layers_until)

    def network(self, run: Callable[[], object]) -> list[float]:
        """Return the seconds of runs of the whole network."""
        return _repeated(lambda: _seconds(run), self.asked, self.network_until)


def _repeated(run: Callable[[], Result], times: int, until: float) -> list[Result]:
    found: list[Result] = []
    while len(found) < times:
        started = time.monotonic()
        found.append(run())
        now = time.monotonic()
        if now + (now - started) > until:  # where another run would end
            break
    return found


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def layers_of(traced: Trace, time_of: Callable[[Sequence[Node]], LayerTime]) -> list[LayerTime]:
    """Return the time of each layer, given that of the nodes in it that lead to the output."""
    graph = traced.graph
    needed = set(graph.nodes_before([graph.output]))
    layers = [[node for node in nodes if node in needed] for nodes in traced.layer_nodes()]
    return [time_of(nodes) if nodes else LayerTime(None) for nodes in layers]


def profile(
    traced: Trace,
    library: WeightLibrary,
    settings: Settings,
    *,
    device: str,
    engine: RuntimeName,
    precision: Precision,
    served: Runtime | None,
    rows: int,
    repeats: Repeats,
) -> dict[str, Any]:
    """Return what was measured, JSON-ready; `served` is the network as it is in memory, if it is.

    Raises: ZooError if it cannot be computed so here.
    """
    if precision == "bfloat16":
        check_bfloat16(device, engine)
    x = sample(traced, rows)
    name, measured = "tensorflow", None
    if engine == "onnxruntime" or (engine == "auto" and device == "cpu" and precision == "float32"):
        try:
            measured = _by_onnx(traced, library, x, repeats)
            name, device = "onnxruntime", "cpu"
        except ZooError:
            if engine != "auto":
                raise
    if measured is None:
        if served is not None and served.name != "tensorflow":
            served = None
        measured = _by_tensorflow(traced, library, settings, x, repeats, precision, served)
    give_memory_back()
    return {
        "engine": name,
        "precision": precision,
        "device": device,
        "runs": measured.runs,
        "layers": _documents(traced, measured.layers),
        "other": [
            {"kernel": kernel, "count": count, "seconds": seconds}
            for kernel, (count, seconds) in measured.other.items()
        ],
        "call_seconds": measured.call_seconds,
        "network_seconds": median(measured.network),
    }


def _by_onnx(traced: Trace, library: WeightLibrary, x: Array, repeats: Repeats) -> Measured:
    # Each engine is imported when it is first needed.
    from app.compute.runtimes.onnx_profile import profile_onnx

    return profile_onnx(traced, library, x, repeats)


def _by_tensorflow(
    traced: Trace,
    library: WeightLibrary,
    settings: Settings,
    x: Array,
    repeats: Repeats,
    precision: Precision,
    served: Runtime | None,
) -> Measured:
    from app.compute.runtimes.keras_profile import profile_keras
    from app.compute.runtimes.keras_runtime import KerasRuntime

    served = served or KerasRuntime(traced, library, precision, xla=settings.xla)
    return profile_keras(traced, library, x, repeats, precision=precision, served=served)


def _documents(traced: Trace, layers: Sequence[LayerTime]) -> list[dict[str, Any]]:
    names = {
        node: row.name
        for row, nodes in zip(traced.summary().rows, traced.layer_nodes(), strict=True)
        for node in nodes
    }
    return [
        {
            # Kernels are timed in microseconds; the sums of floats are not as round.
            "seconds": None if layer.seconds is None else round(layer.seconds, 9),
            "kernels": layer.kernels,
            "computed_with": layer.computed_with and names[layer.computed_with],
        }
        for layer in layers
    ]
