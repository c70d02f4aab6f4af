"""Shapes that hold a variable's values in another order, or with other sizes of 1.

Networks here have weights (height, width, inputs, outputs), as TensorFlow and Keras do; PyTorch has
(outputs, inputs, height, width), of a dense layer (outputs, inputs), and of a depthwise convolution
(channels * multiplier, 1, height, width). Where every size is the same, a shape alone does not tell
the two apart, so the weights of one source are taken to be of one order.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.graph import Graph, Tensor, Variable

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reordering:
    """How a stored tensor becomes the variable's: reshaped, then transposed, then reshaped.

    `axes` is None where only sizes of 1 differ.
    """

    shape: Shape
    axes: tuple[int, ...] | None

    def apply(self, value: NDArray[Any], shape: Shape) -> NDArray[Any]:
        """Return the value in the variable's shape and order."""
        value = value.reshape(self.shape)
        if self.axes is not None:
            value = value.transpose(self.axes)
        return np.ascontiguousarray(value).reshape(shape)


def is_depthwise(variable: Variable) -> bool:
    """Return whether a variable holds a filter for each channel: (height, width, C, multiplier)."""
    return variable.name.rpartition("/")[2] == "depthwise_weights" and len(variable.shape) == 4


def _outputs_first(variable: Variable) -> list[tuple[Shape, Reordering]]:
    """Return the shapes that PyTorch's order gives a variable, with the way back."""
    *sizes, inputs, outputs = variable.shape
    spatial = range(2, len(variable.shape))
    shape = (outputs, inputs, *sizes)
    forms = [(shape, Reordering(shape, (*spatial, 1, 0)))]
    if is_depthwise(variable):
        # Here `inputs` are the channels, and `outputs` the filters of each.
        grouped = (inputs * outputs, 1, *sizes)
        forms.insert(0, (grouped, Reordering((inputs, outputs, *sizes), (*spatial, 0, 1))))
    return forms


def transposed(shape: Shape, variable: Variable) -> Reordering | None:
    """Return how a tensor in PyTorch's order becomes a variable; None if its shape is another.

    Sizes of 1 may be left out: (outputs, inputs) for (1, 1, inputs, outputs).
    """
    if len(variable.shape) < 2:
        return None
    for stored, reordering in _outputs_first(variable):
        fewer = len(shape) != len(stored) and _squeezed(shape) == _squeezed(stored)
        if shape == stored or fewer:
            return reordering
    return None


def reshaped(shape: Shape, variable: Variable) -> Reordering | None:
    """Return how a tensor that differs in sizes of 1 becomes a variable; None if more differs."""
    if _squeezed(shape) != _squeezed(variable.shape):
        return None
    return Reordering(variable.shape, None)


def _squeezed(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def sizes(shape: Shape) -> Shape:
    """Return the sizes of a shape in ascending order, without those of 1."""
    return tuple(sorted(_squeezed(shape)))


@dataclass(frozen=True, slots=True)
class Order:
    """In which order a source has its weights: by how many of them, that fit in one order only.

    Convolutions and dense layers count apart: many convert only the former.
    """

    as_they_are: int = 0
    outputs_first: int = 0

    @property
    def is_outputs_first(self) -> bool:
        return self.outputs_first > 0 and not self.as_they_are


def order_of(pairs: Iterable[tuple[Shape, Variable]]) -> Order:
    """Return the order that the shapes of tensors tell, each paired with its variable."""
    as_they_are = outputs_first = 0
    for shape, variable in pairs:
        if len(shape) != len(variable.shape):
            continue
        fits, fits_transposed = shape == variable.shape, transposed(shape, variable) is not None
        as_they_are += fits and not fits_transposed
        outputs_first += fits_transposed and not fits
    return Order(as_they_are, outputs_first)


def reordering(shape: Shape, variable: Variable, order: Order) -> Reordering | None:
    """Return how a tensor of another shape, or in another order, becomes the variable.

    None if it is the variable's own shape and order, or does not fit.
    """
    if order.is_outputs_first and (change := transposed(shape, variable)):
        return change
    return None if shape == variable.shape else reshaped(shape, variable)


def flattened_maps(graph: Graph) -> dict[str, Shape]:
    """Return the dense weights whose inputs are a flattened map, with the shape of that map.

    The order of such inputs is (height, width, channels) here, and channels first in PyTorch.
    """
    maps: dict[Tensor, Shape] = {}
    weights: dict[str, Shape] = {}
    for node in graph.nodes:
        if node.op == "flatten":
            shape = tuple(size or 0 for size in node.inputs[0].shape[1:])
            if len(_squeezed(shape)) > 1:
                maps[node.output] = shape
        elif node.inputs and node.inputs[0] in maps:
            flattened = maps[node.inputs[0]]
            if node.op == "dropout":
                maps[node.output] = flattened
            for variable in node.variables.values():
                if len(variable.shape) == 2:
                    weights[variable.name] = flattened
    return weights
