"""The rules by which primitives become ONNX nodes: the registry, and what a rule is given."""

from collections.abc import Callable, Hashable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray

from model_zoo.bias_folding import foldable_biases
from model_zoo.errors import BuildError, suggest
from model_zoo.graph import Node, Tensor, Variable
from model_zoo.onnx_lowering.layout import Layout, order

Rule = Callable[["Lowering", Node], str]
RULES: dict[str, Rule] = {}

INPUT, OUTPUT = "input", "output"

# Smaller initializers stay in the model: they cost nothing there, and optimizers read them.
_LEAST_BYTES_BESIDE = 1024

# The opset since which an operator takes its axes as an input, not as an attribute.
_AXES_AS_INPUT = {"ReduceMean": 18, "Squeeze": 13}


def rule(op: str) -> Callable[[Rule], Rule]:
    """Register the rule of a primitive: it emits ONNX nodes and returns the last one's value.

    Raises: ValueError if it has one.
    """

    def register(function: Rule) -> Rule:
        if op in RULES:
            raise ValueError(f"There is already an ONNX rule for {op}.")
        RULES[op] = function
        return function

    return register


class Lowering:
    """What the rules share while one graph is lowered: the values and initializers so far.

    ONNX's operators take channels first, so all values of rank above 2 are (N, C, spatial...);
    `value` gives the other layout to those rules that need it.
    """

    def __init__(
        self,
        proto: onnx.GraphProto,
        nodes: Sequence[Node],
        weights: Mapping[str, NDArray[np.float32]],
        outputs: Mapping[str, Tensor],
        opset: int,
        beside: MutableMapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self.opset = opset
        self._beside = beside
        self._proto = proto
        self._weights = weights
        self._names = {INPUT, *outputs, *weights}
        self._unused = set(weights)
        self._initializers: dict[Hashable, str] = {}
        self._values: dict[Tensor, dict[Layout, str]] = {}
        self._prefix = ""
        self._emitted: list[onnx.NodeProto] = []
        self.biases = foldable_biases(nodes, outputs.values())

    def lower(self, node: Node) -> None:
        """Run a node's rule; its last ONNX node takes the node's name, if that is free.

        Raises: BuildError if there is no rule.
        """
        if node.op not in RULES:
            raise BuildError(
                f"{node.output.name}: there is no ONNX rule for the primitive {node.op!r}. "
                f"{suggest(node.op, RULES)}",
                received=node.op,
            )
        self._prefix, self._emitted = node.output.name, []
        value = RULES[node.op](self, node)
        if self._emitted:
            value = self._unique(node.output.name)
            self._emitted[-1].name = value
            self._emitted[-1].output[:] = [value]
            self._proto.node.extend(self._emitted)
        self.bind(node.output, value)

    def emit(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add an ONNX node to those of the running rule and return its value."""
        value = self._unique(f"{self._prefix}:{op}")
        self._emitted.append(onnx.helper.make_node(op, inputs, [value], value, **attributes))
        return value

    def emit_over(self, op: str, value: str, axes: Sequence[int]) -> str:
        """Add an ONNX node that works over axes, which newer opsets take as an input."""
        if self.opset < _AXES_AS_INPUT[op]:
            return self.emit(op, [value], axes=axes)
        return self.emit(op, [value, self.integers(axes)])

    def bind(self, tensor: Tensor, value: str, layout: Layout = "channels_first") -> None:
        """Record a tensor's value; up to rank 2 both layouts are the same."""
        self._values[tensor] = {layout: value}
        if tensor.rank < 3:
            self._values[tensor] = {"channels_first": value, "channels_last": value}

    def value(self, tensor: Tensor, layout: Layout = "channels_first") -> str:
        """Return a tensor's value; it is transposed once if it is in the other layout alone."""
        known = self._values[tensor]
        if layout not in known:
            value = self._unique(f"{tensor.name}:{layout}")
            self._transpose(tensor, layout, value)
            known[layout] = value
        return known[layout]

    def write_output(self, name: str, tensor: Tensor, layout: Layout) -> None:
        """Make a tensor an output of the model, in a layout."""
        known = self._values[tensor].get(layout)
        if known is None:
            self._transpose(tensor, layout, name)
        else:
            self._proto.node.append(onnx.helper.make_node("Identity", [known], [name], name))

    def _transpose(self, tensor: Tensor, layout: Layout, value: str) -> None:
        (known,) = self._values[tensor].values()
        permutation = order(layout, tensor.rank)
        self._proto.node.append(
            onnx.helper.make_node("Transpose", [known], [value], value, perm=permutation)
        )

    def weight(
        self,
        variable: Variable,
        axes: Sequence[int] | None = None,
        shape: Sequence[int] | None = None,
    ) -> str:
        """Return the initializer that holds a variable, with its axes permuted, then reshaped.

        The variable's name is its own; of several forms of a shared variable, the first has it.
        """
        array = self._weights[variable.name]
        array = array if axes is None else array.transpose(axes)
        array = array if shape is None else array.reshape(shape)
        key = (variable.name, tuple(axes or range(len(variable.shape))), array.shape)
        if key not in self._initializers:
            name = variable.name if variable.name in self._unused else self._unique(variable.name)
            self._unused.discard(name)
            self._initializers[key] = self._initializer(name, array)
        return self._initializers[key]

    def weight_along_channels(self, variable: Variable, rank: int) -> str:
        """Return a variable of a tensor's last dimensions so that it broadcasts to that tensor.

        Shape: (..., C) -> (C, 1, ..., ...), one less than the rank
        """
        *outer, channels = variable.shape
        last = len(outer)
        ones = (1,) * (rank - 2 - last)
        return self.weight(variable, (last, *range(last)), (channels, *ones, *outer))

    def floats(self, values: ArrayLike) -> str:
        """Return an initializer of float32 constants."""
        return self._constant(np.asarray(values, dtype=np.float32))

    def integers(self, values: Sequence[int]) -> str:
        """Return an initializer of int64 constants, as ONNX takes axes and sizes."""
        return self._constant(np.asarray(values, dtype=np.int64))

    def _constant(self, array: NDArray[Any]) -> str:
        key = (array.shape, array.dtype.str, array.tobytes())
        if key not in self._initializers:
            self._initializers[key] = self._initializer(self._unique("constant"), array)
        return self._initializers[key]

    def _initializer(self, name: str, array: NDArray[Any]) -> str:
        # Filled in place: large weights are copied once.
        tensor = self._proto.initializer.add()
        tensor.name = name
        tensor.data_type = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor.dims.extend(array.shape)
        if self._beside is not None and array.nbytes >= _LEAST_BYTES_BESIDE:
            self._beside[name] = np.ascontiguousarray(array)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="beside")
            return name
        tensor.raw_data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return name

    def _unique(self, name: str) -> str:
        """Return a name for a value and its node that no other value, node or weight has."""
        unique, count = name, 0
        while unique in self._names:
            count += 1
            unique = f"{name}:{count}"
        self._names.add(unique)
        return unique
