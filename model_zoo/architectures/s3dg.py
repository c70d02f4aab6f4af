"""S3D-G and I3D: Inception v1 over time, by whole or by separated 3D convolutions, with gating.

Source: arXiv:1712.04851, Figure 6 and section 4.3 (S3D-G); arXiv:1705.07750, Figure 3 (I3D).
The depths of the blocks are those of Inception v1, arXiv:1409.4842, Table 1.

    end point        output, of 64 x 224 x 224
    Conv2d_1a_7x7    32 x 112 x 112 x 64
    MaxPool_2a_3x3   32 x  56 x  56 x 64
    Conv2d_2b_1x1    32 x  56 x  56 x 64
    Conv2d_2c_3x3    32 x  56 x  56 x 192
    MaxPool_3a_3x3   32 x  28 x  28 x 192
    Mixed_3b, 3c     32 x  28 x  28 x 256, 480
    MaxPool_4a_3x3   16 x  14 x  14 x 480
    Mixed_4b .. 4f   16 x  14 x  14 x 512, 512, 512, 528, 832
    MaxPool_5a_2x2    8 x   7 x   7 x 832
    Mixed_5b, 5c      8 x   7 x   7 x 832, 1024

The names are Inception v1's, so that its checkpoints can be inflated.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Literal, NamedTuple, get_args

from annotated_types import Ge

from model_zoo.activations import relu, sigmoid
from model_zoo.architectures.registry import DepthMultiplier, VariableScope, architecture
from model_zoo.arg_scope import arg_scope
from model_zoo.errors import unknown_name
from model_zoo.graph import Tensor, end_point, note, variable_scope
from model_zoo.layers import (
    avg_pool3d,
    batch_norm,
    conv3d,
    dropout,
    max_pool3d,
    register_op,
    softmax,
)
from model_zoo.layers.arguments import (
    ActivationFn,
    Count,
    Decay,
    Epsilon,
    KeepProbability,
    NormalizerFn,
    NormalizerParams,
    Padding,
    RegularizerFn,
    Size3D,
)
from model_zoo.primitives import concat, multiply, reduce_mean, sizes, squeeze
from model_zoo.scope_chain import ArgScope
from model_zoo.values import (
    Later,
    NonNegative,
    center_initializer,
    l2_regularizer,
    truncated_normal_initializer,
)

VideoBlock = Literal[
    "Conv2d_2c_3x3",
    "Mixed_3b",
    "Mixed_3c",
    "Mixed_4b",
    "Mixed_4c",
    "Mixed_4d",
    "Mixed_4e",
    "Mixed_4f",
    "Mixed_5b",
    "Mixed_5c",
]
VideoEndPoint = Literal[
    VideoBlock,
    "Conv2d_1a_7x7",
    "MaxPool_2a_3x3",
    "Conv2d_2b_1x1",
    "MaxPool_3a_3x3",
    "MaxPool_4a_3x3",
    "MaxPool_5a_2x2",
]
Depth = Callable[[int], int]


def s3dg_arg_scope(
    weight_decay: NonNegative = 1e-7,
    batch_norm_decay: Decay = 0.999,
    batch_norm_epsilon: Epsilon = 0.001,
) -> ArgScope:
    """Return TF-Slim's default scope of S3D-G: 3D convolutions are separated."""
    return _video_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon, separable=True)


def i3d_arg_scope(
    weight_decay: NonNegative = 1e-7,
    batch_norm_decay: Decay = 0.999,
    batch_norm_epsilon: Epsilon = 0.001,
    separable_conv3d: bool = False,
) -> ArgScope:
    """Return TF-Slim's default scope of I3D."""
    return _video_arg_scope(
        weight_decay, batch_norm_decay, batch_norm_epsilon, separable=separable_conv3d
    )


def _video_arg_scope(
    weight_decay: float, batch_norm_decay: float, batch_norm_epsilon: float, *, separable: bool
) -> ArgScope:
    with (
        arg_scope(
            [conv3d, conv3d_spatiotemporal],
            weights_regularizer=l2_regularizer(weight_decay),
            activation_fn=relu,
            normalizer_fn=batch_norm,
            normalizer_params={
                "decay": batch_norm_decay,
                "epsilon": batch_norm_epsilon,
                "fused": False,
            },
        ),
        arg_scope([conv3d_spatiotemporal], separable=separable) as scope,
    ):
        return scope


@register_op
def conv3d_spatiotemporal(
    inputs: Tensor,
    num_outputs: Count,
    kernel_size: Size3D,
    stride: Size3D = 1,
    padding: Padding = "SAME",
    activation_fn: ActivationFn = None,
    normalizer_fn: NormalizerFn = None,
    normalizer_params: NormalizerParams = None,
    weights_regularizer: RegularizerFn = None,
    separable: bool = False,
    scope: str = "Conv",
) -> Tensor:
    """Convolve over time, height and width at once, or if `separable` over space, then over time.

    The temporal convolution has biases, starts as the identity, and lies in `scope`/temporal.

    Shape: (N, T, H, W, C) -> (N, T', H', W', num_outputs)
    Source: arXiv:1712.04851, section 4.2.
    """
    time, height, width = sizes(kernel_size, 3, "kernel_size")
    time_stride, *space_stride = sizes(stride, 3, "stride")
    separated = separable and time != 1
    net = conv3d(
        inputs,
        num_outputs,
        [1 if separated else time, height, width],
        stride=[1 if separated else time_stride, *space_stride],
        padding=padding,
        activation_fn=activation_fn,
        normalizer_fn=normalizer_fn,
        normalizer_params=normalizer_params,
        weights_regularizer=weights_regularizer,
        scope=scope,
    )
    if not separated:
        return net
    return conv3d(
        net,
        num_outputs,
        [time, 1, 1],
        stride=[time_stride, 1, 1],
        padding=padding,
        activation_fn=activation_fn,
        normalizer_fn=None,
        weights_initializer=center_initializer(),
        scope=f"{scope}/temporal",
    )


def self_gating(net: Tensor, scope: str) -> Tensor:
    """Weigh each channel by a sigmoid of all channels' means.

    Shape: (N, T, H, W, C) -> (N, T, H, W, C)
    Source: arXiv:1712.04851, section 4.3.
    """
    _, *window, channels = net.shape
    means = avg_pool3d(
        net,
        [size or 1 for size in window],
        stride=1,
        scope=f"{scope}/self_gating/avg_pool3d",
    )
    gates = conv3d(
        means,
        channels or 1,
        [1, 1, 1],
        activation_fn=None,
        normalizer_fn=None,
        biases_initializer=None,
        weights_initializer=truncated_normal_initializer(stddev=0.01),
        scope=f"{scope}/self_gating/transformer_W",
    )
    return multiply(net, sigmoid(gates))


class Mixed(NamedTuple):
    """A line of Table 1: the depths of a block's branches."""

    name: VideoBlock
    conv_1x1: int
    reduce_3x3: int
    conv_3x3: int
    reduce_5x5: int
    conv_5x5: int
    pool: int


# 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 (here 3x3x3), pool proj
TABLE_1_3 = (
    Mixed("Mixed_3b", 64, 96, 128, 16, 32, 32),
    Mixed("Mixed_3c", 128, 128, 192, 32, 96, 64),
)
TABLE_1_4 = (
    Mixed("Mixed_4b", 192, 96, 208, 16, 48, 64),
    Mixed("Mixed_4c", 160, 112, 224, 24, 64, 64),
    Mixed("Mixed_4d", 128, 128, 256, 24, 64, 64),
    Mixed("Mixed_4e", 112, 144, 288, 32, 64, 64),
    Mixed("Mixed_4f", 256, 160, 320, 32, 128, 128),
)
TABLE_1_5 = (
    Mixed("Mixed_5b", 256, 160, 320, 32, 128, 128),
    Mixed("Mixed_5c", 384, 192, 384, 48, 128, 128),
)


@register_op
def inception_block_v1_3d(
    inputs: Tensor,
    num_outputs_0_0a: Count,
    num_outputs_1_0a: Count,
    num_outputs_1_0b: Count,
    num_outputs_2_0a: Count,
    num_outputs_2_0b: Count,
    num_outputs_3_0b: Count,
    temporal_kernel_size: Count = 3,
    gating: bool = False,
    scope: str = "Mixed",
) -> Tensor:
    """Join 1x1x1, two 3x3x3 and pooled branches, each gated if `gating`.

    Shape: (N, T, H, W, C) -> (N, T, H, W, sum of the branches' last outputs)
    Source: arXiv:1705.07750, Figure 3, "Inc."
    """

    def gated(net: Tensor, name: str) -> Tensor:
        return self_gating(net, name) if gating else net

    kernel_size = [temporal_kernel_size, 3, 3]
    with variable_scope(scope):
        with variable_scope("Branch_0"):
            branch_0 = conv3d(inputs, num_outputs_0_0a, [1, 1, 1], scope="Conv2d_0a_1x1")
            branch_0 = gated(branch_0, "Conv2d_0a_1x1")
        with variable_scope("Branch_1"):
            branch_1 = conv3d(inputs, num_outputs_1_0a, [1, 1, 1], scope="Conv2d_0a_1x1")
            branch_1 = conv3d_spatiotemporal(
                branch_1, num_outputs_1_0b, kernel_size, scope="Conv2d_0b_3x3"
            )
            branch_1 = gated(branch_1, "Conv2d_0b_3x3")
        with variable_scope("Branch_2"):
            branch_2 = conv3d(inputs, num_outputs_2_0a, [1, 1, 1], scope="Conv2d_0a_1x1")
            branch_2 = conv3d_spatiotemporal(
                branch_2, num_outputs_2_0b, kernel_size, scope="Conv2d_0b_3x3"
            )
            branch_2 = gated(branch_2, "Conv2d_0b_3x3")
        with variable_scope("Branch_3"):
            branch_3 = max_pool3d(inputs, [3, 3, 3], scope="MaxPool_0a_3x3")
            branch_3 = conv3d(branch_3, num_outputs_3_0b, [1, 1, 1], scope="Conv2d_0b_1x1")
            branch_3 = gated(branch_3, "Conv2d_0b_1x1")
        return concat([branch_0, branch_1, branch_2, branch_3])


def s3dg_base(
    inputs: Tensor,
    depth: Depth,
    *,
    first_temporal_kernel_size: int,
    temporal_conv_startat: str | None,
    gating_startat: str | None,
    final_endpoint: VideoEndPoint = "Mixed_5c",
) -> Tensor:
    """Build the convolutions; time is convolved, and channels gated, from the named blocks on.

    Shape: (N, T, H, W, 3) -> (N, T / 8, H / 32, W / 32, 1024)
    """
    net = inputs
    stages = _stages(
        inputs, depth, first_temporal_kernel_size, temporal_conv_startat, gating_startat
    )
    with (
        arg_scope([conv3d], weights_initializer=truncated_normal_initializer(stddev=0.01)),
        arg_scope([conv3d, max_pool3d, conv3d_spatiotemporal], stride=1, padding="SAME"),
    ):
        for name, net in stages:
            end_point(name, net)
            if name == final_endpoint:
                break
    return net


def _stages(
    inputs: Tensor,
    depth: Depth,
    first_temporal_kernel_size: int,
    temporal_conv_startat: str | None,
    gating_startat: str | None,
) -> Iterator[tuple[VideoEndPoint, Tensor]]:
    """Yield the end points in order; each is built when it is requested."""
    time, gating = 1, False

    for parameter, start, left in (
        ("temporal_conv_startat", temporal_conv_startat, "time is not convolved"),
        ("gating_startat", gating_startat, "no channels are gated"),
    ):
        if start is not None and start not in get_args(VideoBlock):
            rule = f"no block that {parameter} can start at is named {start!r}, so {left}."
            note(unknown_name(f"/params/{parameter}", rule, start, get_args(VideoBlock)))

    def starts(name: VideoBlock) -> None:
        nonlocal time, gating
        time = 3 if name == temporal_conv_startat else time
        gating = gating or name == gating_startat

    def mixed(net: Tensor, row: Mixed) -> Tensor:
        name, *depths = row
        starts(name)
        a, b, c, d, e, f = map(depth, depths)
        return inception_block_v1_3d(
            net, a, b, c, d, e, f, temporal_kernel_size=time, gating=gating, scope=name
        )

    net = conv3d_spatiotemporal(
        inputs,
        depth(64),
        [first_temporal_kernel_size, 7, 7],
        stride=2,
        separable=False,
        scope="Conv2d_1a_7x7",
    )
    yield "Conv2d_1a_7x7", net
    net = max_pool3d(net, [1, 3, 3], stride=[1, 2, 2], scope="MaxPool_2a_3x3")
    yield "MaxPool_2a_3x3", net
    net = conv3d(net, depth(64), [1, 1, 1], scope="Conv2d_2b_1x1")
    yield "Conv2d_2b_1x1", net
    starts("Conv2d_2c_3x3")
    net = conv3d_spatiotemporal(net, depth(192), [time, 3, 3], scope="Conv2d_2c_3x3")
    net = self_gating(net, "Conv2d_2c_3x3") if gating else net
    yield "Conv2d_2c_3x3", net
    net = max_pool3d(net, [1, 3, 3], stride=[1, 2, 2], scope="MaxPool_3a_3x3")
    yield "MaxPool_3a_3x3", net
    for row in TABLE_1_3:
        net = mixed(net, row)
        yield row.name, net
    net = max_pool3d(net, [3, 3, 3], stride=[2, 2, 2], scope="MaxPool_4a_3x3")
    yield "MaxPool_4a_3x3", net
    for row in TABLE_1_4:
        net = mixed(net, row)
        yield row.name, net
    net = max_pool3d(net, [2, 2, 2], stride=[2, 2, 2], scope="MaxPool_5a_2x2")
    yield "MaxPool_5a_2x2", net
    for row in TABLE_1_5:
        net = mixed(net, row)
        yield row.name, net


def classify(
    net: Tensor, num_classes: int, dropout_keep_prob: float, spatial_squeeze: bool
) -> Tensor:
    """Classify each position in time, and average the results over time.

    Shape: (N, T, H, W, C) -> (N, num_classes), or (N, H', W', num_classes)
    """
    with variable_scope("Logits"):
        _, *window, _ = net.shape
        kernel_size = [min(size or 1, side) for size, side in zip(window, (2, 7, 7), strict=True)]
        net = avg_pool3d(net, kernel_size, stride=1, scope="AvgPool_0a_7x7")
        net = dropout(net, dropout_keep_prob, scope="Dropout_0b")
        net = conv3d(
            net,
            num_classes,
            [1, 1, 1],
            activation_fn=None,
            normalizer_fn=None,
            scope="Conv2d_0c_1x1",
        )
        logits = squeeze(reduce_mean(net, [1]), [1])
        if spatial_squeeze:
            logits = squeeze(logits, [1, 2], "SpatialSqueeze")
    end_point("Logits", logits)
    end_point("Predictions", softmax(logits, scope="Predictions"))
    return logits


@architecture(
    arg_scope=i3d_arg_scope,
    input_shape=(64, 224, 224, 3),
    preprocessing="inception",
    source="arXiv:1705.07750, Figure 3",
    classes=400,
)
def i3d(
    inputs: Tensor,
    num_classes: Count = 1000,
    dropout_keep_prob: KeepProbability = 0.8,
    is_training: bool = True,
    spatial_squeeze: bool = True,
    scope: Later[VariableScope] = "InceptionV1",
) -> Tensor:
    """Build I3D, Inception v1 inflated to 3D.

    Shape: (N, T, H, W, 3) -> (N, num_classes)
    """
    with (
        variable_scope(scope),
        arg_scope([batch_norm, dropout], is_training=is_training),
    ):
        net = s3dg_base(
            inputs,
            lambda channels: channels,
            first_temporal_kernel_size=7,
            temporal_conv_startat="Conv2d_2c_3x3",
            gating_startat=None,
        )
        return classify(net, num_classes, dropout_keep_prob, spatial_squeeze)


@architecture(
    arg_scope=s3dg_arg_scope,
    input_shape=(64, 224, 224, 3),
    preprocessing="inception",
    source="arXiv:1712.04851, Figure 6",
    classes=400,
)
def s3dg(
    inputs: Tensor,
    num_classes: Count = 1000,
    first_temporal_kernel_size: Literal[1, 3, 5, 7] = 3,
    temporal_conv_startat: str | None = "Conv2d_2c_3x3",
    gating_startat: str | None = "Conv2d_2c_3x3",
    final_endpoint: VideoEndPoint = "Mixed_5c",
    min_depth: Annotated[int, Ge(1)] = 16,
    depth_multiplier: DepthMultiplier = 1.0,
    dropout_keep_prob: KeepProbability = 0.8,
    is_training: bool = True,
    spatial_squeeze: bool = True,
    scope: Later[VariableScope] = "InceptionV1",
) -> Tensor:
    """Build S3D-G.

    Null, or a name that no block has, leaves time unconvolved or channels ungated. (TF-Slim allows
    such names; it documents the opposite, and does this.)

    Shape: (N, T, H, W, 3) -> (N, num_classes)
    """

    def depth(channels: int) -> int:
        return max(int(channels * depth_multiplier), min_depth)

    with (
        variable_scope(scope),
        arg_scope([batch_norm, dropout], is_training=is_training),
    ):
        net = s3dg_base(
            inputs,
            depth,
            first_temporal_kernel_size=first_temporal_kernel_size,
            temporal_conv_startat=temporal_conv_startat,
            gating_startat=gating_startat,
            final_endpoint=final_endpoint,
        )
        return classify(net, num_classes, dropout_keep_prob, spatial_squeeze)
