"""Batch, group, instance, layer and local response normalization, and biases by themselves."""

from collections.abc import Sequence

import numpy as np

from model_zoo.graph import Node
from model_zoo.onnx_lowering.layout import axis_channels_first, example_shape
from model_zoo.onnx_lowering.rules import Lowering, rule


@rule("batch_norm")
def batch_norm(lowering: Lowering, node: Node) -> str:
    (x,), epsilon = node.inputs, node.attributes["epsilon"]
    value = lowering.value(x)
    if node.uses_batch_statistics:
        axes = [axis for axis in range(x.rank) if axis != 1]
        return _affine(lowering, node, _standardized(lowering, value, axes, epsilon))
    # The operator wants a scale and an offset, also of a norm that has none.
    neutral = {"gamma": np.ones(x.channels), "beta": np.zeros(x.channels)}
    inputs = [
        lowering.weight(node.variables[role])
        if role in node.variables
        else lowering.floats(neutral[role])
        for role in ("gamma", "beta", "moving_mean", "moving_variance")
    ]
    return lowering.emit("BatchNormalization", [value, *inputs], epsilon=epsilon)


@rule("group_norm")
def group_norm(lowering: Lowering, node: Node) -> str:
    (x,), groups = node.inputs, node.attributes["groups"]
    *spatial, channels = example_shape(x)
    # In ONNX's Reshape a 0 keeps the size that is there, the batch's.
    split = lowering.integers([0, groups, channels // groups, *spatial])
    joined = lowering.integers([0, channels, *spatial])
    grouped = lowering.emit("Reshape", [lowering.value(x), split])
    axes = [2, *sorted(axis + 2 for axis in node.attributes["reduction_axes"])]
    standardized = _standardized(lowering, grouped, axes, node.attributes["epsilon"])
    return _affine(lowering, node, lowering.emit("Reshape", [standardized, joined]))


@rule("layer_norm")
def layer_norm(lowering: Lowering, node: Node) -> str:
    (x,), begin = node.inputs, node.attributes["begin_norm_axis"]
    axes = sorted(axis_channels_first(axis, x.rank) for axis in range(begin, x.rank))
    standardized = _standardized(lowering, lowering.value(x), axes, node.attributes["epsilon"])
    return _affine(lowering, node, standardized)


def _standardized(lowering: Lowering, x: str, axes: Sequence[int], epsilon: float) -> str:
    centered = lowering.emit("Sub", [x, lowering.emit_over("ReduceMean", x, axes)])
    squares = lowering.emit("Mul", [centered, centered])
    variance = lowering.emit_over("ReduceMean", squares, axes)
    shifted = lowering.emit("Add", [variance, lowering.floats(epsilon)])
    return lowering.emit("Div", [centered, lowering.emit("Sqrt", [shifted])])


def _affine(lowering: Lowering, node: Node, x: str) -> str:
    """Scale and shift by the node's gamma and beta, if it has them."""
    for op, role in (("Mul", "gamma"), ("Add", "beta")):
        if role in node.variables:
            weight = lowering.weight_along_channels(node.variables[role], node.output.rank)
            x = lowering.emit(op, [x, weight])
    return x


@rule("bias_add")
def bias_add(lowering: Lowering, node: Node) -> str:
    (x,) = node.inputs
    if x in lowering.biases:
        return lowering.value(x)  # the operator before has added them
    biases = lowering.weight_along_channels(node.variables["biases"], x.rank)
    return lowering.emit("Add", [lowering.value(x), biases])


@rule("local_response_normalization")
def local_response_normalization(lowering: Lowering, node: Node) -> str:
    attributes = node.attributes
    size = 2 * attributes["depth_radius"] + 1
    return lowering.emit(
        "LRN",
        [lowering.value(node.inputs[0])],
        size=size,
        bias=attributes["bias"],
        alpha=attributes["alpha"] * size,  # ONNX takes the mean of squares, TensorFlow the sum
        beta=attributes["beta"],
    )
