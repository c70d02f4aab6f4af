"""Runs a network node by node: each output is measured, and freed after its last reader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.graph import Graph, Node, Tensor
from model_zoo.lowering import Model
from model_zoo.probing.statistics import Statistics, bounds_of, rms, statistics

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Measured:
    """The statistics of each tensor, and the rms of the gradient at each that the loss needs."""

    statistics: Mapping[Tensor, Statistics]
    gradients: Mapping[Tensor, float | None]


def run(
    model: Model, rows: Array, *, loss_weights: Array | None, check: Callable[[], None]
) -> Measured:
    """Return what each tensor of a network is on a batch; dropout passes its input on.

    With `loss_weights`, of the shape of the output, the gradients are those of the mean of the
    output times them; then all tensors stay in memory. `check` is called before each node.
    """
    graph = model.graph
    forward = _Forward(model, check)
    if loss_weights is None:
        forward.run(rows, keep=False)
        return Measured(forward.statistics, {})
    # Imported here: a probe without gradients runs on any of Keras's backends.
    import tensorflow as tf

    values: dict[Tensor, Any] = {}
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        values = forward.run(rows, keep=True, watch=tape.watch)
        loss = tf.reduce_mean(values[graph.output] * loss_weights)
    tensors = list(values)
    computed = tape.gradient(loss, [values[tensor] for tensor in tensors])
    return Measured(
        forward.statistics,
        {
            tensor: rms(np.asarray(gradient))
            for tensor, gradient in zip(tensors, computed, strict=True)
            if gradient is not None
        },
    )


class _Forward:
    """One run, and the statistics that it has made so far."""

    def __init__(self, model: Model, check: Callable[[], None]) -> None:
        self._model = model
        self._graph: Graph = model.graph
        self._check = check
        self._last_reader = {tensor: node for node in self._graph.nodes for tensor in node.inputs}
        self.statistics: dict[Tensor, Statistics] = {}

    def run(
        self, rows: Array, *, keep: bool, watch: Callable[[Any], None] | None = None
    ) -> dict[Tensor, Any]:
        """Compute every node; return the tensors if they are kept."""
        inputs = self._model.backend_tensor(rows)
        if watch is not None:
            watch(inputs)
        values: dict[Tensor, Any] = {self._graph.input: inputs}
        for node in self._graph.nodes:
            self._check()
            if node.op != "input":
                values[node.output] = self._output(node, values)
            self._measure(node, values[node.output])
            if not keep:
                self._free(node, values)
        return values

    def _output(self, node: Node, values: Mapping[Tensor, Any]) -> Any:
        inputs = [values[tensor] for tensor in node.inputs]
        # It drops at random; and what it keeps, it scales so that the mean stays.
        step = None if node.op == "dropout" else self._model.step(node)
        return inputs[0] if step is None else step(*inputs)

    def _measure(self, node: Node, value: Any) -> None:
        self.statistics[node.output] = statistics(np.asarray(value), bounds_of(node))

    def _free(self, node: Node, values: dict[Tensor, Any]) -> None:
        for tensor in (*node.inputs, node.output):
            if self._last_reader.get(tensor, node) is node:
                values.pop(tensor, None)
