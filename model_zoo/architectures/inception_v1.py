"""Inception v1, GoogLeNet: blocks that join 1x1, 3x3, larger and pooled branches on channels.

Source: arXiv:1409.4842, Table 1 and Figure 2(b).

    end point           output            Table 1
    Conv2d_1a_7x7       112 x 112 x 64
    MaxPool_2a_3x3       56 x  56 x 64
    Conv2d_2b_1x1        56 x  56 x 64
    Conv2d_2c_3x3        56 x  56 x 192
    MaxPool_3a_3x3       28 x  28 x 192
    Mixed_3b             28 x  28 x 256   inception (3a)
    Mixed_3c             28 x  28 x 480   inception (3b)
    MaxPool_4a_3x3       14 x  14 x 480
    Mixed_4b .. 4d       14 x  14 x 512   inception (4a) .. (4c)
    Mixed_4e             14 x  14 x 528   inception (4d)
    Mixed_4f             14 x  14 x 832   inception (4e)
    MaxPool_5a_2x2        7 x   7 x 832
    Mixed_5b              7 x   7 x 832   inception (5a)
    Mixed_5c              7 x   7 x 1024  inception (5b)

Differs from the paper: batch norm and no local response normalization, 3x3 in place of the 5x5
convolutions, a last max pooling of 2x2 for 3x3, dropout of 20% for 40%, no auxiliary heads; all
as in TF-Slim.
"""

from typing import NamedTuple

from model_zoo.architectures.inception_v3 import inception_v3_arg_scope
from model_zoo.architectures.registry import NumClasses, VariableScope, architecture
from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Tensor, end_point, variable_scope
from model_zoo.layers import (
    avg_pool2d,
    batch_norm,
    conv2d,
    dropout,
    fully_connected,
    max_pool2d,
    softmax,
)
from model_zoo.layers.arguments import KeepProbability
from model_zoo.primitives import concat, reduce_mean, squeeze
from model_zoo.values import Later, truncated_normal_initializer


class Inception(NamedTuple):
    """A line of Table 1: the depths of a block's branches."""

    name: str
    conv_1x1: int
    reduce_3x3: int
    conv_3x3: int
    reduce_5x5: int
    conv_5x5: int
    pool_proj: int
    scope_5x5: str = "Conv2d_0b_3x3"


class MaxPool(NamedTuple):
    """A line of Table 1: max pooling with stride 2."""

    name: str
    size: int


# name, #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
TABLE_1 = (
    Inception("Mixed_3b", 64, 96, 128, 16, 32, 32),
    Inception("Mixed_3c", 128, 128, 192, 32, 96, 64),
    MaxPool("MaxPool_4a_3x3", 3),
    Inception("Mixed_4b", 192, 96, 208, 16, 48, 64),
    Inception("Mixed_4c", 160, 112, 224, 24, 64, 64),
    Inception("Mixed_4d", 128, 128, 256, 24, 64, 64),
    Inception("Mixed_4e", 112, 144, 288, 32, 64, 64),
    Inception("Mixed_4f", 256, 160, 320, 32, 128, 128),
    MaxPool("MaxPool_5a_2x2", 2),
    Inception("Mixed_5b", 256, 160, 320, 32, 128, 128, "Conv2d_0a_3x3"),  # published name
    Inception("Mixed_5c", 384, 192, 384, 48, 128, 128),
)


def figure_2b(net: Tensor, row: Inception) -> Tensor:
    """Join 1x1, 3x3, larger and pooled branches, each thinned by a 1x1 convolution.

    Shape: (N, H, W, C) -> (N, H, W, conv_1x1 + conv_3x3 + conv_5x5 + pool_proj)
    """
    with variable_scope(row.name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, row.conv_1x1, [1, 1], scope="Conv2d_0a_1x1")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, row.reduce_3x3, [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, row.conv_3x3, [3, 3], scope="Conv2d_0b_3x3")
        with variable_scope("Branch_2"):
            branch_2 = conv2d(net, row.reduce_5x5, [1, 1], scope="Conv2d_0a_1x1")
            # 3x3 where the paper has 5x5, as in the published checkpoints.
            branch_2 = conv2d(branch_2, row.conv_5x5, [3, 3], scope=row.scope_5x5)
        with variable_scope("Branch_3"):
            branch_3 = max_pool2d(net, [3, 3], scope="MaxPool_0a_3x3")
            branch_3 = conv2d(branch_3, row.pool_proj, [1, 1], scope="Conv2d_0b_1x1")
        net = concat([branch_0, branch_1, branch_2, branch_3])
    return end_point(row.name, net)


def stem(inputs: Tensor) -> Tensor:
    """Shape: (N, 224, 224, 3) -> (N, 28, 28, 192)."""
    net = conv2d(inputs, 64, [7, 7], stride=2, scope="Conv2d_1a_7x7")
    end_point("Conv2d_1a_7x7", net)
    net = max_pool2d(net, [3, 3], stride=2, scope="MaxPool_2a_3x3")
    end_point("MaxPool_2a_3x3", net)
    net = conv2d(net, 64, [1, 1], scope="Conv2d_2b_1x1")
    end_point("Conv2d_2b_1x1", net)
    net = conv2d(net, 192, [3, 3], scope="Conv2d_2c_3x3")
    end_point("Conv2d_2c_3x3", net)
    net = max_pool2d(net, [3, 3], stride=2, scope="MaxPool_3a_3x3")
    return end_point("MaxPool_3a_3x3", net)


def inception_v1_base(inputs: Tensor, include_root_block: bool) -> Tensor:
    """Build the convolutions of Table 1, or its blocks alone.

    Shape: (N, H, W, 3) -> (N, H / 32, W / 32, 1024)
    """
    with (
        arg_scope(
            [conv2d, fully_connected],
            weights_initializer=truncated_normal_initializer(stddev=0.01),
        ),
        arg_scope([conv2d, max_pool2d], stride=1, padding="SAME"),
    ):
        net = stem(inputs) if include_root_block else inputs
        for row in TABLE_1:
            if isinstance(row, Inception):
                net = figure_2b(net, row)
            else:
                net = max_pool2d(net, [row.size, row.size], stride=2, scope=row.name)
                end_point(row.name, net)
    return net


@architecture(
    arg_scope=inception_v3_arg_scope,
    input_shape=(224, 224, 3),
    preprocessing="inception",
    source="arXiv:1409.4842, Table 1",
    classes=1001,
    background=True,
)
def inception_v1(
    inputs: Tensor,
    num_classes: NumClasses = 1000,
    is_training: bool = True,
    dropout_keep_prob: KeepProbability = 0.8,
    spatial_squeeze: bool = True,
    global_pool: bool = False,
    include_root_block: Later[bool] = True,
    scope: Later[VariableScope] = "InceptionV1",
) -> Tensor:
    """Build Inception v1; without classes, return the pooled features.

    Without `include_root_block` the input goes straight to the first block, Mixed_3b.

    Shape: (N, H, W, 3) -> (N, num_classes), or (N, H', W', num_classes) without `spatial_squeeze`
    """
    with (
        variable_scope(scope),
        arg_scope([batch_norm, dropout], is_training=is_training),
    ):
        net = inception_v1_base(inputs, include_root_block)
        with variable_scope("Logits"):
            if global_pool:
                net = end_point("global_pool", reduce_mean(net, [1, 2], "global_pool"))
            else:
                net = avg_pool2d(net, [7, 7], stride=1, scope="AvgPool_0a_7x7")
                end_point("AvgPool_0a_7x7", net)
            if not num_classes:
                return net
            net = dropout(net, dropout_keep_prob, scope="Dropout_0b")
            logits = conv2d(
                net,
                num_classes,
                [1, 1],
                activation_fn=None,
                normalizer_fn=None,
                scope="Conv2d_0c_1x1",
            )
            if spatial_squeeze:
                logits = squeeze(logits, [1, 2], "SpatialSqueeze")
            end_point("Logits", logits)
            end_point("Predictions", softmax(logits, scope="Predictions"))
    return logits
