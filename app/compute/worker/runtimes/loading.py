"""Loads a network into memory, then runs it at each batch size."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.arrays import OUTPUT, Array, relative_difference
from app.compute.worker.lanes import Lanes
from app.compute.worker.runtimes import Runtime
from app.compute.worker.runtimes.int8 import check_int8, compare
from app.compute.worker.runtimes.memory import give_memory_back, resident_bytes, trim
from app.engine import DeviceName, ModelState, Precision, RuntimeName
from app.settings import Settings, variable
from model_zoo import Trace, WeightLibrary, ZooError

# If a batch takes this long, larger ones gain nothing.
_LONGEST_WARM_UP_SECONDS = 0.5
_LANE_BATCH_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network that is ready to compute, and what was measured when it was loaded."""

    traced: Trace
    runtime: Runtime
    state: ModelState
    # As many batches as the runtime has lanes are computed at once.
    lanes: Lanes

    # The rows of a batch change each other's outputs, so they must be computed together.
    uses_batch_statistics: bool

    def parts(self, rows: Array) -> Iterator[Array]:
        """Yield the rows as they are computed: in batches as large as it was run at."""
        step = len(rows) if self.uses_batch_statistics else max(self.state.warmed, default=1)
        for start in range(0, len(rows), step):
            yield rows[start : start + step]


def load(
    traced: Trace,
    library: WeightLibrary,
    settings: Settings,
    *,
    device: DeviceName,
    engine: RuntimeName,
    precision: Precision,
    known: ModelState | None,
    calibration: Sequence[Array] | None = None,
) -> LoadedModel:
    """Return a network that can compute: one row at a time, until it is warmed up.

    `known` is the state of an earlier load, if there was one. `calibration` has the rows for
    precision int8.
    Raises: ZooError if it cannot be computed so here.
    """
    if precision == "bfloat16":
        check_bfloat16(device, engine)
    if precision == "int8":
        check_int8(device)
    rows = sample(traced, _most_rows(traced, settings))

    def make(name: RuntimeName, precision: Precision = precision) -> Runtime:
        return make_runtime(name, traced, library, settings, precision, calibration)

    choice = known or _choice(make, traced, rows, engine, precision)
    # The size is this network's: not that of the engine, nor less for what others give back.
    runtime_class(choice.engine or engine)
    give_memory_back()
    before = resident_bytes()
    runtime = make(choice.engine or engine)
    give_memory_back()
    least = traced.summary().totals["weight_bytes"]
    if precision == "int8":
        least //= 4
    size = max(resident_bytes() - before, least)
    if calibration is not None and choice.quantization is None:
        quantization, difference = compare(
            runtime,
            make("onnxruntime", "float32"),
            calibration,
            most_rows=len(rows),
            has_classes=traced.classes is not None,
            seconds_per_row=_seconds_per_row,
        )
        choice = replace(choice, quantization=quantization, difference=difference)
        give_memory_back()
    state = replace(
        choice,
        state="ready",
        size_bytes=size,
        precision=precision,
        warmed=(),
        lanes=runtime.lanes,
        batch_rows=1,
    )
    uses_batch_statistics = bool(traced.graph.batch_statistics_nodes)
    lanes = Lanes(runtime.lanes)
    return LoadedModel(traced, runtime, state, lanes, uses_batch_statistics)


def warm_up(model: LoadedModel, settings: Settings) -> LoadedModel:
    """Return the network as it computes best, which it is measured for; it may compute meanwhile.

    It has computed at each of its batch sizes then, and its size counts the memory for that.
    """
    give_memory_back()
    before = resident_bytes()
    runtime = model.runtime
    runtime.choose_lanes()
    warmed = _run_each_size(runtime, sample(model.traced, _most_rows(model.traced, settings)))
    trim()
    state = replace(
        model.state,
        size_bytes=model.state.size_bytes + max(0, resident_bytes() - before),
        warmed=warmed,
        lanes=runtime.lanes,
        batch_rows=_batch_rows(runtime, warmed[-1]),
    )
    return replace(model, state=state, lanes=Lanes(runtime.lanes))


def _batch_rows(runtime: Runtime, most: int) -> int:
    """Return how many rows of several requests to compute at once.

    In a lane, more rows save only messages, which cost little beside a few milliseconds.
    """
    if runtime.lanes == 1 or not runtime.lane_seconds:
        return most
    return max(1, min(most, int(_LANE_BATCH_SECONDS / runtime.lane_seconds)))


def _choice(
    make: Callable[..., Runtime],
    traced: Trace,
    rows: Array,
    engine: RuntimeName,
    precision: Precision,
) -> ModelState:
    """Return a state with the engine, and with what bfloat16 changes."""
    if precision == "bfloat16":  # compared with what it replaces
        runtimes = [make("tensorflow", each) for each in ("bfloat16", "float32")]
        outputs = [_compared(runtime, traced, rows) for runtime in runtimes]
        difference = relative_difference(*outputs)
        return ModelState("loading", engine="tensorflow", difference=difference)
    return ModelState("loading", engine=engine)


def measure(model: LoadedModel, settings: Settings) -> tuple[float, Array]:
    """Return the seconds that a row takes, and outputs to compare with another engine's."""
    rows = sample(model.traced, _most_rows(model.traced, settings))
    output = _compared(model.runtime, model.traced, rows)
    return _seconds_per_row(model.runtime, rows), output


def _compared(runtime: Runtime, traced: Trace, rows: Array) -> Array:
    # Statistics of a single row would hide how the engines compute them.
    compared = rows if traced.graph.batch_statistics_nodes else rows[:1]
    return runtime.run(compared, (OUTPUT,))[0]


def _most_rows(traced: Trace, settings: Settings) -> int:
    """Return the largest batch that is computed at once."""
    peak = max(1, traced.summary().totals["peak_activation_bytes"])
    most = min(settings.batch_rows, settings.max_batch, settings.max_activation_bytes // peak)
    return max(1, most)


def make_runtime(
    name: RuntimeName,
    traced: Trace,
    library: WeightLibrary,
    settings: Settings,
    precision: Precision,
    calibration: Sequence[Array] | None = None,
) -> Runtime:
    """Return a network on one of the engines.

    `calibration` has the rows for precision int8, and those that are held out.
    """
    if precision == "int8":
        return runtime_class(name)(traced, library, precision, calibration, xla=settings.xla)
    return runtime_class(name)(traced, library, precision, xla=settings.xla)


def runtime_class(name: RuntimeName) -> Callable[..., Runtime]:
    """Return the class of an engine, which is imported when it is first needed."""
    if name == "onnxruntime":
        from app.compute.worker.runtimes.onnx_runtime import OnnxRuntime

        return lambda traced, library, precision, calibration=None, *, xla: OnnxRuntime(
            traced, library, calibration
        )
    from app.compute.worker.runtimes.keras_runtime import KerasRuntime

    return KerasRuntime


def sample(traced: Trace, rows: int) -> Array:
    """Return a batch of noise, the same every time."""
    shape = (rows, *traced.spec.input_shape)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def _run_each_size(runtime: Runtime, rows: Array) -> tuple[int, ...]:
    """Run batches of doubling size twice each; return the sizes."""
    warmed: list[int] = []
    size = 1
    while True:
        _, second = (_seconds(runtime, rows[:size]) for _ in range(2))
        warmed.append(size)
        if size == len(rows) or second > _LONGEST_WARM_UP_SECONDS:
            return tuple(warmed)
        size = min(2 * size, len(rows))


def _seconds_per_row(runtime: Runtime, rows: Array) -> float:
    """Return the mean of the time of a row alone, and of a row in the largest batch."""
    alone = min(_seconds(runtime, rows[:1]) for _ in range(2))
    count = len(rows)
    while count > 1 and count * alone > _LONGEST_WARM_UP_SECONDS:
        count //= 2
    together = min(_seconds(runtime, rows[:count]) for _ in range(2)) / count
    return (alone + together) / 2


def _seconds(runtime: Runtime, rows: Array) -> float:
    started = time.perf_counter()
    runtime.run(rows, (OUTPUT,))
    return time.perf_counter() - started


def check_bfloat16(device: DeviceName, engine: RuntimeName) -> None:
    """Raises: ZooError if bfloat16 cannot be computed fast here."""
    if engine == "onnxruntime":
        raise ZooError(
            "precision bfloat16 needs the engine tensorflow; ONNX Runtime computes float32."
        )
    if device == "gpu":
        import tensorflow as tf

        gpu = tf.config.list_physical_devices("GPU")[0]
        capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
        if capability is None or tuple(capability) >= (8, 0):
            return
        raise ZooError(
            f"precision bfloat16 needs a GPU of compute capability 8.0; this one has "
            f"{'.'.join(map(str, capability))}. Use float32."
        )
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    if not ({"avx512_bf16", "amx_bf16", "bf16"} & set(flags.split())):
        raise ZooError(
            "precision bfloat16 needs a CPU with avx512_bf16 or amx_bf16; this one has neither, so "
            f"it would be slower than float32. Use float32 ({variable('precision')})."
        )
