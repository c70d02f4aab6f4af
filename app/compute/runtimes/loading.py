"""Brings a network into memory: picks the engine, and runs it once at each batch size."""

import ctypes
import gc
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.arrays import OUTPUT, Array
from app.compute.runtimes import Runtime
from app.model_state import Precision, RuntimeName
from app.settings import Settings, variable
from model_zoo import Trace, WeightLibrary, ZooError

log = logging.getLogger("app.worker")

# Larger batches gain nothing where a row takes this long already.
_LONGEST_WARM_UP_SECONDS = 0.5
_LANE_BATCH_SECONDS = 0.01
# Of the largest value of the output: how far two engines may be apart.
AGREEMENT = 1e-4


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network that is ready, and what was found while it became so."""

    traced: Trace
    runtime: Runtime
    facts: Mapping[str, Any]

    # As many batches as the runtime has lanes are computed at once.
    lanes: threading.Semaphore

    @property
    def most_rows(self) -> int:
        """The largest batch that it was run at."""
        rows: int = self.facts["warmed"][-1]["rows"]
        return rows


def load(
    traced: Trace,
    library: WeightLibrary,
    settings: Settings,
    *,
    device: str,
    engine: RuntimeName,
    precision: Precision,
    known: Mapping[str, Any] | None,
) -> Loaded:
    """Return a network that has computed at each of its batch sizes.

    `known` has what was found when it was loaded before.
    Raises: ZooError if it cannot be computed so here.
    """
    if precision == "bfloat16":
        check_bfloat16(device, engine)
    rows = sample(traced, _most_rows(traced, settings))
    if known is None:
        known = _compared(traced, library, settings, rows, device, engine, precision)
    before = _resident_bytes()
    runtime = _runtime(known["engine"], traced, library, settings, precision)
    warmed = _warm_up(runtime, rows)
    give_memory_back()
    least = traced.summary().totals["weight_bytes"]
    size = max(_resident_bytes() - before, least)
    facts = {
        **known,
        "precision": precision,
        "warmed": warmed,
        "size_bytes": size,
        "lanes": runtime.lanes,
        "batch_rows": _batch_rows(runtime, warmed[-1]["rows"]),
    }
    return Loaded(traced, runtime, facts, threading.Semaphore(runtime.lanes))


def _batch_rows(runtime: Runtime, most: int) -> int:
    """Return how many rows of several requests to compute at once.

    In a lane, more rows save nothing but messages: those are few enough beside a few milliseconds.
    """
    if runtime.lanes == 1 or not runtime.lane_seconds:
        return most
    return max(1, min(most, int(_LANE_BATCH_SECONDS / runtime.lane_seconds)))


def _compared(
    traced: Trace,
    library: WeightLibrary,
    settings: Settings,
    rows: Array,
    device: str,
    engine: RuntimeName,
    precision: Precision,
) -> dict[str, Any]:
    """Return the engine to use, the seconds a row of each takes, and how far two are apart."""
    names: Sequence[str] = [engine]
    if engine == "auto":
        either = device == "cpu" and precision == "float32" and not traced.spec.is_training
        names = ["onnxruntime", "tensorflow"] if either else ["tensorflow"]
    if precision == "bfloat16":  # measured against what it stands for
        runtimes = [
            _runtime("tensorflow", traced, library, settings, each)
            for each in (precision, "float32")
        ]
        outputs = [runtime.run(rows[:1], (OUTPUT,))[0] for runtime in runtimes]
        difference = relative_difference(*outputs)
        return {"engine": "tensorflow", "measured": {}, "difference": difference}
    if len(names) == 1:
        return {"engine": names[0], "measured": {}, "difference": None}
    measured, found = {}, {}
    for name in names:
        try:
            runtime = _runtime(name, traced, library, settings, precision)
        except ZooError:  # what has no form in ONNX is computed by TensorFlow
            continue
        found[name] = runtime.run(rows[:1], (OUTPUT,))[0]
        measured[name] = _seconds_per_row(runtime, rows)
        del runtime
        give_memory_back()
    if len(found) == 1:
        return {"engine": "tensorflow", "measured": measured, "difference": None}
    difference = relative_difference(found["onnxruntime"], found["tensorflow"])
    best = min(measured, key=lambda name: measured[name])
    if not difference <= AGREEMENT:
        best = "tensorflow"
        log.warning("Build %s: the engines differ by %.2g.", traced.spec.digest, difference)
    return {"engine": best, "measured": measured, "difference": difference}


def _most_rows(traced: Trace, settings: Settings) -> int:
    """Return the largest batch that is computed at once."""
    if traced.spec.is_training:
        return 1
    peak = max(1, traced.summary().totals["peak_activation_bytes"])
    most = min(settings.batch_rows, settings.max_batch, settings.max_activation_bytes // peak)
    return max(1, most)


def _runtime(
    name: str, traced: Trace, library: WeightLibrary, settings: Settings, precision: Precision
) -> Runtime:
    # Each is imported when it is first needed.
    if name == "onnxruntime":
        from app.compute.runtimes.onnx_runtime import OnnxRuntime

        return OnnxRuntime(traced, library)
    from app.compute.runtimes.keras_runtime import KerasRuntime

    return KerasRuntime(traced, library, precision, xla=settings.xla)


def sample(traced: Trace, rows: int) -> Array:
    """Return a batch of noise, the same every time."""
    shape = (rows, *traced.spec.input_shape)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def _warm_up(runtime: Runtime, rows: Array) -> list[dict[str, Any]]:
    """Run batches of doubling size twice each, and return the times of both."""
    warmed: list[dict[str, Any]] = []
    size = 1
    while True:
        first, second = (_seconds(runtime, rows[:size]) for _ in range(2))
        warmed.append({"rows": size, "seconds": second, "first_seconds": first})
        if size == len(rows) or second > _LONGEST_WARM_UP_SECONDS:
            return warmed
        size = min(2 * size, len(rows))


def _seconds_per_row(runtime: Runtime, rows: Array) -> float:
    """Return the mean of the time of one row by itself, and of one in the largest batch."""
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


def relative_difference(one: Array, other: Array) -> float:
    """Return the largest difference, in units of the largest value."""
    scale = max(float(np.abs(other).max(initial=0)), 1e-30)
    return float(np.abs(one - other).max(initial=0)) / scale


def check_bfloat16(device: str, engine: RuntimeName) -> None:
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
            "precision bfloat16 needs a CPU with avx512_bf16 or amx_bf16, which this one has not; "
            f"it would be slower than float32. Use float32 ({variable('precision')})."
        )


def give_memory_back() -> None:
    """Return what was freed to the system: Keras's objects form circles, and malloc keeps pages."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
