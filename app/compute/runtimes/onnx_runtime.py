"""A network on ONNX Runtime, for CPUs: batch norms are folded into the convolutions before them.

One row uses all cores. Of several rows, each may take one core: the cores need not wait for each
other at every layer then. Which of the two is faster depends on the network, and is measured.
"""

import itertools
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from app.compute.runtimes import Array, tensors_of
from app.compute.runtimes.programs import Programs
from model_zoo import Trace, WeightLibrary, build_weights, onnx_model

CORES = len(os.sched_getaffinity(0))
_THREADS = ThreadPoolExecutor(CORES, "row")
# Below this gain, the memory of a second session is not worth it.
_WORTH = 0.97


@dataclass(slots=True)
class _Program:
    outputs: tuple[str, ...]
    wide: ort.InferenceSession  # all cores for one batch
    narrow: ort.InferenceSession | None  # one core; several run at once


class OnnxRuntime:
    """See `Runtime`."""

    name = "onnxruntime"

    def __init__(self, traced: Trace, library: WeightLibrary) -> None:
        """Raises: ZooError if the network has no form in ONNX."""
        self._traced = traced
        self._library = library
        # Settled by the first program, which is the one for the network's own output.
        self._splits_rows: bool | None = None if CORES > 1 else False
        self._programs: Programs[_Program] = Programs(self._make)

    def _make(self, outputs: tuple[str, ...]) -> _Program:
        weights = build_weights(self._traced, self._library)
        tensors = tensors_of(self._traced, outputs)
        model = onnx_model(self._traced.graph, weights, outputs=tensors).SerializeToString()
        program = _Program(outputs, open_session(model, CORES), None)
        if self._splits_rows is not False:
            program.narrow = open_session(model, 1)
        if self._splits_rows is None:
            self._splits_rows = self._is_faster_apart(program)
            program.narrow = program.narrow if self._splits_rows else None
        return program

    def _is_faster_apart(self, program: _Program) -> bool:
        """Measure whether rows take less time each on one core than all on all cores."""
        rows = np.zeros((2 * CORES, *self._traced.spec.input_shape), np.float32)
        assert program.narrow is not None
        seconds = {}
        for run in (self._run_together, self._run_apart):
            times = []
            for _ in range(2):
                started = time.perf_counter()
                run(program, rows)
                times.append(time.perf_counter() - started)
            seconds[run] = min(times)
        return seconds[self._run_apart] < _WORTH * seconds[self._run_together]

    def run(self, rows: Array, outputs: Sequence[str]) -> list[Array]:
        """See `Runtime.run`."""
        program = self._programs.get(outputs)
        whole = len(rows) - len(rows) % CORES
        if program.narrow is None or not whole:
            return self._run_together(program, rows)
        apart = self._run_apart(program, rows[:whole])
        if whole == len(rows):
            return apart
        rest = self._run_together(program, rows[whole:])
        return [np.concatenate(pair) for pair in zip(apart, rest, strict=True)]

    def _run_together(self, program: _Program, rows: Array) -> list[Array]:
        return _run(program.wide, program, rows)

    def _run_apart(self, program: _Program, rows: Array) -> list[Array]:
        """Compute each row on one core; a core that is done takes the next."""
        ahead = itertools.count()
        found: list[list[Array]] = [[] for _ in rows]

        def work() -> None:
            while (index := next(ahead)) < len(rows):
                found[index] = _run(program.narrow, program, rows[index : index + 1])

        others = [_THREADS.submit(work) for _ in range(CORES - 1)]
        work()
        for other in others:
            other.result()
        return [np.concatenate(arrays) for arrays in zip(*found, strict=True)]


def _run(session: ort.InferenceSession | None, program: _Program, rows: Array) -> list[Array]:
    assert session is not None
    found: list[Array] = session.run(list(program.outputs), {"input": rows})
    return found


def open_session(
    model: bytes, threads: int, *, profile_prefix: str | None = None
) -> ort.InferenceSession:
    """Return a session; with a prefix, it writes the time of each kernel to a file named so."""
    options = ort.SessionOptions()
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin between batches would take the cores from the API.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
