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
from typing import Annotated, Literal, NamedTuple, TypedDict, Unpack

from annotated_types import Len

from model_zoo.activations import relu, relu6
from model_zoo.architectures.atrous import OutputStride
from model_zoo.architectures.mobilenet_blocks import hard_sigmoid, squeeze_excite
from model_zoo.architectures.registry import Network, NumClasses, VariableScope, architecture
from model_zoo.architectures.stacks import Block, conv2d_same, stack_blocks_dense, stride_after_root
from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Tensor, end_point, layer_scope, scoped_end_point, variable_scope
from model_zoo.layers import (
    batch_norm,
    conv2d,
    dropout,
    register_op,
    separable_conv2d,
    softmax,
)
from model_zoo.layers.arguments import (
    ActivationFn,
    Count,
    Decay,
    Epsilon,
    InitializerFn,
    KeepProbability,
    NormalizerFn,
    NormalizerParams,
    RegularizerFn,
)
from model_zoo.primitives import add, clip, fixed_padding, reduce_mean
from model_zoo.scope_chain import ArgScope
from model_zoo.values import Later, NonNegative, l2_regularizer, truncated_normal_initializer

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


class Row(NamedTuple):
    """A box of Figure 5: units of three separable convolutions; every unit has the stride.

    `se` says whether they squeeze and excite where the network does.
    """

    scope: str
    depths: tuple[int, int, int]
    skip: Skip
    units: int
    stride: int
    se: bool = False


# depths, skip connection, units, stride, whether it may squeeze and excite
ENTRY_FLOW = (
    Row("entry_flow/block1", (128, 128, 128), "conv", 1, 2),
    Row("entry_flow/block2", (256, 256, 256), "conv", 1, 2),
    Row("entry_flow/block3", (728, 728, 728), "conv", 1, 2, True),
)
DEEPER_ENTRY_FLOW = (
    Row("entry_flow/block1", (128, 128, 128), "conv", 1, 2),
    Row("entry_flow/block2", (256, 256, 256), "conv", 1, 1),
    Row("entry_flow/block3", (256, 256, 256), "conv", 1, 2),
    Row("entry_flow/block4", (728, 728, 728), "conv", 1, 1, True),
    Row("entry_flow/block5", (728, 728, 728), "conv", 1, 2, True),
)
MIDDLE_FLOW_8 = (Row("middle_flow/block1", (728, 728, 728), "sum", 8, 1, True),)
MIDDLE_FLOW_16 = (Row("middle_flow/block1", (728, 728, 728), "sum", 16, 1, True),)
EXIT_FLOW = (
    Row("exit_flow/block1", (728, 1024, 1024), "conv", 1, 2, True),
    Row("exit_flow/block2", (1536, 1536, 2048), "none", 1, 1),
)


class ConvolutionArguments(TypedDict, total=False):
    """What `separable_conv2d` and `conv2d` both take, beside the sizes."""

    activation_fn: ActivationFn
    normalizer_fn: NormalizerFn
    normalizer_params: NormalizerParams
    weights_initializer: InitializerFn
    weights_regularizer: RegularizerFn
    biases_initializer: InitializerFn | None
    biases_regularizer: RegularizerFn
    reuse: bool | None
    trainable: bool


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
    scope: str = "separable_conv2d",
    **keywords: Unpack[ConvolutionArguments],
) -> Tensor:
    """Convolve each channel, then across channels, with padding that the input's size leaves alone.

    Unless `regularize_depthwise`, the halves are layers of their own (`scope`_depthwise and
    `scope`_pointwise), each with its normalizer. Further arguments go to both; what is not given
    comes from the scopes of `separable_conv2d` and `conv2d`.

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
            scope=scope,
            **keywords,
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
        scope=f"{scope}_depthwise",
        **keywords,
    )
    scoped_end_point(f"{scope}_depthwise", net)
    net = conv2d(net, num_outputs, 1, scope=f"{scope}_pointwise", **keywords)
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
    use_squeeze_excite: bool = False,
    se_pool_size: Count | None = None,
    scope: str | None = None,
) -> Tensor:
    """Add three separable convolutions to the input, or to its projection, or to nothing.

    The activation stands before each convolution, or with `activation_fn_in_separable_conv` in it.
    `use_bounded_activation` keeps every sum within [-6, 6]. With `use_squeeze_excite` the
    convolutions' output is weighed by `squeeze_excite`, over windows of `se_pool_size`.

    Shape: (N, H, W, C) -> (N, ceil(H / stride), ceil(W / stride), depth_list[2])
    """
    activation_fn = relu6 if use_bounded_activation else relu
    bound = clip_6 if use_bounded_activation else None
    with layer_scope(scope) as path:
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
        if use_squeeze_excite:
            residual = squeeze_excite(
                residual,
                squeeze_factor=16,
                inner_activation_fn=relu,
                gating_fn=hard_sigmoid,
                pool=se_pool_size,
                publish=True,
            )
        output = residual
        if skip_connection_type != "none":
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
                output = add(residual, shortcut)
            else:
                output = relu6(add(bound(residual), bound(shortcut)))
    return end_point(path, output)


def make_blocks(
    rows: tuple[Row, ...],
    *,
    regularize_depthwise: bool,
    multi_grid: Rates | None,
    use_squeeze_excite: bool,
    se_pool_size: int | None,
) -> tuple[Block, ...]:
    """Return the blocks of Figure 5; `multi_grid` gives the last one's rates."""
    blocks = []
    for row in rows:
        is_last = row is rows[-1]
        arguments = {
            "depth_list": row.depths,
            "skip_connection_type": row.skip,
            "kernel_size": 3,
            "unit_rate_list": (is_last and multi_grid) or (1, 1, 1),
            "activation_fn_in_separable_conv": is_last,
            "regularize_depthwise": regularize_depthwise,
            "use_squeeze_excite": use_squeeze_excite and row.se,
            "se_pool_size": se_pool_size,
        }
        blocks.append(Block(row.scope, xception_module, (row.stride,) * row.units, arguments))
    return tuple(blocks)


def _xception(name: str, rows: tuple[Row, ...]) -> Network:
    def network(
        inputs: Tensor,
        num_classes: NumClasses = None,
        is_training: bool = True,
        global_pool: bool = True,
        keep_prob: KeepProbability = 0.5,
        output_stride: OutputStride = None,
        regularize_depthwise: bool = False,
        multi_grid: Rates | None = None,
        use_squeeze_excite: Later[bool] = False,
        se_pool_size: Later[Count | None] = None,
        scope: Later[VariableScope] = name,
    ) -> Tensor:
        blocks = make_blocks(
            rows,
            regularize_depthwise=regularize_depthwise,
            multi_grid=multi_grid,
            use_squeeze_excite=use_squeeze_excite,
            se_pool_size=se_pool_size,
        )
        left = stride_after_root(blocks, output_stride, 2)
        with variable_scope(scope), arg_scope([batch_norm], is_training=is_training):
            net = conv2d_same(inputs, 32, 3, stride=2, scope="entry_flow/conv1_1")
            scoped_end_point("entry_flow/conv1_1", net)
            net = conv2d_same(net, 64, 3, stride=1, scope="entry_flow/conv1_2")
            scoped_end_point("entry_flow/conv1_2", net)
            net = stack_blocks_dense(net, blocks, left)
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
