"""Convolutions, with the bias or normalizer and the activation that TF-Slim puts after them."""

from model_zoo import primitives
from model_zoo.activations import relu
from model_zoo.errors import BuildError
from model_zoo.graph import Tensor, Variable, current_graph, layer_scope
from model_zoo.layers.arguments import (
    ActivationFn,
    Count,
    InitializerFn,
    NormalizerFn,
    NormalizerParams,
    Padding,
    RegularizerFn,
    Size,
    Size3D,
)
from model_zoo.layers.epilogue import apply_epilogue
from model_zoo.layers.registry import register_op
from model_zoo.primitives import pair, sizes
from model_zoo.values import xavier_initializer, zeros_initializer


def _weights(
    name: str,
    shape: tuple[int, ...],
    initializer: InitializerFn,
    regularizer: RegularizerFn,
    trainable: bool,
) -> Variable:
    for size in shape:
        if type(size) is not int or size < 1:
            raise BuildError(
                f"every dimension of {name} must be an integer of at least 1; received {shape}."
            )
    return current_graph().variable(name, shape, initializer, regularizer, trainable=trainable)


@register_op(layer="Conv")
def conv2d(
    inputs: Tensor,
    num_outputs: Count,
    kernel_size: Size,
    stride: Size = 1,
    padding: Padding = "SAME",
    rate: Size = 1,
    activation_fn: ActivationFn = relu,
    normalizer_fn: NormalizerFn = None,
    normalizer_params: NormalizerParams = None,
    weights_initializer: InitializerFn = xavier_initializer(),
    weights_regularizer: RegularizerFn = None,
    biases_initializer: InitializerFn | None = zeros_initializer(),
    biases_regularizer: RegularizerFn = None,
    reuse: bool | None = None,
    trainable: bool = True,
    scope: str | None = None,
) -> Tensor:
    """Convolve, then normalise or add biases, then activate.

    With a `normalizer_fn` there are no biases. Variables: `weights` (h, w, C, num_outputs),
    `biases` (num_outputs,), or those of the normalizer.

    Shape: (N, H, W, C) -> (N, H', W', num_outputs)
    Raises: BuildError for a window larger than the input, or stride and rate both above 1.
    """
    with layer_scope(scope, reuse=reuse):
        weights = _weights(
            "weights",
            (*sizes(kernel_size, 2, "kernel_size"), inputs.channels, num_outputs),
            weights_initializer,
            weights_regularizer,
            trainable,
        )
        outputs = primitives.conv(
            inputs,
            weights,
            strides=sizes(stride, 2, "stride"),
            padding=padding,
            rate=sizes(rate, 2, "rate"),
        )
        return apply_epilogue(
            outputs,
            activation_fn=activation_fn,
            normalizer_fn=normalizer_fn,
            normalizer_params=normalizer_params,
            biases_initializer=biases_initializer,
            biases_regularizer=biases_regularizer,
            trainable=trainable,
        )


@register_op(layer="Conv")
def conv3d(
    inputs: Tensor,
    num_outputs: Count,
    kernel_size: Size3D,
    stride: Size3D = 1,
    padding: Padding = "SAME",
    rate: Size3D = 1,
    activation_fn: ActivationFn = relu,
    normalizer_fn: NormalizerFn = None,
    normalizer_params: NormalizerParams = None,
    weights_initializer: InitializerFn = xavier_initializer(),
    weights_regularizer: RegularizerFn = None,
    biases_initializer: InitializerFn | None = zeros_initializer(),
    biases_regularizer: RegularizerFn = None,
    reuse: bool | None = None,
    trainable: bool = True,
    scope: str | None = None,
) -> Tensor:
    """Convolve over time, height and width, then normalise or add biases, then activate.

    Variables: `weights` (t, h, w, C, num_outputs), else as conv2d's.

    Shape: (N, T, H, W, C) -> (N, T', H', W', num_outputs)
    Raises: BuildError for a window larger than the input, or stride and rate both above 1.
    """
    with layer_scope(scope, reuse=reuse):
        weights = _weights(
            "weights",
            (*sizes(kernel_size, 3, "kernel_size"), inputs.channels, num_outputs),
            weights_initializer,
            weights_regularizer,
            trainable,
        )
        outputs = primitives.conv(
            inputs,
            weights,
            strides=sizes(stride, 3, "stride"),
            padding=padding,
            rate=sizes(rate, 3, "rate"),
        )
        return apply_epilogue(
            outputs,
            activation_fn=activation_fn,
            normalizer_fn=normalizer_fn,
            normalizer_params=normalizer_params,
            biases_initializer=biases_initializer,
            biases_regularizer=biases_regularizer,
            trainable=trainable,
        )


convolution2d = conv2d


@register_op(layer="SeparableConv2d")
def separable_conv2d(
    inputs: Tensor,
    num_outputs: Count | None,
    kernel_size: Size,
    depth_multiplier: Count = 1,
    stride: Size = 1,
    padding: Padding = "SAME",
    rate: Size = 1,
    activation_fn: ActivationFn = relu,
    normalizer_fn: NormalizerFn = None,
    normalizer_params: NormalizerParams = None,
    weights_initializer: InitializerFn = xavier_initializer(),
    pointwise_initializer: InitializerFn | None = None,
    weights_regularizer: RegularizerFn = None,
    biases_initializer: InitializerFn | None = zeros_initializer(),
    biases_regularizer: RegularizerFn = None,
    reuse: bool | None = None,
    trainable: bool = True,
    scope: str | None = None,
) -> Tensor:
    """Convolve each channel, mix channels by a 1x1 convolution, then as `conv2d`.

    With `num_outputs=None` there is no mixing: a depthwise convolution. `pointwise_initializer`
    defaults to `weights_initializer`. Variables: `depthwise_weights` (h, w, C, depth_multiplier),
    `pointwise_weights` (1, 1, C * depth_multiplier, num_outputs), `biases` or the normalizer's.

    Shape: (N, H, W, C) -> (N, H', W', num_outputs or C * depth_multiplier)
    Raises: BuildError for unequal strides, or as `conv2d`.
    """
    with layer_scope(scope, reuse=reuse):
        depthwise_weights = _weights(
            "depthwise_weights",
            (*pair(kernel_size, "kernel_size"), inputs.channels, depth_multiplier),
            weights_initializer,
            weights_regularizer,
            trainable,
        )
        outputs = primitives.depthwise_conv2d(
            inputs,
            depthwise_weights,
            strides=pair(stride, "stride"),
            padding=padding,
            rate=pair(rate, "rate"),
        )
        if num_outputs is not None:
            pointwise_weights = _weights(
                "pointwise_weights",
                (1, 1, outputs.channels, num_outputs),
                pointwise_initializer or weights_initializer,
                weights_regularizer,
                trainable,
            )
            outputs = primitives.conv(
                outputs, pointwise_weights, strides=(1, 1), padding="VALID", rate=(1, 1)
            )
        return apply_epilogue(
            outputs,
            activation_fn=activation_fn,
            normalizer_fn=normalizer_fn,
            normalizer_params=normalizer_params,
            biases_initializer=biases_initializer,
            biases_regularizer=biases_regularizer,
            trainable=trainable,
        )


@register_op(layer="Conv2d_transpose")
def conv2d_transpose(
    inputs: Tensor,
    num_outputs: Count,
    kernel_size: Size,
    stride: Size = 1,
    padding: Padding = "SAME",
    activation_fn: ActivationFn = relu,
    normalizer_fn: NormalizerFn = None,
    normalizer_params: NormalizerParams = None,
    weights_initializer: InitializerFn = xavier_initializer(),
    weights_regularizer: RegularizerFn = None,
    biases_initializer: InitializerFn | None = zeros_initializer(),
    biases_regularizer: RegularizerFn = None,
    reuse: bool | None = None,
    trainable: bool = True,
    scope: str | None = None,
) -> Tensor:
    """Transpose a convolution (upsample), then as `conv2d`.

    Variables: `weights` (h, w, num_outputs, C), `biases` or the normalizer's.
    Shape: (N, H, W, C) -> (N, H * stride, W * stride, num_outputs) with padding SAME
    """
    with layer_scope(scope, reuse=reuse):
        weights = _weights(
            "weights",
            (*pair(kernel_size, "kernel_size"), num_outputs, inputs.channels),
            weights_initializer,
            weights_regularizer,
            trainable,
        )
        outputs = primitives.conv2d_transpose(
            inputs, weights, strides=pair(stride, "stride"), padding=padding
        )
        return apply_epilogue(
            outputs,
            activation_fn=activation_fn,
            normalizer_fn=normalizer_fn,
            normalizer_params=normalizer_params,
            biases_initializer=biases_initializer,
            biases_regularizer=biases_regularizer,
            trainable=trainable,
        )
