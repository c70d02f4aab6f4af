"""Everything without weights: activations, pooling, dropout, and changes of shape."""

from collections.abc import Sequence

import keras

from model_zoo.graph import Node
from model_zoo.lowering.own_layers import ActiveDropout, ResizeBilinear
from model_zoo.lowering.rules import KerasTensor, Lowering, layer_name, rule

# TensorFlow's names where Keras has another.
_KERAS_NAMES = {"swish": "silu", "hard_swish": "hard_silu"}


@rule("activation")
def activation(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    function, name = node.attributes["function"], layer_name(node)
    if function.name == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=function["alpha"], name=name)(inputs[0])
    if function.name == "gelu" and function["approximate"]:
        return keras.ops.gelu(inputs[0], approximate=True)
    keras_name = _KERAS_NAMES.get(function.name, function.name)
    return keras.layers.Activation(keras_name, name=name)(inputs[0])


@rule("max_pool2d")
def max_pool2d(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return _pool(keras.layers.MaxPooling2D, node)(inputs[0])


@rule("max_pool3d")
def max_pool3d(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return _pool(keras.layers.MaxPooling3D, node)(inputs[0])


@rule("avg_pool2d")
def avg_pool2d(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return _pool(keras.layers.AveragePooling2D, node)(inputs[0])


@rule("avg_pool3d")
def avg_pool3d(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return _pool(keras.layers.AveragePooling3D, node)(inputs[0])


def _pool(make: type[KerasTensor], node: Node) -> KerasTensor:
    attributes = node.attributes
    return make(
        pool_size=attributes["kernel"],
        strides=attributes["strides"],
        padding=attributes["padding"].lower(),
        name=layer_name(node),
    )


@rule("dropout")
def dropout(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    attributes = node.attributes
    # Left to Keras when the network does not train, so that fine-tuning the exported model drops.
    make = ActiveDropout if attributes["is_training"] else keras.layers.Dropout
    return make(
        rate=1 - attributes["keep_prob"],
        noise_shape=attributes["noise_shape"],
        seed=attributes["seed"],
        name=layer_name(node),
    )(inputs[0])


@rule("softmax")
def softmax(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return keras.layers.Softmax(name=layer_name(node))(inputs[0])


@rule("flatten")
@rule("squeeze")
def reshape(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return keras.layers.Reshape(node.output.shape[1:], name=layer_name(node))(inputs[0])


@rule("reduce_mean")
def reduce_mean(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    (x,) = inputs
    if len(x.shape) == 4 and node.attributes["axes"] == (1, 2):
        layer = keras.layers.GlobalAveragePooling2D(keepdims=True, name=layer_name(node))
        return layer(x)
    return keras.ops.mean(x, axis=node.attributes["axes"], keepdims=True)


@rule("concat")
def concat(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    if len(inputs) == 1:
        return inputs[0]
    return keras.layers.Concatenate(axis=-1, name=layer_name(node))(list(inputs))


@rule("pad")
def pad(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    before, after = node.attributes["before"], node.attributes["after"]
    make = keras.layers.ZeroPadding2D if len(before) == 2 else keras.layers.ZeroPadding3D
    return make(tuple(zip(before, after, strict=True)), name=layer_name(node))(inputs[0])


@rule("crop")
def crop(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    before, after = node.attributes["before"], node.attributes["after"]
    cropping = tuple(zip(before, after, strict=True))
    return keras.layers.Cropping2D(cropping, name=layer_name(node))(inputs[0])


@rule("resize_bilinear")
def resize_bilinear(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return ResizeBilinear(node.attributes["size"], name=layer_name(node))(inputs[0])


@rule("slice_channels")
def slice_channels(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    start, size = node.attributes["start"], node.attributes["size"]
    return _named(inputs[0][..., start : start + size], node)


@rule("add")
def add(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return keras.layers.Add(name=layer_name(node))(list(inputs))


@rule("multiply")
def multiply(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    return keras.layers.Multiply(name=layer_name(node))(list(inputs))


@rule("rescale")
def rescale(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    attributes = node.attributes
    return keras.layers.Rescaling(attributes["scale"], attributes["offset"], name=layer_name(node))(
        inputs[0]
    )


@rule("clip")
def clip(_lowering: Lowering, node: Node, inputs: Sequence[KerasTensor]) -> KerasTensor:
    low, high = node.attributes["low"], node.attributes["high"]
    return _named(keras.ops.clip(inputs[0], low, high), node)


def _named(output: KerasTensor, node: Node) -> KerasTensor:
    """Name an operation as its node: Keras numbers operations over the whole process."""
    output._keras_history.operation.name = layer_name(node)
    return output
