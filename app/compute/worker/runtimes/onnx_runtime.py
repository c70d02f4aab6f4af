"""A network on ONNX Runtime, for CPUs: batch norms are folded into the convolutions before them.

A row alone uses all cores. Several rows may be computed side by side, each on one or a few cores: a
lane. Lanes do not wait for each other at every layer. Which way is faster depends on the network,
and is measured.
"""

import itertools
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort

from app.arrays import Array
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
# Lanes must be faster than this share of the time, to be worth the memory of their activations.
_LANES_SHARE = 0.97


@dataclass(slots=True)
class _Program:
    outputs: tuple[str, ...]
    model: OptimizedModel
    wide: ort.InferenceSession  # all cores for one batch
    # The free ones; none if there is one lane.
    lanes: "queue.SimpleQueue[ort.InferenceSession]"


class OnnxRuntime:
    """See `Runtime`."""

    name: RuntimeName = "onnxruntime"

    def __init__(self, traced: Trace, library: WeightLibrary) -> None:
        """Raises: ZooError if the network has no form in ONNX."""
        self._traced = traced
        self._library = library
        self._weights = SharedWeights()
        # Decided by the first program, which is for the network's own output. Lanes would divide
        # the rows over which batch statistics are taken.
        self.lanes = 1 if traced.graph.batch_statistics_nodes else _LANES
        self.lane_seconds = 0.0
        self._programs: Programs[_Program] = Programs(self._make)

    def _make(self, outputs: tuple[str, ...]) -> _Program:
        model = self._weights.optimize(*lowered(self._traced, self._library, outputs))
        program = _Program(outputs, model, open_session(model, CORES), queue.SimpleQueue())
        if self.lanes > 1:
            self._open_lanes(program)
        if self.lanes > 1 and not self.lane_seconds and not self._are_lanes_faster(program):
            self.lanes = 1
            program.lanes = queue.SimpleQueue()
        return program

    def _open_lanes(self, program: _Program) -> None:
        threads = CORES // self.lanes
        # A session of one thread computes in its caller's thread, so that lanes can share it.
        shared = open_session(program.model, 1) if threads == 1 else None
        for _ in range(self.lanes):
            program.lanes.put(shared or open_session(program.model, threads))

    def _are_lanes_faster(self, program: _Program) -> bool:
        """Measure whether a row takes less time in a lane than on all cores."""
        # One for each lane: more would leave the memory of a larger batch with the session.
        rows = np.zeros((self.lanes, *self._traced.spec.input_shape), np.float32)
        together = _seconds(lambda: _run(program.wide, program, rows))
        apart = _seconds(lambda: self._run_apart(program, rows))
        self.lane_seconds = self.lanes * apart / len(rows)
        return apart < _LANES_SHARE * together

    def run(self, rows: Array, outputs: Sequence[str], *, is_alone: bool = True) -> list[Array]:
        """See `Runtime.run`."""
        program = self._programs.get(outputs)
        if self.lanes == 1:
            return _run(program.wide, program, rows)
        if not is_alone:
            return _run_in_lane(program, rows)
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
                by_row[index] = _run_in_lane(program, rows[index : index + 1])

        others = [_THREADS.submit(work) for _ in range(self.lanes - 1)]
        work()
        for other in others:
            other.result()
        return _joined(by_row)


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


def _run_in_lane(program: _Program, rows: Array) -> list[Array]:
    session = program.lanes.get()
    try:
        return _run(session, program, rows)
    finally:
        program.lanes.put(session)


def _run(session: ort.InferenceSession, program: _Program, rows: Array) -> list[Array]:
    arrays: list[Array] = session.run(list(program.outputs), {"input": rows})
    return arrays


def _seconds(run: Callable[[], object]) -> float:
    """Return the shorter of two times."""
    times = []
    for _ in range(2):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)
