"""The time of each layer of a network, measured by the engine that serves it."""

from collections.abc import Sequence
from statistics import median

from app.arrays import Array
from app.compute.worker.runtimes import Runtime
from app.compute.worker.runtimes.layer_times import LayerTime, Measured, Repeats
from app.compute.worker.runtimes.loading import check_bfloat16, give_memory_back, sample
from app.engine import DeviceName, Precision, RuntimeName
from app.settings import Settings
from app.tasks import LayerSeconds, MeasuredProfile
from model_zoo import Trace, WeightLibrary, ZooError


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
