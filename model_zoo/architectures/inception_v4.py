"""Inception v4: a deeper trunk of uniform Inception blocks, without residual connections.

Source: arXiv:1602.07261, Figures 3 to 9; Table 1 has the depths of Reduction-A.

    end point        output            block
    Conv2d_1a_3x3    149 x 149 x 32    Figure 3, the stem
    Conv2d_2a_3x3    147 x 147 x 32
    Conv2d_2b_3x3    147 x 147 x 64
    Mixed_3a          73 x  73 x 160
    Mixed_4a          71 x  71 x 192
    Mixed_5a          35 x  35 x 384
    Mixed_5b .. 5e    35 x  35 x 384   Figure 4, Inception-A, 4 times
    Mixed_6a          17 x  17 x 1024  Figure 7, Reduction-A
    Mixed_6b .. 6h    17 x  17 x 1024  Figure 5, Inception-B, 7 times
    Mixed_7a           8 x   8 x 1536  Figure 8, Reduction-B
    Mixed_7b .. 7d     8 x   8 x 1536  Figure 6, Inception-C, 3 times

Differs from the paper: batch norm in all convolutions, and an auxiliary head; as in TF-Slim, whose
order of 7x1 and 1x7, and of 3x1 and 1x3, is taken too.
"""

from model_zoo.architectures.inception_v3 import inception_v3_arg_scope
from model_zoo.architectures.registry import NumClasses, VariableScope, architecture
from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Tensor, end_point, variable_scope
from model_zoo.layers import (
    avg_pool2d,
    batch_norm,
    conv2d,
    dropout,
    flatten,
    fully_connected,
    max_pool2d,
    softmax,
)
from model_zoo.layers.arguments import KeepProbability
from model_zoo.primitives import concat
from model_zoo.values import Later


def figure_3(inputs: Tensor) -> Tensor:
    """Shrink the image to the grid of the first blocks.

    Shape: (N, 299, 299, 3) -> (N, 35, 35, 384)
    """
    net = conv2d(inputs, 32, [3, 3], stride=2, padding="VALID", scope="Conv2d_1a_3x3")
    end_point("Conv2d_1a_3x3", net)
    net = conv2d(net, 32, [3, 3], padding="VALID", scope="Conv2d_2a_3x3")
    end_point("Conv2d_2a_3x3", net)
    net = conv2d(net, 64, [3, 3], scope="Conv2d_2b_3x3")
    end_point("Conv2d_2b_3x3", net)
    with variable_scope("Mixed_3a"):
        with variable_scope("Branch_0"):
            branch_0 = max_pool2d(net, [3, 3], stride=2, padding="VALID", scope="MaxPool_0a_3x3")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, 96, [3, 3], stride=2, padding="VALID", scope="Conv2d_0a_3x3")
        net = concat([branch_0, branch_1])
    end_point("Mixed_3a", net)
    with variable_scope("Mixed_4a"):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, 64, [1, 1], scope="Conv2d_0a_1x1")
            branch_0 = conv2d(branch_0, 96, [3, 3], padding="VALID", scope="Conv2d_1a_3x3")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, 64, [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, 64, [1, 7], scope="Conv2d_0b_1x7")
            branch_1 = conv2d(branch_1, 64, [7, 1], scope="Conv2d_0c_7x1")
            branch_1 = conv2d(branch_1, 96, [3, 3], padding="VALID", scope="Conv2d_1a_3x3")
        net = concat([branch_0, branch_1])
    end_point("Mixed_4a", net)
    with variable_scope("Mixed_5a"):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, 192, [3, 3], stride=2, padding="VALID", scope="Conv2d_1a_3x3")
        with variable_scope("Branch_1"):
            branch_1 = max_pool2d(net, [3, 3], stride=2, padding="VALID", scope="MaxPool_1a_3x3")
        net = concat([branch_0, branch_1])
    return end_point("Mixed_5a", net)


def figure_4(net: Tensor, name: str) -> Tensor:
    """Join 1x1, 3x3, double 3x3 and pooled branches, 35 x 35: Inception-A.

    Shape: (N, H, W, C) -> (N, H, W, 384)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, 96, [1, 1], scope="Conv2d_0a_1x1")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, 64, [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, 96, [3, 3], scope="Conv2d_0b_3x3")
        with variable_scope("Branch_2"):
            branch_2 = conv2d(net, 64, [1, 1], scope="Conv2d_0a_1x1")
            branch_2 = conv2d(branch_2, 96, [3, 3], scope="Conv2d_0b_3x3")
            branch_2 = conv2d(branch_2, 96, [3, 3], scope="Conv2d_0c_3x3")
        with variable_scope("Branch_3"):
            branch_3 = avg_pool2d(net, [3, 3], scope="AvgPool_0a_3x3")
            branch_3 = conv2d(branch_3, 96, [1, 1], scope="Conv2d_0b_1x1")
        net = concat([branch_0, branch_1, branch_2, branch_3])
    return end_point(name, net)


def figure_7(net: Tensor, name: str) -> Tensor:
    """Halve the grid from 35 x 35 to 17 x 17: Reduction-A; Table 1 has k, l, m, n.

    Shape: (N, H, W, C) -> (N, H / 2, W / 2, C + 640)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, 384, [3, 3], stride=2, padding="VALID", scope="Conv2d_1a_3x3")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, 192, [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, 224, [3, 3], scope="Conv2d_0b_3x3")
            branch_1 = conv2d(
                branch_1, 256, [3, 3], stride=2, padding="VALID", scope="Conv2d_1a_3x3"
            )
        with variable_scope("Branch_2"):
            branch_2 = max_pool2d(net, [3, 3], stride=2, padding="VALID", scope="MaxPool_1a_3x3")
        net = concat([branch_0, branch_1, branch_2])
    return end_point(name, net)


def figure_5(net: Tensor, name: str) -> Tensor:
    """Join 1x1, 1x7 and 7x1, doubled 7x1 and 1x7, and pooled branches, 17 x 17: Inception-B.

    Shape: (N, H, W, C) -> (N, H, W, 1024)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, 384, [1, 1], scope="Conv2d_0a_1x1")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, 192, [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, 224, [1, 7], scope="Conv2d_0b_1x7")
            branch_1 = conv2d(branch_1, 256, [7, 1], scope="Conv2d_0c_7x1")
        with variable_scope("Branch_2"):
            branch_2 = conv2d(net, 192, [1, 1], scope="Conv2d_0a_1x1")
            branch_2 = conv2d(branch_2, 192, [7, 1], scope="Conv2d_0b_7x1")
            branch_2 = conv2d(branch_2, 224, [1, 7], scope="Conv2d_0c_1x7")
            branch_2 = conv2d(branch_2, 224, [7, 1], scope="Conv2d_0d_7x1")
            branch_2 = conv2d(branch_2, 256, [1, 7], scope="Conv2d_0e_1x7")
        with variable_scope("Branch_3"):
            branch_3 = avg_pool2d(net, [3, 3], scope="AvgPool_0a_3x3")
            branch_3 = conv2d(branch_3, 128, [1, 1], scope="Conv2d_0b_1x1")
        net = concat([branch_0, branch_1, branch_2, branch_3])
    return end_point(name, net)


def figure_8(net: Tensor, name: str) -> Tensor:
    """Halve the grid from 17 x 17 to 8 x 8: Reduction-B.

    Shape: (N, H, W, C) -> (N, H / 2, W / 2, C + 512)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, 192, [1, 1], scope="Conv2d_0a_1x1")
            branch_0 = conv2d(
                branch_0, 192, [3, 3], stride=2, padding="VALID", scope="Conv2d_1a_3x3"
            )
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, 256, [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, 256, [1, 7], scope="Conv2d_0b_1x7")
            branch_1 = conv2d(branch_1, 320, [7, 1], scope="Conv2d_0c_7x1")
            branch_1 = conv2d(
                branch_1, 320, [3, 3], stride=2, padding="VALID", scope="Conv2d_1a_3x3"
            )
        with variable_scope("Branch_2"):
            branch_2 = max_pool2d(net, [3, 3], stride=2, padding="VALID", scope="MaxPool_1a_3x3")
        net = concat([branch_0, branch_1, branch_2])
    return end_point(name, net)


def figure_6(net: Tensor, name: str) -> Tensor:
    """Join branches that end in parallel 1x3 and 3x1 convolutions, 8 x 8: Inception-C.

    Shape: (N, H, W, C) -> (N, H, W, 1536)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, 256, [1, 1], scope="Conv2d_0a_1x1")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, 384, [1, 1], scope="Conv2d_0a_1x1")
            branch_1 = concat(
                [
                    conv2d(branch_1, 256, [1, 3], scope="Conv2d_0b_1x3"),
                    conv2d(branch_1, 256, [3, 1], scope="Conv2d_0c_3x1"),
                ]
            )
        with variable_scope("Branch_2"):
            branch_2 = conv2d(net, 384, [1, 1], scope="Conv2d_0a_1x1")
            branch_2 = conv2d(branch_2, 448, [3, 1], scope="Conv2d_0b_3x1")
            branch_2 = conv2d(branch_2, 512, [1, 3], scope="Conv2d_0c_1x3")
            branch_2 = concat(
                [
                    conv2d(branch_2, 256, [1, 3], scope="Conv2d_0d_1x3"),
                    conv2d(branch_2, 256, [3, 1], scope="Conv2d_0e_3x1"),
                ]
            )
        with variable_scope("Branch_3"):
            branch_3 = avg_pool2d(net, [3, 3], scope="AvgPool_0a_3x3")
            branch_3 = conv2d(branch_3, 256, [1, 1], scope="Conv2d_0b_1x1")
        net = concat([branch_0, branch_1, branch_2, branch_3])
    return end_point(name, net)


def map_size(net: Tensor) -> tuple[int, int]:
    """Return the height and width, the kernel of a layer that covers the whole map."""
    _, height, width, _ = net.shape
    return height or 1, width or 1


def auxiliary_head(
    net: Tensor, num_classes: int, *, pool_scope: str, conv_scope: str, logits_scope: str
) -> Tensor:
    """Classify from the middle of the network; arXiv:1512.00567, section 4.

    Shape: (N, 17, 17, C) -> (N, num_classes)
    """
    with variable_scope("AuxLogits"):
        net = avg_pool2d(net, [5, 5], stride=3, padding="VALID", scope=pool_scope)
        net = conv2d(net, 128, [1, 1], scope="Conv2d_1b_1x1")
        net = conv2d(net, 768, map_size(net), padding="VALID", scope=conv_scope)
        net = flatten(net)
        net = fully_connected(net, num_classes, activation_fn=None, scope=logits_scope)
    return end_point("AuxLogits", net)


@architecture(
    arg_scope=inception_v3_arg_scope,
    input_shape=(299, 299, 3),
    preprocessing="inception",
    source="arXiv:1602.07261, Figure 9",
    classes=1001,
    background=True,
)
def inception_v4(
    inputs: Tensor,
    num_classes: NumClasses = 1001,
    is_training: bool = True,
    dropout_keep_prob: KeepProbability = 0.8,
    create_aux_logits: bool = True,
    scope: Later[VariableScope] = "InceptionV4",
) -> Tensor:
    """Build Inception v4; without classes, return the pooled features.

    Shape: (N, H, W, 3) -> (N, num_classes), or (N, 1, 1, 1536) without classes
    """
    with (
        variable_scope(scope),
        arg_scope([batch_norm, dropout], is_training=is_training),
        arg_scope([conv2d, max_pool2d, avg_pool2d], stride=1, padding="SAME"),
    ):
        net = figure_3(inputs)
        for letter in "bcde":
            net = figure_4(net, f"Mixed_5{letter}")
        net = figure_7(net, "Mixed_6a")
        for letter in "bcdefgh":
            net = figure_5(net, f"Mixed_6{letter}")
        mixed_6h = net
        net = figure_8(net, "Mixed_7a")
        for letter in "bcd":
            net = figure_6(net, f"Mixed_7{letter}")
        if create_aux_logits and num_classes:
            auxiliary_head(
                mixed_6h,
                num_classes,
                pool_scope="AvgPool_1a_5x5",
                conv_scope="Conv2d_2a",
                logits_scope="Aux_logits",
            )
        with variable_scope("Logits"):
            net = avg_pool2d(net, map_size(net), padding="VALID", scope="AvgPool_1a")
            end_point("global_pool", net)
            if not num_classes:
                return net
            net = dropout(net, dropout_keep_prob, scope="Dropout_1b")
            net = end_point("PreLogitsFlatten", flatten(net, scope="PreLogitsFlatten"))
            logits = fully_connected(net, num_classes, activation_fn=None, scope="Logits")
            end_point("Logits", logits)
            end_point("Predictions", softmax(logits, scope="Predictions"))
    return logits
