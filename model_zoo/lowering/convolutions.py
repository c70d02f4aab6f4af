"""Convolutions and matrix products, with the biases that follow them."""

from collections.abc import Sequence
from typing import Any

import keras

from model_zoo.graph import Node, Variable
from model_zoo.lowering.rules import KerasTensor, Lowering, regularizer, rule


def _weighted(
    lowering: Lowering,
    node: Node,
    inputs: Sequence[KerasTensor],
    make: type[Any],
    kernel: str,
    **arguments: Any,
) -> KerasTensor:
    weights = node.variables["weights"]
    biases = lowering.biases.get(node.output)
    prefix = kernel.removesuffix("kernel")  # "depthwise_" or none
    roles: dict[str, Variable] = {"kernel": weights}
    # Values are assigned after the layers are made, so drawing them here would be wasted work.
    arguments |= {
        f"{prefix or 'kernel_'}initializer": "zeros",
        f"{prefix or 'kernel_'}regularizer": regularizer(weights.regularizer),
        "use_bias": biases is not None,
    }
    if biases is not None:
        roles["bias"] = biases
        arguments["bias_regularizer"] = regularizer(biases.regularizer)
    layer = lowering.layer(make, node, roles, **arguments)
    output = layer(inputs[0])
    lowering.bind(layer, roles)
    return output


def _window(node: Node) -> dict[str, Any]:
    attributes = node.attributes
    return {"strides": attributes["strides"], "padding": attributes["padding"].lower()}


@rule("conv2d")
def conv2d(lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return _convolution(lowering, node, inputs, keras.layers.Conv2D)


@rule("conv3d")
def conv3d(lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return _convolution(lowering, node, inputs, keras.layers.Conv3D)


def _convolution(
    lowering: Lowering, node: Node, inputs: Sequence[KerasTensor], make: type[Any]
) -> KerasTensor:
    *kernel_size, _, depth = node.variables["weights"].shape
    return _weighted(
        lowering,
        node,
        inputs,
        make,
        "kernel",
        filters=depth,
        kernel_size=tuple(kernel_size),
        dilation_rate=node.attributes["rate"],
        **_window(node),
    )


@rule("depthwise_conv2d")
def depthwise_conv2d(lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    height, width, _, multiplier = node.variables["weights"].shape
    return _weighted(
        lowering,
        node,
        inputs,
        keras.layers.DepthwiseConv2D,
        "depthwise_kernel",
        depth_multiplier=multiplier,
        kernel_size=(height, width),
        dilation_rate=node.attributes["rate"],
        **_window(node),
    )


@rule("conv2d_transpose")
def conv2d_transpose(lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    height, width, depth, _ = node.variables["weights"].shape
    return _weighted(
        lowering,
        node,
        inputs,
        keras.layers.Conv2DTranspose,
        "kernel",
        filters=depth,
        kernel_size=(height, width),
        **_window(node),
    )


@rule("matmul")
def matmul(lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    units = node.variables["weights"].shape[1]
    return _weighted(lowering, node, inputs, keras.layers.Dense, "kernel", units=units)
