"""A network on TensorFlow: lowered to Keras, traced once, its weights frozen into the graph."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from app.arrays import Array
from app.compute.worker.runtimes import tensors_of
from app.compute.worker.runtimes.programs import Programs
from app.engine import FloatPrecision, RuntimeName
from model_zoo import Trace, WeightLibrary, materialize

# Freezing saves a tenth of the time or more; but TensorFlow takes long to copy larger weights, half
# a minute for the 200 MB of alexnet_v2.
_LARGEST_FROZEN_BYTES = 64 * 2**20

Function = Callable[[Any], Sequence[Any]]


class KerasRuntime:
    """See `Runtime`. With `xla`, batches are padded to a power of two, each compiled once.

    A network that uses batch statistics is not compiled, because the padding would count in them.
    """

    name: RuntimeName = "tensorflow"
    lanes = 1
    lane_seconds = 0.0

    def __init__(
        self,
        traced: Trace,
        library: WeightLibrary,
        precision: FloatPrecision = "float32",
        *,
        xla: bool = False,
    ) -> None:
        self._traced = traced
        self._library = library
        self._precision = precision
        self._xla = xla and not traced.graph.batch_statistics_nodes
        self._programs: Programs[Function] = Programs(self._make)

    def _make(self, outputs: tuple[str, ...]) -> Function:
        # The Keras model lives as long as this: its weights are constants of the program.
        model = materialize(self._traced, self._library, precision=self._precision)
        network = model.keras_model_to(tensors_of(self._traced, outputs))

        def program(rows: Any) -> list[Any]:
            arrays = network(rows, training=False)
            return [tf.cast(arrays[name], tf.float32) for name in outputs]

        shape = [None, *self._traced.spec.input_shape]
        function = tf.function(program, jit_compile=self._xla)
        concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
        if self._traced.summary().totals["weight_bytes"] > _LARGEST_FROZEN_BYTES:
            return lambda rows: concrete(rows)
        return convert_variables_to_constants_v2(concrete)  # type: ignore[no-any-return]

    def choose_lanes(self) -> None:
        """See `Runtime.choose_lanes`: TensorFlow's threads are those of all batches."""

    def run(self, rows: Array, outputs: Sequence[str], *, is_alone: bool = True) -> list[Array]:
        """See `Runtime.run`."""
        count = len(rows)
        if self._xla and count & (count - 1):
            padded = np.zeros((1 << count.bit_length(), *rows.shape[1:]), np.float32)
            padded[:count] = rows
            rows = padded
        arrays = self._programs.get(outputs)(tf.constant(rows))
        return [np.asarray(array)[:count] for array in arrays]
