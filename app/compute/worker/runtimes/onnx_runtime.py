"""A network on ONNX Runtime, for CPUs: batch norms are folded into the convolutions before them.

A row alone uses all cores. Several rows may be computed side by side, each on one or a few cores: a
lane. Lanes do not wait for each other at every layer. Which way is faster depends on the network,
and is measured; until then, there are no lanes.
"""

import itertools
import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort

from app.arrays import OUTPUT, Array
from app.compute.cores import cores
from app.compute.worker.runtimes import tensors_of
from app.compute.worker.runtimes.onnx_sessions import OptimizedModel, SharedWeights, open_session
from app.compute.worker.runtimes.programs import Programs
from app.engine import RuntimeName
from model_zoo import Trace, WeightLibrary, build_weights, onnx_model

CORES = cores()
# Each lane holds the activations of a row.
_LANES = min(CORES, 4)
_THREADS = ThreadPoolExecutor(_LANES, "lane")
# How long a row may take in a lane, in units of its time in a batch on all cores. Both are measured
# undisturbed. Under load, the API takes turns on the cores, and such a batch waits for the slowest
# at each layer: mobilenet_v1, equal undisturbed, answers 1.3 times as many requests in lanes then.
_LANES_SHARE = 1.1
# The measurement ends after so many turns, or after these seconds.
_TURNS = 20
_MEASURED_SECONDS = 0.3

Lanes = queue.SimpleQueue[ort.InferenceSession]  # the free ones


@dataclass(slots=True)
class _Program:
    outputs: tuple[str, ...]
    model: OptimizedModel
    wide: ort.InferenceSession  # all cores for one batch
    lanes: Lanes | None = None


class OnnxRuntime:
    """See `Runtime`."""

    name: RuntimeName = "onnxruntime"

    def __init__(
        self, traced: Trace, library: WeightLibrary, calibration: Sequence[Array] | None = None
    ) -> None:
        """Compute in float32, or in int8 that rows calibrate, each program for itself.

        Raises: ZooError if the network has no form in ONNX, or nothing to quantize.
        """
        self._traced = traced
        self._library = library
        self._calibration = calibration
        self._weights = SharedWeights()
        self.lanes = 1
        self.lane_seconds = 0.0
        self._programs: Programs[_Program] = Programs(self._make)
        self._opening = threading.Lock()

    def _make(self, outputs: tuple[str, ...]) -> _Program:
        model = self._weights.optimize(*self._lowered(outputs))
        return _Program(outputs, model, open_session(model, CORES))

    def _lowered(self, outputs: tuple[str, ...]) -> tuple[onnx.ModelProto, dict[str, Array]]:
        model, beside = lowered(self._traced, self._library, outputs)
        if self._calibration is None:
            return model, beside
        # Imported when it is needed, as it is seldom.
        from app.compute.worker.runtimes.int8 import calibrating
        from app.compute.worker.runtimes.onnx_int8 import quantized

        return quantized(model, beside, calibrating(self._calibration)), {}

    def choose_lanes(self) -> None:
        """See `Runtime.choose_lanes`."""
        # Lanes would divide the rows over which batch statistics are taken.
        if _LANES == 1 or self._traced.graph.batch_statistics_nodes:
            return
        program = self._programs.get((OUTPUT,))
        # One for each lane: more would leave the memory of a larger batch with the session.
        rows = np.zeros((_LANES, *self._traced.spec.input_shape), np.float32)
        together, self.lane_seconds = _shortest(
            lambda: _run(program.wide, program, rows), lambda: self._run_apart(program, rows)
        )
        if self.lane_seconds < _LANES_SHARE * together:
            self.lanes = _LANES
        else:
            program.lanes = None

    def _lanes_of(self, program: _Program) -> Lanes:
        """Return the lanes of a program, opened now if they are not yet."""
        with self._opening:
            if program.lanes is None:
                program.lanes = _open_lanes(program.model)
            return program.lanes

    def run(self, rows: Array, outputs: Sequence[str], *, is_alone: bool = True) -> list[Array]:
        """See `Runtime.run`."""
        program = self._programs.get(outputs)
        if self.lanes == 1:
            return _run(program.wide, program, rows)
        if not is_alone:
            return self._run_in_lane(program, rows)
        whole = len(rows) - len(rows) % self.lanes
        parts = [self._run_apart(program, rows[:whole])] if whole else []
        if whole < len(rows):
            parts.append(_run(program.wide, program, rows[whole:]))
        return _joined(parts)

    def _run_apart(self, program: _Program, rows: Array) -> list[Array]:
        """Compute the rows one by one; a free lane takes the next one."""
        ahead = itertools.count()
        by_row: list[list[Array]] = [[] for _ in rows]

        def work() -> None:
            while (index := next(ahead)) < len(rows):
                by_row[index] = self._run_in_lane(program, rows[index : index + 1])

        others = [_THREADS.submit(work) for _ in range(_LANES - 1)]
        work()
        for other in others:
            other.result()
        return _joined(by_row)

    def _run_in_lane(self, program: _Program, rows: Array) -> list[Array]:
        lanes = self._lanes_of(program)
        session = lanes.get()
        try:
            return _run(session, program, rows)
        finally:
            lanes.put(session)


def lowered(
    traced: Trace, library: WeightLibrary, outputs: Sequence[str]
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Return an ONNX model for some outputs, and its large weights, which stay outside of it.

    Raises: ZooError if the network has no form in ONNX.
    """
    beside: dict[str, Array] = {}
    weights = build_weights(traced, library)
    tensors = tensors_of(traced, outputs)
    return onnx_model(traced.graph, weights, outputs=tensors, beside=beside), beside


def _joined(parts: Sequence[list[Array]]) -> list[Array]:
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _open_lanes(model: OptimizedModel) -> Lanes:
    lanes = Lanes()
    threads = CORES // _LANES
    # A session of one thread computes in its caller's thread, so that lanes can share it.
    shared = open_session(model, 1) if threads == 1 else None
    for _ in range(_LANES):
        lanes.put(shared or open_session(model, threads))
    return lanes


def _run(session: ort.InferenceSession, program: _Program, rows: Array) -> list[Array]:
    arrays: list[Array] = session.run(list(program.outputs), {"input": rows})
    return arrays


def _shortest(*ways: Callable[[], object]) -> list[float]:
    """Return the shortest time of each way; they take turns, so that none has a busy moment alone.

    A first run, which allocates memory, does not count.
    """
    for way in ways:
        way()
    began = time.perf_counter()
    shortest = [math.inf for _ in ways]
    for _ in range(_TURNS):
        for index, way in enumerate(ways):
            started = time.perf_counter()
            way()
            shortest[index] = min(shortest[index], time.perf_counter() - started)
        if time.perf_counter() - began > _MEASURED_SECONDS:
            break
    return shortest
