"""The time of each layer of a network, measured by the engine that serves it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from app.arrays import Array
from app.compute.worker.runtimes import Runtime
from app.compute.worker.runtimes.loading import check_bfloat16, give_memory_back, sample
from app.engine import DeviceName, Precision, RuntimeName
from app.settings import Settings, variable
from app.tasks import KernelSeconds, LayerSeconds, MeasuredProfile
from model_zoo import Node, Trace, WeightLibrary, ZooError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class LayerTime:
    """See `LayerSeconds`; the layer may be computed in the kernel of another node."""

    seconds: float | None
    kernels: tuple[str, ...] = ()
    computed_with: Node | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of the layers, in the order of the summary, and each run of the whole network.

    `other` are the kernels of no layer, by their kind. For `call_seconds` see `MeasuredProfile`.
    """

    layers: Sequence[LayerTime]
    other: Sequence[KernelSeconds]
    runs: int
    network: Sequence[float]
    call_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often to run, and until when; at least once.

    Times are those of `time.monotonic`, which is one clock for all processes.
    """

    runs: int
    layers_until: float
    network_until: float

    def check(self) -> None:
        """Raises: ZooError if there is no time for any run."""
        if time.monotonic() > self.network_until:
            raise ZooError(
                "Nothing was measured: loading the network took all the time of a request "
                f"({variable('request_timeout_s')})."
            )

    def layers(self, run: Callable[[], Result], at_most: int = 1_000_000) -> list[Result]:
        """Return the results of the runs in which layers are measured."""
        return _repeated(run, max(1, min(self.runs, at_most)), self.layers_until)

    def network(self, run: Callable[[], object]) -> list[float]:
        """Return the seconds of runs of the whole network."""
        return _repeated(lambda: _seconds(run), self.runs, self.network_until)


def _repeated(run: Callable[[], Result], times: int, until: float) -> list[Result]:
    results: list[Result] = []
    while len(results) < times:
        started = time.monotonic()
        results.append(run())
        now = time.monotonic()
        if now + (now - started) > until:  # when another run would end
            break
    return results


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def layers_of(traced: Trace, time_of: Callable[[Sequence[Node]], LayerTime]) -> list[LayerTime]:
    """Return the time of each layer, given that of its nodes that lead to the output."""
    graph = traced.graph
    needed = set(graph.nodes_before([graph.output]))
    layers = [[node for node in nodes if node in needed] for nodes in traced.layer_nodes()]
    return [time_of(nodes) if nodes else LayerTime(None) for nodes in layers]


def profile(
    traced: Trace,
    library: WeightLibrary,
    settings: Settings,
    *,
    device: DeviceName,
    engine: RuntimeName,
    precision: Precision,
    loaded: Runtime | None,
    rows: int,
    repeats: Repeats,
) -> MeasuredProfile:
    """Return the profile of a network; `loaded` is its runtime, if it is in memory.

    Raises: ZooError if it cannot be computed so here.
    """
    if precision == "bfloat16":
        check_bfloat16(device, engine)
    x = sample(traced, rows)
    name: RuntimeName = "tensorflow"
    measured = None
    if engine == "onnxruntime" or (engine == "auto" and device == "cpu" and precision == "float32"):
        try:
            measured = _by_onnx(traced, library, x, repeats)
            name, device = "onnxruntime", "cpu"
        except ZooError:
            if engine != "auto":
                raise
    if measured is None:
        if loaded is not None and loaded.name != "tensorflow":
            loaded = None
        measured = _by_tensorflow(traced, library, settings, x, repeats, precision, loaded)
    give_memory_back()
    return MeasuredProfile(
        engine=name,
        precision=precision,
        device=device,
        runs=measured.runs,
        layers=_named(traced, measured.layers),
        other=tuple(measured.other),
        call_seconds=measured.call_seconds,
        network_seconds=median(measured.network),
    )


def _by_onnx(traced: Trace, library: WeightLibrary, x: Array, repeats: Repeats) -> Measured:
    # Each engine is imported when it is first needed.
    from app.compute.worker.runtimes.onnx_profile import profile_onnx

    return profile_onnx(traced, library, x, repeats)


def _by_tensorflow(
    traced: Trace,
    library: WeightLibrary,
    settings: Settings,
    x: Array,
    repeats: Repeats,
    precision: Precision,
    loaded: Runtime | None,
) -> Measured:
    from app.compute.worker.runtimes.keras_profile import profile_keras
    from app.compute.worker.runtimes.keras_runtime import KerasRuntime

    runtime = loaded or KerasRuntime(traced, library, precision, xla=settings.xla)
    return profile_keras(traced, library, x, repeats, precision=precision, runtime=runtime)


def _named(traced: Trace, layers: Sequence[LayerTime]) -> tuple[LayerSeconds, ...]:
    """Return the times of layers, with names in the place of nodes."""
    names = {
        node: row.name
        for row, nodes in zip(traced.summary().rows, traced.layer_nodes(), strict=True)
        for node in nodes
    }
    return tuple(
        LayerSeconds(
            # Kernels are timed in microseconds; the sums of floats are not as round.
            None if layer.seconds is None else round(layer.seconds, 9),
            layer.kernels,
            None if layer.computed_with is None else names[layer.computed_with],
        )
        for layer in layers
    )
