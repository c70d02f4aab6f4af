"""The same work without a server: decode, preprocess and run in one process.

The worker's own engine, and ONNX Runtime and TensorFlow as a program of one's own would call them.
"""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import model_zoo
from benchmarks.serving.closed_loop import percentile
from benchmarks.serving.workload import BEST, FORMS, NETWORKS, Array, Form, picture, tensor
from model_zoo.weights.restore import NoLibrary

CORES = len(os.sched_getaffinity(0))
WORKER, ONNX, TENSORFLOW = "the worker's engine", "ONNX Runtime", "TensorFlow"
_TURNS, _THREADS = "batches in turn", f"{CORES} threads, a core each"
# What a measurement has at least, however slow the network is.
_MIN_CALLS = 2

Run = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to run a network on many rows."""

    form: Form
    engine: str
    split: str
    batch: int

    def __str__(self) -> str:
        return f"{self.engine}, {self.split}, of {self.batch}"


def _all_ways() -> tuple[Way, ...]:
    return tuple(
        Way(form, engine, split, batch)
        for form in FORMS
        for engine, split, batches in (
            (WORKER, _TURNS, (1, 2, 4, 8, 16)),
            (ONNX, _TURNS, (1, 2, 4, 8, 16)),
            (ONNX, _THREADS, (1, 4, 8)),
            (TENSORFLOW, _TURNS, (1, 8)),
        )
        for batch in batches
    )


@dataclass(frozen=True, slots=True)
class Task:
    """What to measure, and for about how long each."""

    network: str
    seconds: float
    ways: tuple[Way, ...] = _all_ways()


@dataclass(frozen=True, slots=True)
class Single:
    """One call after the other, one row each."""

    form: Form
    engine: str
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class InProcess:
    """What was measured, and the outputs that a server has to give."""

    worker_engine: str
    singles: tuple[Single, ...]
    rates: Mapping[Way, float]  # rows per second
    logits: Array  # of the tensor
    probabilities: Array  # of the picture
    mirrored: Array  # of another picture, which a server must not give

    def single(self, form: Form) -> Single:
        """Return the faster engine's calls."""
        return min((s for s in self.singles if s.form == form), key=lambda s: s.p50_ms)

    def fastest(self, form: Form) -> list[Way]:
        """Return the ways, the fastest first."""
        ways = [way for way in self.rates if way.form == form]
        return sorted(ways, key=self.rates.__getitem__, reverse=True)


def measure(task: Task) -> InProcess:
    """Measure a network; call it by `apart`, in a process of its own."""
    traced = model_zoo.trace(model_zoo.BuildSpec.read(NETWORKS[task.network]))
    engines, work = _Engines(traced), _Work(traced)
    singles = tuple(
        _single(form, engine, work.calls(form, engines.wide[engine]), 2 * task.seconds)
        for form in FORMS
        for engine in (WORKER, ONNX, TENSORFLOW)
    )
    rates = {way: _way_rate(way, work, engines, task.seconds) for way in task.ways}
    reference = engines.wide[TENSORFLOW]
    pictured = (
        model_zoo.class_probabilities(reference(work.row(data)[np.newaxis]))[0]
        for data in (picture(), picture(mirrored=True))
    )
    return InProcess(engines.worker, singles, rates, reference(work.rows)[0], *pictured)


class _Engines:
    """The ways to run a network: on all cores, or on one."""

    def __init__(self, traced: model_zoo.Trace) -> None:
        # Imported here: this module is also read where only its classes are needed.
        from app.arrays import OUTPUT
        from app.compute.worker.runtimes.loading import load
        from app.settings import Settings

        loaded = load(
            traced,
            NoLibrary(),
            Settings(),
            device="cpu",
            engine="auto",
            precision="float32",
            known=None,
        )
        self.worker: str = loaded.state.engine
        weights = model_zoo.build_weights(traced, NoLibrary())
        self._file = model_zoo.onnx_model(traced.graph, weights).SerializeToString()
        self.wide: Mapping[str, Run] = {
            WORKER: lambda rows: loaded.runtime.run(rows, (OUTPUT,))[0].reshape(len(rows), -1),
            ONNX: self._session(CORES),
            TENSORFLOW: _tensorflow(traced),
        }
        self.narrow = self._session(1)

    def _session(self, threads: int) -> Run:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        providers = ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(self._file, options, providers=providers)
        return lambda rows: session.run(None, {"input": rows})[0].reshape(len(rows), -1)


def _tensorflow(traced: model_zoo.Trace) -> Run:
    import tensorflow as tf

    model = model_zoo.materialize(traced).keras_model
    shape = [None, *traced.spec.input_shape]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
    def run(rows: Any) -> Any:
        return model(rows, training=False)

    return lambda rows: np.asarray(run(rows)).reshape(len(rows), -1)


class _Work:
    """From what a request carries to what an answer tells, but for the network."""

    def __init__(self, traced: model_zoo.Trace) -> None:
        self._name = traced.architecture.preprocessing
        self._shape = traced.spec.input_shape
        self.rows = tensor(self._shape)
        self._data = self.rows.tobytes()
        self._picture = picture()

    def row(self, data: bytes) -> Array:
        """Return a picture as a row."""
        return model_zoo.preprocess(self._name, model_zoo.decode_image(data), self._shape)

    def calls(self, form: Form, run: Run, batch: int = 1) -> Callable[[], None]:
        """Return what does the work of so many requests."""

        def tensors() -> None:
            parts = [np.frombuffer(self._data, np.float32) for _ in range(batch)]
            rows = parts[0] if batch == 1 else np.concatenate(parts)
            for logits in run(rows.reshape(batch, *self._shape)):
                logits.tobytes()

        def pictures() -> None:
            rows = np.stack([self.row(self._picture) for _ in range(batch)])
            for probabilities in model_zoo.class_probabilities(run(rows)):
                model_zoo.top_classes(probabilities, BEST)

        return tensors if form == "tensor" else pictures


def _single(form: Form, engine: str, call: Callable[[], None], seconds: float) -> Single:
    call()
    call()
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while len(times) < _MIN_CALLS or time.perf_counter() < ends:
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e3)
    return Single(form, engine, percentile(times, 0.5), percentile(times, 0.99))


def _way_rate(way: Way, work: _Work, engines: _Engines, seconds: float) -> float:
    if way.split == _THREADS:
        calls = work.calls(way.form, engines.narrow, way.batch)
        return _rate(calls, seconds, CORES) * way.batch
    return _rate(work.calls(way.form, engines.wide[way.engine], way.batch), seconds, 1) * way.batch


def _rate(call: Callable[[], None], seconds: float, threads: int) -> float:
    """Return calls per second, of several threads that call at once."""
    call()
    ends = time.perf_counter() + seconds

    def work(_: int) -> float:
        started, count = time.perf_counter(), 0
        while count < _MIN_CALLS or time.perf_counter() < ends:
            call()
            count += 1
        return count / (time.perf_counter() - started)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads)))
