"""Batch, group, instance, layer and local response normalization, and biases by themselves."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from model_zoo.graph import Node
from model_zoo.lowering.own_layers import Affine, BatchStatisticsNormalization
from model_zoo.lowering.rules import KerasTensor, Lowering, layer_name, regularizer, rule


def _center_and_scale(node: Node) -> dict[str, Any]:
    beta, gamma = node.variables.get("beta"), node.variables.get("gamma")
    return {
        "center": beta is not None,
        "scale": gamma is not None,
        "beta_regularizer": regularizer(beta.regularizer if beta else None),
        "gamma_regularizer": regularizer(gamma.regularizer if gamma else None),
    }


def _normalized(
    lowering: Lowering,
    node: Node,
    inputs: Sequence[KerasTensor],
    make: type[Any],
    **arguments: Any,
) -> KerasTensor:
    roles = dict(node.variables)
    layer = lowering.layer(make, node, roles, **_center_and_scale(node), **arguments)
    output = layer(inputs[0])
    lowering.bind(layer, roles)
    return output


@rule("batch_norm")
def batch_norm(lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    attributes = node.attributes
    arguments = {"momentum": attributes["decay"], "epsilon": attributes["epsilon"]}
    if node.uses_batch_statistics:
        return _normalized(
            lowering,
            node,
            inputs,
            BatchStatisticsNormalization,
            fused=attributes["fused"],
            updates=attributes["updates"],
            **arguments,
        )
    return _normalized(lowering, node, inputs, keras.layers.BatchNormalization, **arguments)


@rule("group_norm")
def group_norm(lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    (x,) = inputs
    groups, axes = node.attributes["groups"], node.attributes["reduction_axes"]
    if axes and axes == tuple(range(1, len(x.shape) - 1)):
        return _normalized(
            lowering,
            node,
            inputs,
            keras.layers.GroupNormalization,
            groups=groups,
            epsilon=node.attributes["epsilon"],
        )
    *outer, channels = x.shape[1:]
    grouped = ops.reshape(x, (-1, *outer, groups, channels // groups))
    standardized = _standardized(grouped, (*axes, len(x.shape)), node.attributes["epsilon"])
    return _affine(lowering, node, ops.reshape(standardized, (-1, *x.shape[1:])))


@rule("layer_norm")
def layer_norm(lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    (x,) = inputs
    rank, begin = len(x.shape), node.attributes["begin_norm_axis"]
    epsilon = node.attributes["epsilon"]
    shapes = {variable.shape for variable in node.variables.values()}
    if shapes <= {(x.shape[-1],)} and begin == 1 and rank > 2:
        # One group of all channels, with one gamma and beta a channel.
        make = keras.layers.GroupNormalization
        return _normalized(lowering, node, inputs, make, groups=1, epsilon=epsilon)
    if shapes <= {(x.shape[-1],)} and begin == rank - 1:
        make = keras.layers.LayerNormalization
        return _normalized(lowering, node, inputs, make, axis=-1, epsilon=epsilon)
    return _affine(lowering, node, _standardized(x, tuple(range(begin, rank)), epsilon))


def _standardized(x: KerasTensor, axes: tuple[int, ...], epsilon: float) -> KerasTensor:
    mean, variance = ops.moments(x, axes, keepdims=True)
    return (x - mean) * ops.rsqrt(variance + epsilon)


def _affine(lowering: Lowering, node: Node, x: KerasTensor) -> KerasTensor:
    if not node.variables:
        return x
    shape = next(iter(node.variables.values())).shape
    return _normalized(lowering, node, [x], Affine, shape=shape)


@rule("bias_add")
def bias_add(lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    biases = node.variables["biases"]
    if lowering.biases.get(node.inputs[0]) is biases:
        return inputs[0]  # the layer before has added them
    roles = {"beta": biases}
    layer = lowering.layer(
        Affine,
        node,
        roles,
        shape=biases.shape,
        scale=False,
        beta_regularizer=regularizer(biases.regularizer),
    )
    output = layer(inputs[0])
    lowering.bind(layer, roles)
    return output


@rule("local_response_normalization")
def local_response_normalization(
    _lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]
) -> KerasTensor:
    (x,) = inputs
    attributes = node.attributes
    height, width, channels = x.shape[1:]
    radius, name = attributes["depth_radius"], layer_name(node)
    # A sum over a window of channels is the window times its mean: pooling over padded channels.
    squares = keras.layers.Multiply(name=f"{name}.squares")([x, x])
    columns = keras.layers.Reshape((height * width, channels, 1), name=f"{name}.columns")(squares)
    padded = keras.layers.ZeroPadding2D(((0, 0), (radius, radius)), name=f"{name}.pad")(columns)
    window = 2 * radius + 1
    means = keras.layers.AveragePooling2D((1, window), (1, 1), name=f"{name}.means")(padded)
    sums = keras.layers.Rescaling(
        attributes["alpha"] * window, attributes["bias"], name=f"{name}.sums"
    )(keras.layers.Reshape((height, width, channels), name=f"{name}.channels")(means))
    scales = ops.power(sums, -attributes["beta"])
    # Keras numbers operations over the whole process; a name makes equal files of equal models.
    scales._keras_history.operation.name = f"{name}.power"
    return keras.layers.Multiply(name=name)([x, scales])
