"""MobileNet v1: depthwise separable convolutions, thinned by a depth multiplier.

Source: arXiv:1704.04861, Table 1. Differs from the paper: ReLU6, as in TF-Slim.
"""

from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge

from model_zoo.activations import relu6
from model_zoo.architectures.atrous import strides_and_rates
from model_zoo.architectures.heads import conv_logits, reduced_kernel_size
from model_zoo.architectures.registry import (
    DepthMultiplier,
    NumClasses,
    VariableScope,
    architecture,
)
from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Tensor, end_point, variable_scope
from model_zoo.layers import (
    avg_pool2d,
    batch_norm,
    conv2d,
    dropout,
    separable_conv2d,
    softmax,
)
from model_zoo.layers.arguments import Decay, Epsilon, KeepProbability, NormalizerFn, Padding
from model_zoo.primitives import fixed_padding, reduce_mean
from model_zoo.scope_chain import ArgScope
from model_zoo.values import Later, NonNegative, l2_regularizer, truncated_normal_initializer


def mobilenet_v1_arg_scope(
    is_training: bool | None = True,
    weight_decay: NonNegative = 0.00004,
    stddev: NonNegative = 0.09,
    regularize_depthwise: bool = False,
    batch_norm_decay: Decay = 0.9997,
    batch_norm_epsilon: Epsilon = 0.001,
    normalizer_fn: NormalizerFn = batch_norm,
) -> ArgScope:
    """Return TF-Slim's default scope of MobileNet v1; None leaves `is_training` to the network."""
    batch_norm_params = {
        "center": True,
        "scale": True,
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
    }
    if is_training is not None:
        batch_norm_params["is_training"] = is_training
    regularizer = l2_regularizer(weight_decay)
    with (
        arg_scope(
            [conv2d, separable_conv2d],
            weights_initializer=truncated_normal_initializer(stddev=stddev),
            activation_fn=relu6,
            normalizer_fn=normalizer_fn,
        ),
        arg_scope([batch_norm], **batch_norm_params),
        arg_scope([conv2d], weights_regularizer=regularizer),
        arg_scope(
            [separable_conv2d],
            weights_regularizer=regularizer if regularize_depthwise else None,
        ) as scope,
    ):
        return scope


class Row(NamedTuple):
    """A line of Table 1; all but the first are a depthwise and a pointwise convolution."""

    stride: int
    depth: int


# s, c (every kernel is 3x3; the output stride doubles where s is 2)
TABLE_1 = (
    Row(2, 32),
    Row(1, 64),
    Row(2, 128),
    Row(1, 128),
    Row(2, 256),
    Row(1, 256),
    Row(2, 512),
    Row(1, 512),
    Row(1, 512),
    Row(1, 512),
    Row(1, 512),
    Row(1, 512),
    Row(2, 1024),
    Row(1, 1024),
)


def mobilenet_v1_base(
    inputs: Tensor,
    *,
    min_depth: int,
    depth_multiplier: float,
    output_stride: int | None,
    use_explicit_padding: bool,
) -> Tensor:
    """Build the convolutions of Table 1.

    Shape: (N, H, W, 3) -> (N, H / 32, W / 32, 1024 * depth_multiplier)
    """

    def depth(channels: int) -> int:
        return max(int(channels * depth_multiplier), min_depth)

    def padded(net: Tensor, rate: int = 1) -> Tensor:
        return fixed_padding(net, 3, rate) if use_explicit_padding else net

    net = inputs
    geometry = strides_and_rates([row.stride for row in TABLE_1], output_stride)
    padding: Padding = "VALID" if use_explicit_padding else "SAME"
    with arg_scope([conv2d, separable_conv2d], padding=padding):
        for i, (row, (stride, rate)) in enumerate(zip(TABLE_1, geometry, strict=True)):
            if i == 0:
                net = conv2d(
                    padded(net),
                    depth(row.depth),
                    [3, 3],
                    stride=stride,
                    scope="Conv2d_0",
                )
                end_point("Conv2d_0", net)
                continue
            net = separable_conv2d(
                padded(net, rate),
                None,
                [3, 3],
                depth_multiplier=1,
                stride=stride,
                rate=rate,
                scope=f"Conv2d_{i}_depthwise",
            )
            end_point(f"Conv2d_{i}_depthwise", net)
            net = conv2d(
                net,
                depth(row.depth),
                [1, 1],
                stride=1,
                scope=f"Conv2d_{i}_pointwise",
            )
            end_point(f"Conv2d_{i}_pointwise", net)
    return net


@architecture(
    arg_scope=mobilenet_v1_arg_scope,
    input_shape=(224, 224, 3),
    preprocessing="inception",
    source="arXiv:1704.04861, Table 1",
    classes=1001,
    background=True,
    variants={
        "mobilenet_v1_075": {"depth_multiplier": 0.75},
        "mobilenet_v1_050": {"depth_multiplier": 0.50},
        "mobilenet_v1_025": {"depth_multiplier": 0.25},
    },
)
def mobilenet_v1(
    inputs: Tensor,
    num_classes: NumClasses = 1000,
    dropout_keep_prob: KeepProbability = 0.999,
    is_training: bool = True,
    min_depth: Annotated[int, Ge(1)] = 8,
    depth_multiplier: DepthMultiplier = 1.0,
    spatial_squeeze: bool = True,
    global_pool: bool = False,
    output_stride: Later[Literal[8, 16, 32] | None] = None,
    use_explicit_padding: Later[bool] = False,
    scope: Later[VariableScope] = "MobilenetV1",
) -> Tensor:
    """Build MobileNet v1; without classes, return the pooled features.

    Past `output_stride`, strides become rates. `use_explicit_padding` pads as SAME does at stride
    1, whatever the stride.

    Shape: (N, H, W, 3) -> (N, num_classes), or (N, H', W', num_classes) without `spatial_squeeze`
    """
    with (
        variable_scope(scope),
        arg_scope([batch_norm, dropout], is_training=is_training),
    ):
        net = mobilenet_v1_base(
            inputs,
            min_depth=min_depth,
            depth_multiplier=depth_multiplier,
            output_stride=output_stride,
            use_explicit_padding=use_explicit_padding,
        )
        with variable_scope("Logits"):
            if global_pool:
                net = end_point("global_pool", reduce_mean(net, [1, 2], "global_pool"))
            else:
                kernel_size = reduced_kernel_size(net, (7, 7))
                net = avg_pool2d(net, kernel_size, padding="VALID", scope="AvgPool_1a")
                end_point("AvgPool_1a", net)
            if not num_classes:
                return net
            net = dropout(net, keep_prob=dropout_keep_prob, scope="Dropout_1b")
            logits = conv_logits(net, num_classes, spatial_squeeze)
        end_point("Logits", logits)
        end_point("Predictions", softmax(logits, scope="Predictions"))
    return logits
