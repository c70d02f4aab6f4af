"""MobileNet v3: searched bottlenecks, some with squeeze and excite; variants for accelerators.

Source: arXiv:1905.02244, Tables 1 and 2. The minimalistic networks and MobileNet-EdgeTPU stand in
no paper; their tables are TF-Slim's.

Differs from the paper, as in TF-Slim: Table 2's 1x1 convolution to 576 channels has no squeeze and
excite, the hard sigmoid multiplies by a rounded 1/6, and thinned channels are multiples of 8.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from model_zoo.activations import Activation, hard_swish, relu
from model_zoo.architectures.atrous import OutputStride
from model_zoo.architectures.mobilenet_blocks import (
    check_final_endpoint,
    classify,
    dense_strides,
    depth_multiplier,
    expanded_conv,
    hard_sigmoid,
    make_divisible,
    squeeze_excite,
    training_scope,
)
from model_zoo.architectures.registry import (
    DepthMultiplier,
    Network,
    NumClasses,
    VariableScope,
    architecture,
)
from model_zoo.arg_scope import arg_scope
from model_zoo.errors import BuildError
from model_zoo.graph import Tensor, end_point, variable_scope
from model_zoo.layers import (
    avg_pool2d,
    batch_norm,
    conv2d,
    fully_connected,
    group_norm,
    separable_conv2d,
)
from model_zoo.layers.arguments import Count
from model_zoo.primitives import fixed_padding
from model_zoo.values import Later


class Conv(NamedTuple):
    """A convolution, without normalizer where the paper says NBN."""

    kernel: int
    out: int
    nl: Activation
    stride: int
    nbn: bool = False


class Bneck(NamedTuple):
    """A bottleneck: `exp` is the size of its expansion, `se` whether it squeezes and excites."""

    kernel: int
    exp: int
    out: int
    se: bool
    nl: Activation
    stride: int
    residual: bool = True


class Fused(NamedTuple):
    """A bottleneck whose expansion is a full convolution, which stands in for the depthwise one."""

    kernel: int
    exp: int
    out: int
    stride: int


class Pool(NamedTuple):
    """The average over the whole map, or over `kernel` x `kernel` where it is not a square."""

    kernel: int
    stride: int = 1


Row = Conv | Bneck | Fused | Pool
RE, HS = relu, hard_swish

# kernel, exp size, #out, SE, NL, s
TABLE_1 = (
    Conv(3, 16, HS, 2),
    Bneck(3, 16, 16, False, RE, 1),
    Bneck(3, 64, 24, False, RE, 2),
    Bneck(3, 72, 24, False, RE, 1),
    Bneck(5, 72, 40, True, RE, 2),
    Bneck(5, 120, 40, True, RE, 1),
    Bneck(5, 120, 40, True, RE, 1),
    Bneck(3, 240, 80, False, HS, 2),
    Bneck(3, 200, 80, False, HS, 1),
    Bneck(3, 184, 80, False, HS, 1),
    Bneck(3, 184, 80, False, HS, 1),
    Bneck(3, 480, 112, True, HS, 1),
    Bneck(3, 672, 112, True, HS, 1),
    Bneck(5, 672, 160, True, HS, 2),
    Bneck(5, 960, 160, True, HS, 1),
    Bneck(5, 960, 160, True, HS, 1),
    Conv(1, 960, HS, 1),
    Pool(7),
    Conv(1, 1280, HS, 1, nbn=True),
)

# kernel, exp size, #out, SE, NL, s
TABLE_2 = (
    Conv(3, 16, HS, 2),
    Bneck(3, 16, 16, True, RE, 2),
    Bneck(3, 72, 24, False, RE, 2),
    Bneck(3, 88, 24, False, RE, 1),
    Bneck(5, 96, 40, True, HS, 2),
    Bneck(5, 240, 40, True, HS, 1),
    Bneck(5, 240, 40, True, HS, 1),
    Bneck(5, 120, 48, True, HS, 1),
    Bneck(5, 144, 48, True, HS, 1),
    Bneck(5, 288, 96, True, HS, 2),
    Bneck(5, 576, 96, True, HS, 1),
    Bneck(5, 576, 96, True, HS, 1),
    Conv(1, 576, HS, 1),
    Pool(7),
    Conv(1, 1024, HS, 1, nbn=True),
)

# kernel, exp size, #out, (SE, NL,) s
EDGETPU = (
    Conv(3, 32, RE, 2),
    Fused(3, 32, 16, 1),
    Fused(3, 128, 32, 2),
    Fused(3, 128, 32, 1),
    Fused(3, 128, 32, 1),
    Fused(3, 128, 32, 1),
    Fused(3, 256, 48, 2),
    Fused(3, 192, 48, 1),
    Fused(3, 192, 48, 1),
    Fused(3, 192, 48, 1),
    Bneck(3, 384, 96, False, RE, 2),
    Bneck(3, 384, 96, False, RE, 1),
    Bneck(3, 384, 96, False, RE, 1),
    Bneck(3, 384, 96, False, RE, 1),
    Bneck(3, 768, 96, False, RE, 1, residual=False),
    Bneck(3, 384, 96, False, RE, 1),
    Bneck(3, 384, 96, False, RE, 1),
    Bneck(3, 384, 96, False, RE, 1),
    Bneck(5, 768, 160, False, RE, 2),
    Bneck(5, 640, 160, False, RE, 1),
    Bneck(5, 640, 160, False, RE, 1),
    Bneck(5, 640, 160, False, RE, 1),
    Bneck(3, 1280, 192, False, RE, 1),
    Conv(1, 1280, RE, 1),
)


def minimalistic(table: Sequence[Row]) -> tuple[Row, ...]:
    """Return the table without 5x5 kernels, squeeze and excite, and hard swish."""
    return tuple(
        row._replace(kernel=3, se=False, nl=RE)
        if isinstance(row, Bneck)
        else row._replace(nl=RE)
        if isinstance(row, Conv)
        else row
        for row in table
    )


def squeeze_excite_4(expansion: Tensor) -> Tensor:
    """Squeeze and excite by a quarter of the channels. Shape: unchanged."""
    return squeeze_excite(
        expansion, squeeze_factor=4, inner_activation_fn=relu, gating_fn=hard_sigmoid
    )


def convolve(net: Tensor, row: Conv, depth: int, stride: int) -> Tensor:
    """Convolve as the row says; a normalizer, if any, comes from scopes."""
    conv = functools.partial(conv2d, normalizer_fn=None) if row.nbn else conv2d
    return conv(
        net,
        stride=stride,
        num_outputs=depth,
        kernel_size=(row.kernel, row.kernel),
        activation_fn=row.nl,
    )


def bottleneck(
    net: Tensor, row: Bneck | Fused, depth: int, expansion_size: int, stride: int, rate: int
) -> dict[str, Tensor]:
    """Build a row's block and return its tensors by name."""
    if isinstance(row, Fused):
        # As in TF-Slim, the expansion strides whatever the output stride.
        return expanded_conv(
            net,
            expansion_size=expansion_size,
            kernel_size=(1, 1),
            stride=stride,
            num_outputs=depth,
            inner_activation_fn=RE,
            expansion_transform=None,
            depthwise_location=None,
            expansion_kernel_size=row.kernel,
            expansion_stride=row.stride,
        )
    # A rate of 1 is the block's default, which a scope may change.
    block: Callable[..., dict[str, Tensor]] = expanded_conv
    if rate > 1:
        block = functools.partial(block, rate=rate)
    return block(
        net,
        expansion_size=expansion_size,
        kernel_size=(row.kernel, row.kernel),
        stride=stride,
        num_outputs=depth,
        inner_activation_fn=row.nl,
        expansion_transform=squeeze_excite_4 if row.se else None,
        residual=row.residual,
    )


def reduce_to_1x1(net: Tensor, row: Pool, stride: int) -> Tensor:
    """Shape: (N, H, H, C) -> (N, 1, 1, C)."""
    _, height, width, _ = net.shape
    size = height if height is not None and height == width else row.kernel
    return avg_pool2d(net, kernel_size=[size, size], stride=stride, padding="VALID")


def mobilenet_v3_base(
    inputs: Tensor,
    table: Sequence[Row],
    *,
    multiplier: float,
    finegrain_classification_mode: bool,
    output_stride: int | None,
    use_explicit_padding: bool,
    final_endpoint: str | None,
) -> Tensor:
    """Build a table's layers.

    With `use_explicit_padding` bottlenecks pad twice and the full convolutions of fused ones not at
    all, as in TF-Slim: no table builds to its end, only its first layers as a `final_endpoint`.

    Shape: (N, H, W, 3) -> (N, 1, 1, C), or (N, H / 32, W / 32, C) without pooling
    Raises: BuildError if pooling would need a rate or padding.
    """
    geometry = dense_strides([row.stride for row in table], output_stride)
    check_final_endpoint(final_endpoint, len(table))
    inner: dict[str, Tensor] = {}
    net, table_depth = inputs, 3
    for number, (row, (stride, rate)) in enumerate(zip(table, geometry, strict=True), 1):
        if f"layer_{number - 1}" == final_endpoint:
            break
        if isinstance(row, Pool):
            if use_explicit_padding:
                raise BuildError(
                    f"layer_{number} pools, which takes no padding: use_explicit_padding must be "
                    "false, or final_endpoint an earlier layer; received true.",
                    received=True,
                )
            if rate > 1:
                raise BuildError(
                    f"layer_{number} pools, which takes no rate: output_stride must be null or 32, "
                    f"or final_endpoint an earlier layer; received {output_stride}.",
                    received=output_stride,
                )
            net = reduce_to_1x1(net, row, stride)
            end_point(f"layer_{number}", net)
            continue
        depth = row.out
        if not (finegrain_classification_mode and number == len(table)):
            depth = depth_multiplier(row.out, multiplier)
        if use_explicit_padding and not isinstance(row, Fused):
            net = fixed_padding(net, row.kernel, rate)
        if isinstance(row, Conv):
            net = convolve(net, row, depth, stride)
        else:
            size = make_divisible(net.channels * (row.exp / table_depth), 8)
            parts = bottleneck(net, row, depth, size, stride, rate)
            inner |= {f"layer_{number}/{name}": part for name, part in parts.items()}
            net = parts["output"]
        table_depth = row.out
        end_point(f"layer_{number}", net)
    for key, part in inner.items():
        end_point(key, part)
    return net


def _mobilenet(
    name: str,
    title: str,
    table: Sequence[Row],
    source: str,
    *,
    default_scope: str = "MobilenetV3",
    variants: Mapping[str, Mapping[str, float | bool]] | None = None,
) -> Network:
    def network(
        inputs: Tensor,
        num_classes: NumClasses = 1001,
        is_training: bool = False,
        depth_multiplier: DepthMultiplier = 1.0,
        finegrain_classification_mode: bool = False,
        use_groupnorm: bool = False,
        groups: Count | None = None,
        output_stride: OutputStride = None,
        use_explicit_padding: bool = False,
        base_only: bool = False,
        final_endpoint: str | None = None,
        use_reduce_mean_for_pooling: bool = False,
        scope: Later[VariableScope] = default_scope,
    ) -> Tensor:
        if groups is not None and not use_groupnorm:
            raise BuildError(
                f"groups is only for use_groupnorm; it must be null without; received {groups}.",
                received=groups,
            )
        normalizer_fn = group_norm if use_groupnorm else batch_norm
        with variable_scope(scope):
            with (
                arg_scope([batch_norm], is_training=is_training),
                arg_scope([expanded_conv], normalizer_fn=normalizer_fn, residual=True),
                arg_scope(
                    [conv2d, fully_connected, separable_conv2d],
                    normalizer_fn=normalizer_fn,
                    activation_fn=relu,
                ),
                arg_scope([group_norm], groups=groups or 8)
                if use_groupnorm
                else arg_scope([batch_norm], center=True, scale=True),
                arg_scope(
                    [conv2d, separable_conv2d],
                    **({"padding": "VALID"} if use_explicit_padding else {}),
                ),
            ):
                net = mobilenet_v3_base(
                    inputs,
                    table,
                    multiplier=depth_multiplier,
                    finegrain_classification_mode=finegrain_classification_mode,
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

    network.__name__ = name
    network.__doc__ = f"Build {title}; without classes, return the pooled features."
    register = architecture(
        arg_scope=training_scope,
        input_shape=(224, 224, 3),
        preprocessing="inception",
        source=source,
        classes=1001,
        background=True,
        variants=variants,
    )
    return register(network)


_TABLE_1, _TABLE_2 = "arXiv:1905.02244, Table 1", "arXiv:1905.02244, Table 2"
mobilenet_v3_large = _mobilenet("mobilenet_v3_large", "MobileNet v3 Large", TABLE_1, _TABLE_1)
mobilenet_v3_small = _mobilenet("mobilenet_v3_small", "MobileNet v3 Small", TABLE_2, _TABLE_2)
mobilenet_v3_large_minimalistic = _mobilenet(
    "mobilenet_v3_large_minimalistic",
    "MobileNet v3 Large without 5x5 kernels, squeeze and excite, and hard swish",
    minimalistic(TABLE_1),
    _TABLE_1,
)
mobilenet_v3_small_minimalistic = _mobilenet(
    "mobilenet_v3_small_minimalistic",
    "MobileNet v3 Small without 5x5 kernels, squeeze and excite, and hard swish",
    minimalistic(TABLE_2),
    _TABLE_2,
)
mobilenet_edgetpu = _mobilenet(
    "mobilenet_edgetpu",
    "MobileNet-EdgeTPU, with full convolutions in its early bottlenecks",
    EDGETPU,
    "TF-Slim, nets/mobilenet/mobilenet_v3.py",
    default_scope="MobilenetEdgeTPU",
    variants={
        "mobilenet_edgetpu_075": {"depth_multiplier": 0.75, "finegrain_classification_mode": True}
    },
)
