"""Inception v3: factorized convolutions in three kinds of blocks.

Source: arXiv:1512.00567, Table 1 and Figures 5, 6, 7, 10.

    end point        output           block
    Conv2d_1a_3x3    149 x 149 x 32
    Conv2d_2a_3x3    147 x 147 x 32
    Conv2d_2b_3x3    147 x 147 x 64
    MaxPool_3a_3x3    73 x  73 x 64
    Conv2d_3b_1x1     73 x  73 x 80
    Conv2d_4a_3x3     71 x  71 x 192
    MaxPool_5a_3x3    35 x  35 x 192
    Mixed_5b          35 x  35 x 256   Figure 5
    Mixed_5c, 5d      35 x  35 x 288   Figure 5
    Mixed_6a          17 x  17 x 768   Figure 10
    Mixed_6b .. 6e    17 x  17 x 768   Figure 6
    Mixed_7a           8 x   8 x 1280  Figure 10
    Mixed_7b, 7c       8 x   8 x 2048  Figure 7

Differs from the paper: batch norm in all convolutions, and the auxiliary head's kernel shrinks with
small inputs; both as in TF-Slim. Scopes carry TF-Slim's names, irregular ones included.
"""

from collections.abc import Callable
from typing import Annotated

from annotated_types import Ge

from model_zoo.activations import relu
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
    fully_connected,
    max_pool2d,
    softmax,
)
from model_zoo.layers.arguments import ActivationFn, Decay, Epsilon, KeepProbability
from model_zoo.primitives import concat, reduce_mean, squeeze
from model_zoo.scope_chain import ArgScope
from model_zoo.values import (
    Later,
    NonNegative,
    l2_regularizer,
    truncated_normal_initializer,
    variance_scaling_initializer,
)

Depth = Callable[[int], int]


def inception_v3_arg_scope(
    weight_decay: NonNegative = 0.00004,
    use_batch_norm: bool = True,
    batch_norm_decay: Decay = 0.9997,
    batch_norm_epsilon: Epsilon = 0.001,
    activation_fn: ActivationFn = relu,
    batch_norm_scale: bool = False,
) -> ArgScope:
    """Return TF-Slim's default scope of the Inception networks.

    It hands batch norm its arguments as `normalizer_params`, so they beat any `[batch_norm]` scope.
    """
    batch_norm_params = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "fused": None,
        "scale": batch_norm_scale,
    }
    with (
        arg_scope([conv2d, fully_connected], weights_regularizer=l2_regularizer(weight_decay)),
        arg_scope(
            [conv2d],
            weights_initializer=variance_scaling_initializer(),
            activation_fn=activation_fn,
            normalizer_fn=batch_norm if use_batch_norm else None,
            normalizer_params=batch_norm_params if use_batch_norm else {},
        ) as scope,
    ):
        return scope


def figure_5(
    net: Tensor,
    depth: Depth,
    pool_depth: int,
    name: str,
    scopes_5x5: tuple[str, str] = ("Conv2d_0a_1x1", "Conv2d_0b_5x5"),
) -> Tensor:
    """Join 1x1, 5x5, double 3x3 and pooled branches, 35 x 35.

    Shape: (N, H, W, C) -> (N, H, W, 224 + pool_depth)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, depth(64), [1, 1], scope="Conv2d_0a_1x1")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, depth(48), [1, 1], scope=scopes_5x5[0])
            branch_1 = conv2d(branch_1, depth(64), [5, 5], scope=scopes_5x5[1])
        with variable_scope("Branch_2"):
            branch_2 = conv2d(net, depth(64), [1, 1], scope="Conv2d_0a_1x1")
            branch_2 = conv2d(branch_2, depth(96), [3, 3], scope="Conv2d_0b_3x3")
            branch_2 = conv2d(branch_2, depth(96), [3, 3], scope="Conv2d_0c_3x3")
        with variable_scope("Branch_3"):
            branch_3 = avg_pool2d(net, [3, 3], scope="AvgPool_0a_3x3")
            branch_3 = conv2d(branch_3, depth(pool_depth), [1, 1], scope="Conv2d_0b_1x1")
        net = concat([branch_0, branch_1, branch_2, branch_3])
    return end_point(name, net)


def figure_10_35(net: Tensor, depth: Depth, name: str) -> Tensor:
    """Halve the grid from 35 x 35 to 17 x 17.

    Shape: (N, H, W, C) -> (N, H / 2, W / 2, C + 480)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(
                net, depth(384), [3, 3], stride=2, padding="VALID", scope="Conv2d_1a_1x1"
            )
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, depth(64), [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, depth(96), [3, 3], scope="Conv2d_0b_3x3")
            branch_1 = conv2d(
                branch_1, depth(96), [3, 3], stride=2, padding="VALID", scope="Conv2d_1a_1x1"
            )
        with variable_scope("Branch_2"):
            branch_2 = max_pool2d(net, [3, 3], stride=2, padding="VALID", scope="MaxPool_1a_3x3")
        net = concat([branch_0, branch_1, branch_2])
    return end_point(name, net)


def figure_6(net: Tensor, depth: Depth, width: int, name: str) -> Tensor:
    """Join 1x1, 1x7 and 7x1, doubled 7x1 and 1x7, and pooled branches, 17 x 17.

    Shape: (N, H, W, C) -> (N, H, W, 768)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, depth(192), [1, 1], scope="Conv2d_0a_1x1")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, depth(width), [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, depth(width), [1, 7], scope="Conv2d_0b_1x7")
            branch_1 = conv2d(branch_1, depth(192), [7, 1], scope="Conv2d_0c_7x1")
        with variable_scope("Branch_2"):
            branch_2 = conv2d(net, depth(width), [1, 1], scope="Conv2d_0a_1x1")
            branch_2 = conv2d(branch_2, depth(width), [7, 1], scope="Conv2d_0b_7x1")
            branch_2 = conv2d(branch_2, depth(width), [1, 7], scope="Conv2d_0c_1x7")
            branch_2 = conv2d(branch_2, depth(width), [7, 1], scope="Conv2d_0d_7x1")
            branch_2 = conv2d(branch_2, depth(192), [1, 7], scope="Conv2d_0e_1x7")
        with variable_scope("Branch_3"):
            branch_3 = avg_pool2d(net, [3, 3], scope="AvgPool_0a_3x3")
            branch_3 = conv2d(branch_3, depth(192), [1, 1], scope="Conv2d_0b_1x1")
        net = concat([branch_0, branch_1, branch_2, branch_3])
    return end_point(name, net)


def figure_10_17(net: Tensor, depth: Depth, name: str) -> Tensor:
    """Halve the grid from 17 x 17 to 8 x 8.

    Shape: (N, H, W, C) -> (N, H / 2, W / 2, C + 512)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, depth(192), [1, 1], scope="Conv2d_0a_1x1")
            branch_0 = conv2d(
                branch_0, depth(320), [3, 3], stride=2, padding="VALID", scope="Conv2d_1a_3x3"
            )
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, depth(192), [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, depth(192), [1, 7], scope="Conv2d_0b_1x7")
            branch_1 = conv2d(branch_1, depth(192), [7, 1], scope="Conv2d_0c_7x1")
            branch_1 = conv2d(
                branch_1, depth(192), [3, 3], stride=2, padding="VALID", scope="Conv2d_1a_3x3"
            )
        with variable_scope("Branch_2"):
            branch_2 = max_pool2d(net, [3, 3], stride=2, padding="VALID", scope="MaxPool_1a_3x3")
        net = concat([branch_0, branch_1, branch_2])
    return end_point(name, net)


def figure_7(net: Tensor, depth: Depth, name: str, scope_3x1: str) -> Tensor:
    """Join branches that end in parallel 1x3 and 3x1 convolutions, 8 x 8.

    Shape: (N, H, W, C) -> (N, H, W, 2048)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, depth(320), [1, 1], scope="Conv2d_0a_1x1")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, depth(384), [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = concat(
                [
                    conv2d(branch_1, depth(384), [1, 3], scope="Conv2d_0b_1x3"),
                    conv2d(branch_1, depth(384), [3, 1], scope=scope_3x1),
                ]
            )
        with variable_scope("Branch_2"):
            branch_2 = conv2d(net, depth(448), [1, 1], scope="Conv2d_0a_1x1")
            branch_2 = conv2d(branch_2, depth(384), [3, 3], scope="Conv2d_0b_3x3")
            branch_2 = concat(
                [
                    conv2d(branch_2, depth(384), [1, 3], scope="Conv2d_0c_1x3"),
                    conv2d(branch_2, depth(384), [3, 1], scope="Conv2d_0d_3x1"),
                ]
            )
        with variable_scope("Branch_3"):
            branch_3 = avg_pool2d(net, [3, 3], scope="AvgPool_0a_3x3")
            branch_3 = conv2d(branch_3, depth(192), [1, 1], scope="Conv2d_0b_1x1")
        net = concat([branch_0, branch_1, branch_2, branch_3])
    return end_point(name, net)


def stem(inputs: Tensor, depth: Depth) -> Tensor:
    """Shape: (N, 299, 299, 3) -> (N, 35, 35, 192)."""
    with arg_scope([conv2d, max_pool2d, avg_pool2d], stride=1, padding="VALID"):
        net = conv2d(inputs, depth(32), [3, 3], stride=2, scope="Conv2d_1a_3x3")
        end_point("Conv2d_1a_3x3", net)
        net = conv2d(net, depth(32), [3, 3], scope="Conv2d_2a_3x3")
        end_point("Conv2d_2a_3x3", net)
        net = conv2d(net, depth(64), [3, 3], padding="SAME", scope="Conv2d_2b_3x3")
        end_point("Conv2d_2b_3x3", net)
        net = max_pool2d(net, [3, 3], stride=2, scope="MaxPool_3a_3x3")
        end_point("MaxPool_3a_3x3", net)
        net = conv2d(net, depth(80), [1, 1], scope="Conv2d_3b_1x1")
        end_point("Conv2d_3b_1x1", net)
        net = conv2d(net, depth(192), [3, 3], scope="Conv2d_4a_3x3")
        end_point("Conv2d_4a_3x3", net)
        net = max_pool2d(net, [3, 3], stride=2, scope="MaxPool_5a_3x3")
        return end_point("MaxPool_5a_3x3", net)


def auxiliary_head(net: Tensor, depth: Depth, num_classes: int, spatial_squeeze: bool) -> Tensor:
    """Classify from the middle of the network; section 4 of the paper.

    Shape: (N, 17, 17, 768) -> (N, num_classes)
    """
    with variable_scope("AuxLogits"):
        net = avg_pool2d(net, [5, 5], stride=3, padding="VALID", scope="AvgPool_1a_5x5")
        net = conv2d(net, depth(128), [1, 1], scope="Conv2d_1b_1x1")
        kernel_size = reduced_kernel_size(net, (5, 5))
        net = conv2d(
            net,
            depth(768),
            kernel_size,
            weights_initializer=truncated_normal_initializer(stddev=0.01),
            padding="VALID",
            scope=f"Conv2d_2a_{kernel_size[0]}x{kernel_size[1]}",
        )
        net = conv2d(
            net,
            num_classes,
            [1, 1],
            activation_fn=None,
            normalizer_fn=None,
            weights_initializer=truncated_normal_initializer(stddev=0.001),
            scope="Conv2d_2b_1x1",
        )
        return squeeze(net, [1, 2], "SpatialSqueeze") if spatial_squeeze else net


@architecture(
    arg_scope=inception_v3_arg_scope,
    input_shape=(299, 299, 3),
    preprocessing="inception",
    source="arXiv:1512.00567, Table 1",
    classes=1001,
    background=True,
)
def inception_v3(
    inputs: Tensor,
    num_classes: NumClasses = 1000,
    is_training: bool = True,
    dropout_keep_prob: KeepProbability = 0.8,
    min_depth: Annotated[int, Ge(1)] = 16,
    depth_multiplier: DepthMultiplier = 1.0,
    spatial_squeeze: bool = True,
    create_aux_logits: bool = True,
    global_pool: bool = False,
    scope: Later[VariableScope] = "InceptionV3",
) -> Tensor:
    """Build Inception v3; without classes, return the pooled features.

    Shape: (N, H, W, 3) -> (N, num_classes), or (N, H', W', num_classes) without `spatial_squeeze`
    """

    def depth(channels: int) -> int:
        return max(int(channels * depth_multiplier), min_depth)

    with (
        variable_scope(scope),
        arg_scope([batch_norm, dropout], is_training=is_training),
    ):
        net = stem(inputs, depth)
        with arg_scope([conv2d, max_pool2d, avg_pool2d], stride=1, padding="SAME"):
            net = figure_5(net, depth, 32, "Mixed_5b")
            # published names: this block's 5x5 branch
            net = figure_5(net, depth, 64, "Mixed_5c", ("Conv2d_0b_1x1", "Conv_1_0c_5x5"))
            net = figure_5(net, depth, 64, "Mixed_5d")
            net = figure_10_35(net, depth, "Mixed_6a")
            net = figure_6(net, depth, 128, "Mixed_6b")
            net = figure_6(net, depth, 160, "Mixed_6c")
            net = figure_6(net, depth, 160, "Mixed_6d")
            net = mixed_6e = figure_6(net, depth, 192, "Mixed_6e")
            net = figure_10_17(net, depth, "Mixed_7a")
            net = figure_7(net, depth, "Mixed_7b", "Conv2d_0b_3x1")
            net = figure_7(net, depth, "Mixed_7c", "Conv2d_0c_3x1")
            if create_aux_logits and num_classes:
                aux_logits = auxiliary_head(mixed_6e, depth, num_classes, spatial_squeeze)
                end_point("AuxLogits", aux_logits)
        with variable_scope("Logits"):
            if global_pool:
                net = end_point("global_pool", reduce_mean(net, [1, 2], "GlobalPool"))
            else:
                kernel_size = reduced_kernel_size(net, (8, 8))
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
