"""Xception, aligned and made deeper for dense prediction, as DeepLab uses it.

Source: arXiv:1610.02357, Figure 5; arXiv:1802.02611, Figure 4 (the changes).

    end point                 output, of 299 x 299
    entry_flow/conv1_1, 1_2   150 x 150 x 32, 64
    entry_flow/block1          75 x  75 x 128
    entry_flow/block2          38 x  38 x 256
    entry_flow/block3          19 x  19 x 728
    middle_flow/block1         19 x  19 x 728    8 or 16 units
    exit_flow/block1           10 x  10 x 1024
    exit_flow/block2           10 x  10 x 2048

Differs from the paper: separable convolutions stride where it pools, and each half of a separable
convolution is normalized. The activations stand before the separable convolutions, not in the
scope. Without classes the features are returned, which is the default.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from annotated_types import Len

from model_zoo.activations import relu, relu6
from model_zoo.architectures.atrous import OutputStride, strides_and_rates
from model_zoo.architectures.registry import Network, NumClasses, architecture
from model_zoo.architectures.resnet import conv2d_same
from model_zoo.arg_scope import ArgScope, arg_scope
from model_zoo.graph import Tensor, end_point, layer_scope, scoped_end_point, variable_scope
from model_zoo.layers import (
    batch_norm,
    conv2d,
    dropout,
    register_op,
    separable_conv2d,
    softmax,
)
from model_zoo.layers.arguments import ActivationFn, Count, Decay, Epsilon, KeepProbability
from model_zoo.primitives import add, clip, fixed_padding, reduce_mean
from model_zoo.values import NonNegative, l2_regularizer, truncated_normal_initializer

Skip = Literal["conv", "sum", "none"]
Rates = Annotated[Sequence[Count], Len(3, 3)]


def xception_arg_scope(
    weight_decay: NonNegative = 0.00004,
    batch_norm_decay: Decay = 0.9997,
    batch_norm_epsilon: Epsilon = 0.001,
    batch_norm_scale: bool = True,
    weights_initializer_stddev: NonNegative = 0.09,
    regularize_depthwise: bool = False,
    use_batch_norm: bool = True,
    use_bounded_activation: bool = False,
) -> ArgScope:
    """Return DeepLab's default scope of Xception; bounded activations suit quantization."""
    regularizer = l2_regularizer(weight_decay)
    with (
        arg_scope(
            [conv2d, separable_conv2d],
            weights_initializer=truncated_normal_initializer(stddev=weights_initializer_stddev),
            activation_fn=relu6 if use_bounded_activation else relu,
            normalizer_fn=batch_norm if use_batch_norm else None,
        ),
        arg_scope(
            [batch_norm],
            decay=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            scale=batch_norm_scale,
        ),
        arg_scope([conv2d], weights_regularizer=regularizer),
        arg_scope(
            [separable_conv2d],
            weights_regularizer=regularizer if regularize_depthwise else None,
        ),
        arg_scope(
            [xception_module],
            use_bounded_activation=use_bounded_activation,
            use_explicit_padding=not use_bounded_activation,
        ) as scope,
    ):
        return scope


class Block(NamedTuple):
    """A box of Figure 5: units of three separable convolutions; every unit has the stride."""

    name: str
    depths: tuple[int, int, int]
    skip: Skip
    units: int
    stride: int


# depths, skip connection, units, stride
ENTRY_FLOW = (
    Block("entry_flow/block1", (128, 128, 128), "conv", 1, 2),
    Block("entry_flow/block2", (256, 256, 256), "conv", 1, 2),
    Block("entry_flow/block3", (728, 728, 728), "conv", 1, 2),
)
DEEPER_ENTRY_FLOW = (
    Block("entry_flow/block1", (128, 128, 128), "conv", 1, 2),
    Block("entry_flow/block2", (256, 256, 256), "conv", 1, 1),
    Block("entry_flow/block3", (256, 256, 256), "conv", 1, 2),
    Block("entry_flow/block4", (728, 728, 728), "conv", 1, 1),
    Block("entry_flow/block5", (728, 728, 728), "conv", 1, 2),
)
MIDDLE_FLOW_8 = (Block("middle_flow/block1", (728, 728, 728), "sum", 8, 1),)
MIDDLE_FLOW_16 = (Block("middle_flow/block1", (728, 728, 728), "sum", 16, 1),)
EXIT_FLOW = (
    Block("exit_flow/block1", (728, 1024, 1024), "conv", 1, 2),
    Block("exit_flow/block2", (1536, 1536, 2048), "none", 1, 1),
)


@register_op
def separable_conv2d_same(
    inputs: Tensor,
    num_outputs: Count,
    kernel_size: Count,
    depth_multiplier: Count,
    stride: Count,
    rate: Count = 1,
    use_explicit_padding: bool = True,
    regularize_depthwise: bool = False,
    activation_fn: ActivationFn = relu,
    scope: str = "separable_conv2d",
) -> Tensor:
    """Convolve each channel, then across channels, with padding that the input's size leaves alone.

    Unless `regularize_depthwise`, the halves are layers of their own (`scope`_depthwise and
    `scope`_pointwise), each with its normalizer.

    Shape: (N, H, W, C) -> (N, ceil(H / stride), ceil(W / stride), num_outputs)
    """
    padding: Literal["SAME", "VALID"] = "SAME"
    if stride != 1 and use_explicit_padding:
        inputs = fixed_padding(inputs, kernel_size, rate)
        padding = "VALID"
    if regularize_depthwise:
        net = separable_conv2d(
            inputs,
            num_outputs,
            kernel_size,
            depth_multiplier=depth_multiplier,
            stride=stride,
            rate=rate,
            padding=padding,
            activation_fn=activation_fn,
            scope=scope,
        )
        return scoped_end_point(scope, net)
    net = separable_conv2d(
        inputs,
        None,
        kernel_size,
        depth_multiplier=depth_multiplier,
        stride=stride,
        rate=rate,
        padding=padding,
        activation_fn=activation_fn,
        scope=f"{scope}_depthwise",
    )
    scoped_end_point(f"{scope}_depthwise", net)
    net = conv2d(net, num_outputs, 1, activation_fn=activation_fn, scope=f"{scope}_pointwise")
    return scoped_end_point(f"{scope}_pointwise", net)


def clip_6(x: Tensor) -> Tensor:
    """Limit each element to [-6, 6]."""
    return clip(x, -6.0, 6.0)


@register_op(layer="xception_module")
def xception_module(
    inputs: Tensor,
    depth_list: Annotated[Sequence[Count], Len(3, 3)],
    skip_connection_type: Skip,
    stride: Count,
    kernel_size: Count = 3,
    unit_rate_list: Rates = (1, 1, 1),
    rate: Count = 1,
    activation_fn_in_separable_conv: bool = False,
    regularize_depthwise: bool = False,
    use_bounded_activation: bool = False,
    use_explicit_padding: bool = True,
    scope: str | None = None,
) -> Tensor:
    """Add three separable convolutions to the input, or to its projection, or to nothing.

    The activation stands before each convolution, or with `activation_fn_in_separable_conv` in it.
    `use_bounded_activation` keeps every sum within [-6, 6].

    Shape: (N, H, W, C) -> (N, ceil(H / stride), ceil(W / stride), depth_list[2])
    """
    activation_fn = relu6 if use_bounded_activation else relu
    bound = clip_6 if use_bounded_activation else None
    with layer_scope(scope):
        residual = inputs
        for i, depth in enumerate(depth_list):
            if not activation_fn_in_separable_conv:
                residual = activation_fn(residual)
            residual = separable_conv2d_same(
                residual,
                depth,
                kernel_size,
                depth_multiplier=1,
                stride=stride if i == 2 else 1,
                rate=rate * unit_rate_list[i],
                activation_fn=activation_fn if activation_fn_in_separable_conv else bound,
                use_explicit_padding=use_explicit_padding,
                regularize_depthwise=regularize_depthwise,
                scope=f"separable_conv{i + 1}",
            )
        if skip_connection_type == "none":
            return residual
        shortcut = inputs
        if skip_connection_type == "conv":
            shortcut = conv2d(
                inputs,
                depth_list[-1],
                [1, 1],
                stride=stride,
                activation_fn=None,
                scope="shortcut",
            )
            scoped_end_point("shortcut", shortcut)
        if bound is None:
            return add(residual, shortcut)
        return relu6(add(bound(residual), bound(shortcut)))


def stack_blocks_dense(
    net: Tensor,
    blocks: tuple[Block, ...],
    output_stride: int | None,
    *,
    regularize_depthwise: bool,
    multi_grid: Rates | None,
) -> Tensor:
    """Stack the units of all blocks; `multi_grid` gives the last one's rates.

    Raises: BuildError if the strides do not reach `output_stride`.
    """
    strides = [block.stride for block in blocks for _ in range(block.units)]
    dense = iter(strides_and_rates(strides, output_stride, root_stride=2))
    for block in blocks:
        with variable_scope(block.name):
            for unit in range(1, block.units + 1):
                stride, rate = next(dense)
                with variable_scope(f"unit_{unit}"):
                    net = xception_module(
                        net,
                        block.depths,
                        block.skip,
                        stride,
                        kernel_size=3,
                        unit_rate_list=(block is blocks[-1] and multi_grid) or (1, 1, 1),
                        rate=rate,
                        activation_fn_in_separable_conv=block is blocks[-1],
                        regularize_depthwise=regularize_depthwise,
                    )
                    scoped_end_point("xception_module", net)
        scoped_end_point(block.name, net)
    return net


def _xception(name: str, blocks: tuple[Block, ...]) -> Network:
    def network(
        inputs: Tensor,
        num_classes: NumClasses = None,
        is_training: bool = True,
        global_pool: bool = True,
        keep_prob: KeepProbability = 0.5,
        output_stride: OutputStride = None,
        regularize_depthwise: bool = False,
        multi_grid: Rates | None = None,
    ) -> Tensor:
        with variable_scope(name), arg_scope([batch_norm], is_training=is_training):
            net = conv2d_same(inputs, 32, 3, stride=2, scope="entry_flow/conv1_1")
            scoped_end_point("entry_flow/conv1_1", net)
            net = conv2d_same(net, 64, 3, stride=1, scope="entry_flow/conv1_2")
            scoped_end_point("entry_flow/conv1_2", net)
            net = stack_blocks_dense(
                net,
                blocks,
                output_stride,
                regularize_depthwise=regularize_depthwise,
                multi_grid=multi_grid,
            )
            if global_pool:
                net = end_point("global_pool", reduce_mean(net, [1, 2], "global_pool"))
            if not num_classes:
                return net
            net = dropout(
                net, keep_prob=keep_prob, is_training=is_training, scope="prelogits_dropout"
            )
            net = conv2d(
                net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None, scope="logits"
            )
            scoped_end_point("logits", net)
            end_point("predictions", softmax(net, scope="predictions"))
        return net

    network.__name__ = name
    network.__doc__ = f"Build DeepLab's Xception of {name.rsplit('_', 1)[-1]} layers."
    register = architecture(
        arg_scope=xception_arg_scope,
        input_shape=(299, 299, 3),
        preprocessing="inception",
        source="arXiv:1802.02611, Figure 4",
        classes=1001,
        background=True,
    )
    return register(network)


xception_41 = _xception("xception_41", ENTRY_FLOW + MIDDLE_FLOW_8 + EXIT_FLOW)
xception_65 = _xception("xception_65", ENTRY_FLOW + MIDDLE_FLOW_16 + EXIT_FLOW)
xception_71 = _xception("xception_71", DEEPER_ENTRY_FLOW + MIDDLE_FLOW_16 + EXIT_FLOW)
