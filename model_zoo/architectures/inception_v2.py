"""Inception v2, BN-Inception: v1 with batch norm and two 3x3 convolutions for each 5x5.

Source: arXiv:1502.03167, Figure 5.

    end point           output            Figure 5
    Conv2d_1a_7x7       112 x 112 x 64
    MaxPool_2a_3x3       56 x  56 x 64
    Conv2d_2b_1x1        56 x  56 x 64
    Conv2d_2c_3x3        56 x  56 x 192
    MaxPool_3a_3x3       28 x  28 x 192
    Mixed_3b             28 x  28 x 256   inception (3a)
    Mixed_3c             28 x  28 x 320   inception (3b)
    Mixed_4a             14 x  14 x 576   inception (3c)
    Mixed_4b .. 4e       14 x  14 x 576   inception (4a) .. (4d)
    Mixed_5a              7 x   7 x 1024  inception (4e)
    Mixed_5b, 5c          7 x   7 x 1024  inception (5a), (5b)

Differs from the paper: pool projections of 96 in (4c) and (4d), where the figure prints 128 beside
an output of 576, which takes 96; and a final pool that shrinks with small inputs; both as in
TF-Slim.
"""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge

from model_zoo.architectures.heads import conv_logits, reduced_kernel_size
from model_zoo.architectures.inception_v3 import inception_v3_arg_scope
from model_zoo.architectures.registry import (
    DepthMultiplier,
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
    dropout,
    max_pool2d,
    separable_conv2d,
    softmax,
)
from model_zoo.layers.arguments import KeepProbability
from model_zoo.primitives import concat, reduce_mean
from model_zoo.values import Later, truncated_normal_initializer

Depth = Callable[[int], int]


class Inception(NamedTuple):
    """A line of Figure 5: the depths of a block's branches."""

    name: str
    conv_1x1: int
    reduce_3x3: int
    conv_3x3: int
    reduce_double_3x3: int
    double_3x3: int
    pool: Literal["avg", "max"]
    pool_proj: int


class Reduction(NamedTuple):
    """A line of Figure 5 with stride 2: no 1x1 branch, and a pool that is passed through."""

    name: str
    reduce_3x3: int
    conv_3x3: int
    reduce_double_3x3: int
    double_3x3: int


# name, #1x1 (not with stride 2), #3x3 reduce, #3x3, double #3x3 reduce, double #3x3, pool + proj
FIGURE_5 = (
    Inception("Mixed_3b", 64, 64, 64, 64, 96, "avg", 32),
    Inception("Mixed_3c", 64, 64, 96, 64, 96, "avg", 64),
    Reduction("Mixed_4a", 128, 160, 64, 96),
    Inception("Mixed_4b", 224, 64, 96, 96, 128, "avg", 128),
    Inception("Mixed_4c", 192, 96, 128, 96, 128, "avg", 128),
    Inception("Mixed_4d", 160, 128, 160, 128, 160, "avg", 96),
    Inception("Mixed_4e", 96, 128, 192, 160, 192, "avg", 96),
    Reduction("Mixed_5a", 128, 192, 192, 256),
    Inception("Mixed_5b", 352, 192, 320, 160, 224, "avg", 128),
    Inception("Mixed_5c", 352, 192, 320, 192, 224, "max", 128),
)


def reduce(net: Tensor, channels: int) -> Tensor:
    """Thin the input of a branch. Shape: (N, H, W, C) -> (N, H, W, channels)."""
    return conv2d(
        net,
        channels,
        [1, 1],
        weights_initializer=truncated_normal_initializer(stddev=0.09),
        scope="Conv2d_0a_1x1",
    )


def inception(net: Tensor, depth: Depth, row: Inception) -> Tensor:
    """Join 1x1, 3x3, double 3x3 and pooled branches.

    Shape: (N, H, W, C) -> (N, H, W, conv_1x1 + conv_3x3 + double_3x3 + pool_proj)
    """
    with variable_scope(row.name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, depth(row.conv_1x1), [1, 1], scope="Conv2d_0a_1x1")
        with variable_scope("Branch_1"):
            branch_1 = reduce(net, depth(row.reduce_3x3))
            branch_1 = conv2d(branch_1, depth(row.conv_3x3), [3, 3], scope="Conv2d_0b_3x3")
        with variable_scope("Branch_2"):
            branch_2 = reduce(net, depth(row.reduce_double_3x3))
            branch_2 = conv2d(branch_2, depth(row.double_3x3), [3, 3], scope="Conv2d_0b_3x3")
            branch_2 = conv2d(branch_2, depth(row.double_3x3), [3, 3], scope="Conv2d_0c_3x3")
        with variable_scope("Branch_3"):
            if row.pool == "avg":
                branch_3 = avg_pool2d(net, [3, 3], scope="AvgPool_0a_3x3")
            else:
                branch_3 = max_pool2d(net, [3, 3], scope="MaxPool_0a_3x3")
            branch_3 = conv2d(
                branch_3,
                depth(row.pool_proj),
                [1, 1],
                weights_initializer=truncated_normal_initializer(stddev=0.1),
                scope="Conv2d_0b_1x1",
            )
        net = concat([branch_0, branch_1, branch_2, branch_3])
    return end_point(row.name, net)


def reduction(net: Tensor, depth: Depth, row: Reduction) -> Tensor:
    """Halve the grid by 3x3, double 3x3 and pooled branches.

    Shape: (N, H, W, C) -> (N, H / 2, W / 2, C + conv_3x3 + double_3x3)
    """
    with variable_scope(row.name):
        with variable_scope("Branch_0"):
            branch_0 = reduce(net, depth(row.reduce_3x3))
            branch_0 = conv2d(
                branch_0, depth(row.conv_3x3), [3, 3], stride=2, scope="Conv2d_1a_3x3"
            )
        with variable_scope("Branch_1"):
            branch_1 = reduce(net, depth(row.reduce_double_3x3))
            branch_1 = conv2d(branch_1, depth(row.double_3x3), [3, 3], scope="Conv2d_0b_3x3")
            branch_1 = conv2d(
                branch_1, depth(row.double_3x3), [3, 3], stride=2, scope="Conv2d_1a_3x3"
            )
        with variable_scope("Branch_2"):
            branch_2 = max_pool2d(net, [3, 3], stride=2, scope="MaxPool_1a_3x3")
        net = concat([branch_0, branch_1, branch_2])
    return end_point(row.name, net)


def first_convolution(inputs: Tensor, channels: int, use_separable_conv: bool) -> Tensor:
    """Convolve the image, by a separable convolution that widens each channel up to 8 times.

    Shape: (N, 224, 224, 3) -> (N, 112, 112, channels)
    Raises: BuildError for a separable convolution to fewer than 3 channels.
    """
    initializer = truncated_normal_initializer(stddev=1.0)
    if not use_separable_conv:
        return conv2d(
            inputs,
            channels,
            [7, 7],
            stride=2,
            weights_initializer=initializer,
            scope="Conv2d_1a_7x7",
        )
    if channels < 3:
        raise BuildError(
            "the separable convolution Conv2d_1a_7x7 needs at least 3 channels; min_depth and "
            f"depth_multiplier give {channels}. min_depth=3 or use_separable_conv=False would do.",
            received=channels,
        )
    return separable_conv2d(
        inputs,
        channels,
        [7, 7],
        depth_multiplier=min(channels // 3, 8),
        stride=2,
        padding="SAME",
        weights_initializer=initializer,
        scope="Conv2d_1a_7x7",
    )


def stem(inputs: Tensor, depth: Depth, use_separable_conv: bool) -> Tensor:
    """Shape: (N, 224, 224, 3) -> (N, 28, 28, 192)."""
    net = first_convolution(inputs, depth(64), use_separable_conv)
    end_point("Conv2d_1a_7x7", net)
    net = max_pool2d(net, [3, 3], stride=2, scope="MaxPool_2a_3x3")
    end_point("MaxPool_2a_3x3", net)
    net = conv2d(
        net,
        depth(64),
        [1, 1],
        weights_initializer=truncated_normal_initializer(stddev=0.1),
        scope="Conv2d_2b_1x1",
    )
    end_point("Conv2d_2b_1x1", net)
    net = conv2d(net, depth(192), [3, 3], scope="Conv2d_2c_3x3")
    end_point("Conv2d_2c_3x3", net)
    net = max_pool2d(net, [3, 3], stride=2, scope="MaxPool_3a_3x3")
    return end_point("MaxPool_3a_3x3", net)


@architecture(
    arg_scope=inception_v3_arg_scope,
    input_shape=(224, 224, 3),
    preprocessing="inception",
    source="arXiv:1502.03167, Figure 5",
    classes=1001,
    background=True,
)
def inception_v2(
    inputs: Tensor,
    num_classes: NumClasses = 1000,
    is_training: bool = True,
    dropout_keep_prob: KeepProbability = 0.8,
    min_depth: Annotated[int, Ge(1)] = 16,
    depth_multiplier: DepthMultiplier = 1.0,
    spatial_squeeze: bool = True,
    global_pool: bool = False,
    use_separable_conv: bool = True,
    include_root_block: bool = True,
    scope: Later[VariableScope] = "InceptionV2",
) -> Tensor:
    """Build Inception v2; without classes, return the pooled features.

    Without `include_root_block` the input goes straight to the first block, Mixed_3b.

    Shape: (N, H, W, 3) -> (N, num_classes), or (N, H', W', num_classes) without `spatial_squeeze`
    """

    def depth(channels: int) -> int:
        return max(int(channels * depth_multiplier), min_depth)

    with (
        variable_scope(scope),
        arg_scope([batch_norm, dropout], is_training=is_training),
    ):
        net = inputs
        with arg_scope([conv2d, max_pool2d, avg_pool2d], stride=1, padding="SAME"):
            if include_root_block:
                net = stem(net, depth, use_separable_conv)
            for row in FIGURE_5:
                if isinstance(row, Inception):
                    net = inception(net, depth, row)
                else:
                    net = reduction(net, depth, row)
        with variable_scope("Logits"):
            if global_pool:
                net = end_point("global_pool", reduce_mean(net, [1, 2], "global_pool"))
            else:
                kernel_size = reduced_kernel_size(net, (7, 7))
                pool_scope = f"AvgPool_1a_{kernel_size[0]}x{kernel_size[1]}"
                net = avg_pool2d(net, kernel_size, padding="VALID", scope=pool_scope)
                end_point("AvgPool_1a", net)
            if not num_classes:
                return net
            net = dropout(net, keep_prob=dropout_keep_prob, scope="Dropout_1b")
            end_point("PreLogits", net)
            logits = conv_logits(net, num_classes, spatial_squeeze)
        end_point("Logits", logits)
        end_point("Predictions", softmax(logits, scope="Predictions"))
    return logits
