"""A network with numbers: its weights, its predictions, its losses."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_zoo.errors import InputError, Problem, WeightsError, unknown_name
from model_zoo.graph import Graph, Node, Tensor
from model_zoo.lowering.rules import Lowering, apply_rules
from model_zoo.tracing import Trace
from model_zoo.weights.random import random_value
from model_zoo.weights.restore import BuildTensors, NoLibrary, WeightLibrary

Array = NDArray[np.float32]
Precision = Literal["float32", "bfloat16"]


def materialize(
    traced: Trace, library: WeightLibrary | None = None, *, precision: Precision = "float32"
) -> "Model":
    """Return a trace's network with the weights that its spec names, looked up in the library.

    Imports Keras; memory for weights is allocated here and nowhere before.
    Raises: WeightsError if a source of the weights does not exist, or is strict and does not fit.
    """
    tensors = BuildTensors(traced, library or NoLibrary())
    tensors.plan.check()
    model = Model(
        traced.graph,
        preprocessing=traced.architecture.preprocessing,
        global_step=tensors.plan.global_step,
        precision=precision,
    )
    model.assign({name: tensors.read(name) for name in tensors.tensors})
    return model


def materialize_graph(graph: Graph, *, seed: int = 0) -> "Model":
    """Return a graph's network with random weights, a function of seed and variable alone."""
    model = Model(graph)
    model.assign({variable.name: random_value(seed, variable) for variable in graph.variables})
    return model


class Model:
    """A graph lowered to Keras. `keras_model` leads from the input to the network's output.

    What does not lead there (Inception's auxiliary head) is in `weights` and the end points, not in
    `keras_model`. `preprocessing` names how images become inputs, and `global_step` says how often
    the weights were trained; files of weights hold both. With `precision` bfloat16, layers compute
    in it and keep their weights in float32.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        preprocessing: str | None = None,
        global_step: int = 0,
        precision: Precision = "float32",
    ) -> None:
        self.graph = graph
        self.preprocessing = preprocessing
        self.global_step = global_step
        lowering = Lowering(graph)
        inputs = keras.Input(graph.input.shape[1:], name="input")
        self._inputs = inputs
        with _computing_in(precision):
            self._tensors = apply_rules(lowering, graph, inputs)
        self._variables = {v.name: lowering.variables[v.name] for v in graph.variables}
        self.keras_model = self._model_to(self._tensors[graph.output], name="model")
        self._end_point_models: dict[tuple[str, ...], Any] = {}

    def keras_model_to(self, outputs: Mapping[str, Tensor]) -> Any:
        """Return a Keras model from the input to a dictionary of tensors of the graph.

        It is a dictionary because Keras returns a list of one output without the list.
        """
        ends = {name: self._tensors[tensor] for name, tensor in outputs.items()}
        return self._model_to(ends, name="end_points")

    def backend_tensor(self, x: ArrayLike) -> Any:
        """Return a batch as the backend's tensor, for `step`.

        Raises: InputError if the array does not fit.
        """
        return keras.ops.convert_to_tensor(self._checked(x))

    def step(self, node: Node) -> Callable[..., Any] | None:
        """Return what computes a node's output from its inputs; None if that is its first input.

        It takes tensors of the backend, one for each of `node.inputs`.
        """
        inputs = [self._tensors[tensor] for tensor in node.inputs]
        output = self._tensors[node.output]
        if any(output is tensor for tensor in inputs):
            return None
        # A node may read a tensor twice, and the biases after a layer are part of it.
        places = {id(tensor): index for index, tensor in enumerate(inputs)}
        function = keras.Function([inputs[index] for index in places.values()], output)
        return lambda *values: function([values[index] for index in places.values()])

    def _model_to(self, outputs: Any, name: str) -> Any:
        model = keras.Model(self._inputs, outputs, name=name)
        # XLA is slower than TensorFlow's kernels on a CPU, and all that JAX compiles with; without
        # it, JAX runs op by op.
        model.jit_compile = keras.backend.backend() == "jax"
        return model

    @property
    def variables(self) -> Mapping[str, Any]:
        """The Keras variable of each weight, by TF-Slim's name, in order of creation."""
        return self._variables

    def weights(self) -> dict[str, Array]:
        """Return the value of every variable, in order of creation."""
        return {name: np.asarray(variable) for name, variable in self._variables.items()}

    def assign(self, values: Mapping[str, ArrayLike]) -> None:
        """Set variables by name; those not named keep their values.

        Raises: WeightsError for an unknown name or another shape; nothing is assigned then.
        """
        arrays = {name: np.asarray(value) for name, value in values.items()}
        shapes = {variable.name: variable.shape for variable in self.graph.variables}
        problems: list[Problem] = []
        for name, array in arrays.items():
            if name not in shapes:
                problems.append(
                    unknown_name("", f"There is no variable {name!r}.", name, self._variables)
                )
            elif array.shape != shapes[name]:
                problems.append(
                    Problem(
                        f"{name} has shape {shapes[name]}; received {array.shape}.",
                        received=list(array.shape),
                    )
                )
        if problems:
            raise WeightsError(*problems)
        for name, array in arrays.items():
            self._variables[name].assign(array)

    def predict(self, x: ArrayLike) -> Array:
        """Return the network's output for a batch.

        Shape: (N, H, W, C) -> that of `graph.output`
        Raises: InputError if the array does not fit.
        """
        return np.asarray(self.keras_model.predict_on_batch(self._checked(x)))

    def predict_end_points(
        self, x: ArrayLike, names: Iterable[str] | None = None
    ) -> dict[str, Array]:
        """Return the named end points for a batch; all of them without names.

        Raises: InputError for an unknown name, or if the array does not fit.
        """
        ends = tuple(self.graph.end_points if names is None else names)
        unknown = [
            unknown_name("", f"There is no end point {name!r}.", name, self.graph.end_points)
            for name in ends
            if name not in self.graph.end_points
        ]
        if unknown:
            raise InputError(*unknown)
        arrays = self._end_point_model(ends).predict_on_batch(self._checked(x))
        return {name: np.asarray(arrays[name]) for name in ends}

    def _end_point_model(self, names: tuple[str, ...]) -> Any:
        model = self._end_point_models.get(names)
        if model is None:
            outputs = {name: self.graph.end_points[name] for name in names}
            model = self._end_point_models[names] = self.keras_model_to(outputs)
        return model

    def _checked(self, x: ArrayLike) -> Array:
        return checked_batch(self.graph, x)

    @property
    def regularization_losses_count(self) -> int:
        """The number of variables with a loss of their own."""
        return sum(1 for v in self.graph.variables if v.regularizer and v.regularizer.active)

    def regularization_loss(self) -> float:
        """Return the sum of the regularizers' losses on the current weights."""
        total = 0.0
        for variable in self.graph.variables:
            regularizer = variable.regularizer
            if regularizer is None or not regularizer.active:
                continue
            value = np.asarray(self._variables[variable.name], dtype=np.float64).ravel()
            if regularizer.l1:
                total += regularizer.l1 * float(np.abs(value).sum())
            if regularizer.l2:
                total += regularizer.l2 * float(value @ value) / 2
        return total

    def update_moving_averages(self, x: ArrayLike) -> None:
        """Update the moving averages of every batch norm in training mode with one batch."""
        weights = self.weights()
        # Keras would update the other ones as well.
        unchanged = {
            variable.name: weights[variable.name]
            for node in self.graph.nodes
            if node.op == "batch_norm" and not node.uses_batch_statistics
            for variable in node.variables.values()
        }
        ends = tuple(self.graph.end_points)
        self._end_point_model(ends)(self._checked(x), training=True)
        self.assign(unchanged)

    def save(self, path: str | Path, format_name: str, **options: object) -> None:
        """Write the weights to a file in one of `model_zoo.WEIGHT_FORMATS`, with its options.

        Raises: WeightsError for an unknown format, OptionError for options it does not have.
        """
        # Imported here: prediction does not need the writers.
        from model_zoo.weights.files import write_weights

        write_weights(self, Path(path), format_name, options)


def checked_batch(graph: Graph, x: ArrayLike) -> Array:
    """Return a batch as float32.

    Raises: InputError if it does not fit the input of a graph.
    """
    array = np.asarray(x)
    expected = graph.input.shape[1:]
    if array.dtype.kind not in "fiu":
        raise InputError(
            Problem(
                f"The input must be an array of numbers; received dtype {array.dtype}.",
                received=str(array.dtype),
            )
        )
    if array.ndim != len(expected) + 1 or array.shape[1:] != expected or not len(array):
        sizes = ", ".join(["N", *map(str, expected)])
        raise InputError(
            Problem(
                f"The input must have shape ({sizes}), N at least 1 being the batch; "
                f"received {array.shape}.",
                received=list(array.shape),
            )
        )
    return array.astype(np.float32, copy=False)


@contextmanager
def _computing_in(precision: Precision) -> Iterator[None]:
    """Make the layers that are created inside compute in a precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
