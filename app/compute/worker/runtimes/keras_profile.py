"""The time of each layer on TensorFlow: one program a node, run one after the other.

TensorFlow takes longer to call a program than to compute a small layer, so that is measured too.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import tensorflow as tf

from app.arrays import OUTPUT, Array
from app.compute.worker.runtimes import Runtime
from app.compute.worker.runtimes.layer_times import Repeats, layer_seconds
from app.engine import DeviceName, FloatPrecision
from app.tasks import LayerSeconds, MeasuredProfile
from model_zoo import Model, Node, Tensor, Trace, WeightLibrary, materialize

Program = Callable[..., Any]

_EMPTY_CALLS = 20


class _Steps:
    """The nodes of a network up to its output, each as a program of its own."""

    def __init__(self, model: Model, check: Callable[[], None]) -> None:
        graph = self._graph = model.graph
        self._nodes = [node for node in graph.nodes_before([graph.output]) if node.op != "input"]
        self._last_reader = {tensor: node for node in self._nodes for tensor in node.inputs}
        self._steps = {node: model.step(node) for node in self._nodes}
        self._programs: dict[Node, Program] = {}
        # Called for each program: hundreds of them may take too long.
        self._check = check

    def run(self, rows: Any) -> dict[Node, float]:
        """Return the seconds of each node that computes; the first run makes the programs."""
        values: dict[Tensor, Any] = {self._graph.input: rows}
        seconds = {}
        for node in self._nodes:
            inputs = [values[tensor] for tensor in node.inputs]
            step = self._steps[node]
            if step is None:
                values[node.output] = inputs[0]
            else:
                program = self._programs.get(node)
                if program is None:
                    self._check()
                    program = self._programs[node] = _program(step, inputs)
                started = time.perf_counter()
                values[node.output] = _call(program, inputs)
                seconds[node] = time.perf_counter() - started
            for tensor in node.inputs:
                if self._last_reader[tensor] is node:
                    values.pop(tensor, None)
        return seconds


def _program(step: Program, inputs: list[Any]) -> Program:
    shapes = [tf.TensorSpec(value.shape, value.dtype) for value in inputs]
    program: Program = tf.function(step, jit_compile=False).get_concrete_function(*shapes)
    return program


def _call(program: Program, inputs: list[Any]) -> Any:
    output = program(*inputs)
    # On a GPU the call returns before it is done.
    tf.test.experimental.sync_devices()
    return output


def _call_seconds() -> float:
    """Return the seconds that it takes to call a program that computes nothing."""
    inputs = [tf.zeros(())]
    program = _program(tf.identity, inputs)
    seconds = []
    for _ in range(_EMPTY_CALLS):
        started = time.perf_counter()
        _call(program, inputs)
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def _runs(model: Model, rows: Array, repeats: Repeats) -> list[dict[Node, float]]:
    """Return the seconds of each node in each run; the model is freed afterwards."""
    steps, values = _Steps(model, repeats.check), tf.constant(rows)
    steps.run(values)
    return repeats.layers(lambda: steps.run(values))


def profile_keras(
    traced: Trace,
    library: WeightLibrary,
    rows: Array,
    repeats: Repeats,
    runtime: Runtime,
    device: DeviceName,
    precision: FloatPrecision,
) -> MeasuredProfile:
    """Return the time of each layer, and that of the whole network in its runtime."""
    runs = _runs(materialize(traced, library, precision=precision), rows, repeats)
    seconds = {node: median(run[node] for run in runs) for node in runs[0]}
    runtime.run(rows, (OUTPUT,))
    network = repeats.network(lambda: runtime.run(rows, (OUTPUT,)))

    def seconds_of(nodes: Sequence[Node]) -> LayerSeconds:
        return LayerSeconds(round(sum(seconds.get(node, 0.0) for node in nodes), 9))

    return MeasuredProfile(
        engine="tensorflow",
        precision=precision,
        device=device,
        runs=len(runs),
        layers=layer_seconds(traced, seconds_of),
        call_seconds=_call_seconds(),
        network_seconds=median(network),
    )
