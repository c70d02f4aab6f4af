"""MobileNet v2: bottlenecks that widen their input, convolve each channel, and project back.

Source: arXiv:1801.04381, Table 2. Differs from the paper: channels are multiples of 8 when thinned.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from model_zoo.activations import relu6
from model_zoo.architectures.atrous import OutputStride
from model_zoo.architectures.mobilenet_blocks import (
    check_final_endpoint,
    classify,
    dense_strides,
    depth_multiplier,
    expanded_conv,
    given,
    make_divisible,
    training_scope,
)
from model_zoo.architectures.registry import (
    DepthMultiplier,
    NumClasses,
    VariableScope,
    architecture,
)
from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Tensor, end_point, variable_scope
from model_zoo.layers import batch_norm, conv2d, fully_connected, separable_conv2d
from model_zoo.layers.arguments import ActivationFn, Count
from model_zoo.primitives import fixed_padding
from model_zoo.values import Later


class Conv(NamedTuple):
    """A line of Table 2 that is a convolution, of `k` x `k`."""

    k: int
    c: int
    s: int


class Bottleneck(NamedTuple):
    """A line of Table 2: `n` bottlenecks that widen by `t`; the first has the stride."""

    t: int
    c: int
    n: int
    s: int


# t, c, n, s
TABLE_2 = (
    Conv(k=3, c=32, s=2),
    Bottleneck(1, 16, 1, 1),
    Bottleneck(6, 24, 2, 2),
    Bottleneck(6, 32, 3, 2),
    Bottleneck(6, 64, 4, 2),
    Bottleneck(6, 96, 3, 1),
    Bottleneck(6, 160, 3, 2),
    Bottleneck(6, 320, 1, 1),
    Conv(k=1, c=1280, s=1),
)


def mobilenet_v2_base(
    inputs: Tensor,
    *,
    multiplier: float,
    finegrain_classification_mode: bool,
    min_depth: int | None,
    divisible_by: int | None,
    output_stride: int | None,
    use_explicit_padding: bool,
    final_endpoint: str | None,
) -> Tensor:
    """Build the layers of Table 2.

    Shape: (N, H, W, 3) -> (N, H / 32, W / 32, 1280 * multiplier)
    """
    layers = [
        (row, row.s if repeat == 0 else 1)
        for row in TABLE_2
        for repeat in range(row.n if isinstance(row, Bottleneck) else 1)
    ]
    geometry = dense_strides([stride for _, stride in layers], output_stride)
    check_final_endpoint(final_endpoint, len(layers))
    inner: dict[str, Tensor] = {}
    net = inputs
    with arg_scope([depth_multiplier], **given(min_depth=min_depth, divisible_by=divisible_by)):
        for number, ((row, _), (stride, rate)) in enumerate(zip(layers, geometry, strict=True), 1):
            channels: float = row.c
            if finegrain_classification_mode and number == len(layers) and multiplier < 1:
                channels /= multiplier
            depth = depth_multiplier(channels, multiplier)
            if isinstance(row, Conv):
                # No rate: none has come up before the first layer, and the last one is 1x1.
                if use_explicit_padding:
                    net = fixed_padding(net, row.k)
                net = conv2d(net, stride=stride, num_outputs=depth, kernel_size=[row.k, row.k])
            else:
                # Only what differs from the block's defaults, so that scopes reach the rest.
                block: Callable[..., dict[str, Tensor]] = expanded_conv
                if rate > 1:
                    block = functools.partial(block, rate=rate)
                if use_explicit_padding:
                    block = functools.partial(block, use_explicit_padding=True)
                size = make_divisible(net.channels * row.t, 1 if row.t == 1 else 8)
                parts = block(net, stride=stride, num_outputs=depth, expansion_size=size)
                inner |= {f"layer_{number}/{name}": part for name, part in parts.items()}
                net = parts["output"]
            end_point(f"layer_{number}", net)
            if f"layer_{number}" == final_endpoint:
                break
    for key, part in inner.items():
        end_point(key, part)
    return net


@architecture(
    arg_scope=training_scope,
    input_shape=(224, 224, 3),
    preprocessing="inception",
    source="arXiv:1801.04381, Table 2",
    classes=1001,
    background=True,
    variants={
        "mobilenet_v2_140": {"depth_multiplier": 1.4},
        "mobilenet_v2_050": {"depth_multiplier": 0.50, "finegrain_classification_mode": True},
        "mobilenet_v2_035": {"depth_multiplier": 0.35, "finegrain_classification_mode": True},
    },
)
def mobilenet_v2(
    inputs: Tensor,
    num_classes: NumClasses = 1001,
    is_training: bool = False,
    depth_multiplier: DepthMultiplier = 1.0,
    finegrain_classification_mode: bool = False,
    min_depth: Count | None = None,
    divisible_by: Count | None = None,
    activation_fn: ActivationFn = None,
    output_stride: OutputStride = None,
    use_explicit_padding: bool = False,
    base_only: bool = False,
    final_endpoint: str | None = None,
    use_reduce_mean_for_pooling: bool = False,
    scope: Later[VariableScope] = "MobilenetV2",
) -> Tensor:
    """Build MobileNet v2; without classes, return the pooled features; with `base_only`, the map.

    `activation_fn` defaults to ReLU6.

    Shape: (N, H, W, 3) -> (N, num_classes)
    """
    with variable_scope(scope):
        with (
            arg_scope([batch_norm], is_training=is_training),
            arg_scope([batch_norm], center=True, scale=True),
            arg_scope(
                [conv2d, fully_connected, separable_conv2d],
                normalizer_fn=batch_norm,
                activation_fn=activation_fn or relu6,
            ),
            arg_scope([expanded_conv], split_expansion=1, normalizer_fn=batch_norm, residual=True),
            arg_scope(
                [conv2d, separable_conv2d], padding="VALID" if use_explicit_padding else "SAME"
            ),
        ):
            net = mobilenet_v2_base(
                inputs,
                multiplier=depth_multiplier,
                finegrain_classification_mode=finegrain_classification_mode,
                min_depth=min_depth,
                divisible_by=divisible_by,
                output_stride=output_stride,
                use_explicit_padding=use_explicit_padding,
                final_endpoint=final_endpoint,
            )
        if base_only:
            return net
        return classify(
            net,
            num_classes,
            is_training=is_training,
            use_reduce_mean_for_pooling=use_reduce_mean_for_pooling,
        )
