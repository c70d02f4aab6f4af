"""Inception-ResNet v2: Inception blocks whose joined branches are scaled and added to their input.

Source: arXiv:1602.07261, Figures 15 to 19 and 7; Table 1 has the depths of Reduction-A, section 3.3
the scaling of residuals.

    end point        output            block
    Conv2d_1a_3x3    149 x 149 x 32    the stem of Inception v3
    Conv2d_2a_3x3    147 x 147 x 32
    Conv2d_2b_3x3    147 x 147 x 64
    MaxPool_3a_3x3    73 x  73 x 64
    Conv2d_3b_1x1     73 x  73 x 80
    Conv2d_4a_3x3     71 x  71 x 192
    MaxPool_5a_3x3    35 x  35 x 192
    Mixed_5b          35 x  35 x 320   Inception-A, without residual
    .                 35 x  35 x 320   Figure 16, Inception-ResNet-A, 10 times
    Mixed_6a          17 x  17 x 1088  Figure 7, Reduction-A
    PreAuxLogits      17 x  17 x 1088  Figure 17, Inception-ResNet-B, 20 times
    Mixed_7a           8 x   8 x 2080  Figure 18, Reduction-B
    .                  8 x   8 x 2080  Figure 19, Inception-ResNet-C, 10 times
    Conv2d_7b_1x1      8 x   8 x 1536

Differs from the paper, as in TF-Slim: the stem is not that of Figure 3, there are twice as many
residual blocks and other depths after them, the last block is neither scaled nor activated, and a
1x1 convolution and an auxiliary head are added.
"""

from typing import Literal

from model_zoo.activations import relu, relu6
from model_zoo.architectures.inception_v4 import auxiliary_head, map_size
from model_zoo.architectures.registry import NumClasses, VariableScope, architecture
from model_zoo.arg_scope import arg_scope
from model_zoo.errors import BuildError
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
from model_zoo.layers.arguments import ActivationFn, Decay, Epsilon, KeepProbability, Padding
from model_zoo.primitives import add, clip, concat, rescale
from model_zoo.scope_chain import ArgScope
from model_zoo.values import Later, NonNegative, l2_regularizer


def inception_resnet_v2_arg_scope(
    weight_decay: NonNegative = 0.00004,
    batch_norm_decay: Decay = 0.9997,
    batch_norm_epsilon: Epsilon = 0.001,
    activation_fn: ActivationFn = relu,
    batch_norm_scale: bool = False,
) -> ArgScope:
    """Return TF-Slim's default scope of Inception-ResNet v2.

    It hands batch norm its arguments as `normalizer_params`, so they beat any `[batch_norm]` scope.
    Its activation is that inside branches; the network's own argument is that after residuals.
    """
    regularizer = l2_regularizer(weight_decay)
    with (
        arg_scope(
            [conv2d, fully_connected],
            weights_regularizer=regularizer,
            biases_regularizer=regularizer,
        ),
        arg_scope(
            [conv2d],
            activation_fn=activation_fn,
            normalizer_fn=batch_norm,
            normalizer_params={
                "decay": batch_norm_decay,
                "epsilon": batch_norm_epsilon,
                "fused": None,
                "scale": batch_norm_scale,
            },
        ) as scope,
    ):
        return scope


def stem(inputs: Tensor, padding: Padding) -> Tensor:
    """Shape: (N, 299, 299, 3) -> (N, 35, 35, 192)."""
    net = conv2d(inputs, 32, 3, stride=2, padding=padding, scope="Conv2d_1a_3x3")
    end_point("Conv2d_1a_3x3", net)
    net = conv2d(net, 32, 3, padding=padding, scope="Conv2d_2a_3x3")
    end_point("Conv2d_2a_3x3", net)
    net = conv2d(net, 64, 3, scope="Conv2d_2b_3x3")
    end_point("Conv2d_2b_3x3", net)
    net = max_pool2d(net, 3, stride=2, padding=padding, scope="MaxPool_3a_3x3")
    end_point("MaxPool_3a_3x3", net)
    net = conv2d(net, 80, 1, padding=padding, scope="Conv2d_3b_1x1")
    end_point("Conv2d_3b_1x1", net)
    net = conv2d(net, 192, 3, padding=padding, scope="Conv2d_4a_3x3")
    end_point("Conv2d_4a_3x3", net)
    net = max_pool2d(net, 3, stride=2, padding=padding, scope="MaxPool_5a_3x3")
    return end_point("MaxPool_5a_3x3", net)


def inception_a(net: Tensor, name: str) -> Tensor:
    """Join 1x1, 5x5, double 3x3 and pooled branches, 35 x 35.

    Shape: (N, H, W, C) -> (N, H, W, 320)
    Source: arXiv:1512.00567, Figure 5, with a 5x5 convolution as in Inception v3.
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, 96, 1, scope="Conv2d_1x1")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, 48, 1, scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, 64, 5, scope="Conv2d_0b_5x5")
        with variable_scope("Branch_2"):
            branch_2 = conv2d(net, 64, 1, scope="Conv2d_0a_1x1")
            branch_2 = conv2d(branch_2, 96, 3, scope="Conv2d_0b_3x3")
            branch_2 = conv2d(branch_2, 96, 3, scope="Conv2d_0c_3x3")
        with variable_scope("Branch_3"):
            branch_3 = avg_pool2d(net, 3, stride=1, padding="SAME", scope="AvgPool_0a_3x3")
            branch_3 = conv2d(branch_3, 64, 1, scope="Conv2d_0b_1x1")
        net = concat([branch_0, branch_1, branch_2, branch_3])
    return end_point(name, net)


def add_scaled(net: Tensor, mixed: Tensor, scale: float, activation_fn: ActivationFn) -> Tensor:
    """Widen the joined branches to the depth of the input, scale them, add, and activate.

    Shape: (N, H, W, C) and (N, H, W, D) -> (N, H, W, C)
    Source: arXiv:1602.07261, Figure 20.
    """
    up = conv2d(mixed, net.channels, 1, normalizer_fn=None, activation_fn=None, scope="Conv2d_1x1")
    up = rescale(up, scale)
    if activation_fn == relu6:
        # A sum is bounded only if its parts are.
        up = clip(up, -6.0, 6.0)
    net = add(net, up)
    return net if activation_fn is None else activation_fn(net)


def figure_16(net: Tensor, scale: float, activation_fn: ActivationFn) -> Tensor:
    """Add 1x1, 3x3 and double 3x3 branches, 35 x 35: Inception-ResNet-A. Shape: unchanged."""
    with variable_scope("Branch_0"):
        branch_0 = conv2d(net, 32, 1, scope="Conv2d_1x1")
    with variable_scope("Branch_1"):
        branch_1 = conv2d(net, 32, 1, scope="Conv2d_0a_1x1")
        branch_1 = conv2d(branch_1, 32, 3, scope="Conv2d_0b_3x3")
    with variable_scope("Branch_2"):
        branch_2 = conv2d(net, 32, 1, scope="Conv2d_0a_1x1")
        branch_2 = conv2d(branch_2, 48, 3, scope="Conv2d_0b_3x3")
        branch_2 = conv2d(branch_2, 64, 3, scope="Conv2d_0c_3x3")
    return add_scaled(net, concat([branch_0, branch_1, branch_2]), scale, activation_fn)


def figure_17(net: Tensor, scale: float, activation_fn: ActivationFn) -> Tensor:
    """Add 1x1 and 1x7, 7x1 branches, 17 x 17: Inception-ResNet-B. Shape: unchanged."""
    with variable_scope("Branch_0"):
        branch_0 = conv2d(net, 192, 1, scope="Conv2d_1x1")
    with variable_scope("Branch_1"):
        branch_1 = conv2d(net, 128, 1, scope="Conv2d_0a_1x1")
        branch_1 = conv2d(branch_1, 160, [1, 7], scope="Conv2d_0b_1x7")
        branch_1 = conv2d(branch_1, 192, [7, 1], scope="Conv2d_0c_7x1")
    return add_scaled(net, concat([branch_0, branch_1]), scale, activation_fn)


def figure_19(net: Tensor, scale: float, activation_fn: ActivationFn) -> Tensor:
    """Add 1x1 and 1x3, 3x1 branches, 8 x 8: Inception-ResNet-C. Shape: unchanged."""
    with variable_scope("Branch_0"):
        branch_0 = conv2d(net, 192, 1, scope="Conv2d_1x1")
    with variable_scope("Branch_1"):
        branch_1 = conv2d(net, 192, 1, scope="Conv2d_0a_1x1")
        branch_1 = conv2d(branch_1, 224, [1, 3], scope="Conv2d_0b_1x3")
        branch_1 = conv2d(branch_1, 256, [3, 1], scope="Conv2d_0c_3x1")
    return add_scaled(net, concat([branch_0, branch_1]), scale, activation_fn)


def figure_7(net: Tensor, name: str, padding: Padding, stride: int) -> Tensor:
    """Halve the grid from 35 x 35 to 17 x 17: Reduction-A; Table 1 has k, l, m, n.

    Shape: (N, H, W, C) -> (N, H / stride, W / stride, C + 768)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, 384, 3, stride=stride, padding=padding, scope="Conv2d_1a_3x3")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, 256, 1, scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, 256, 3, scope="Conv2d_0b_3x3")
            branch_1 = conv2d(
                branch_1, 384, 3, stride=stride, padding=padding, scope="Conv2d_1a_3x3"
            )
        with variable_scope("Branch_2"):
            branch_2 = max_pool2d(net, 3, stride=stride, padding=padding, scope="MaxPool_1a_3x3")
        net = concat([branch_0, branch_1, branch_2])
    return end_point(name, net)


def figure_18(net: Tensor, name: str, padding: Padding) -> Tensor:
    """Halve the grid from 17 x 17 to 8 x 8: Reduction-B.

    Shape: (N, H, W, C) -> (N, H / 2, W / 2, C + 992)
    """
    with variable_scope(name):
        with variable_scope("Branch_0"):
            branch_0 = conv2d(net, 256, 1, scope="Conv2d_0a_1x1")
            branch_0 = conv2d(branch_0, 384, 3, stride=2, padding=padding, scope="Conv2d_1a_3x3")
        with variable_scope("Branch_1"):
            branch_1 = conv2d(net, 256, 1, scope="Conv2d_0a_1x1")
            branch_1 = conv2d(branch_1, 288, 3, stride=2, padding=padding, scope="Conv2d_1a_3x3")
        with variable_scope("Branch_2"):
            branch_2 = conv2d(net, 256, 1, scope="Conv2d_0a_1x1")
            branch_2 = conv2d(branch_2, 288, 3, scope="Conv2d_0b_3x3")
            branch_2 = conv2d(branch_2, 320, 3, stride=2, padding=padding, scope="Conv2d_1a_3x3")
        with variable_scope("Branch_3"):
            branch_3 = max_pool2d(net, 3, stride=2, padding=padding, scope="MaxPool_1a_3x3")
        net = concat([branch_0, branch_1, branch_2, branch_3])
    return end_point(name, net)


def inception_resnet_v2_base(
    inputs: Tensor, activation_fn: ActivationFn, *, output_stride: int, align_feature_maps: bool
) -> tuple[Tensor, Tensor]:
    """Build all before the heads; return what the main and the auxiliary head classify.

    Shape: (N, 299, 299, 3) -> (N, 8, 8, 1536) and (N, 17, 17, 1088)
    Raises: BuildError for an `output_stride` of 8, unless the trace ends at PreAuxLogits or before.
    """
    padding: Padding = "SAME" if align_feature_maps else "VALID"
    net = inception_a(stem(inputs, padding), "Mixed_5b")
    with variable_scope(None, "Repeat"):
        for i in range(10):
            with variable_scope(f"block35_{i + 1}"):
                net = figure_16(net, 0.17, activation_fn)
    net = figure_7(net, "Mixed_6a", padding, stride=output_stride // 8)
    with arg_scope([conv2d], rate=16 // output_stride), variable_scope(None, "Repeat"):
        for i in range(20):
            with variable_scope(f"block17_{i + 1}"):
                net = figure_17(net, 0.10, activation_fn)
    pre_aux_logits = end_point("PreAuxLogits", net)
    if output_stride == 8:
        raise BuildError(
            "an output_stride of 8 goes no further than PreAuxLogits: final_endpoint must be "
            "PreAuxLogits or an earlier end point, or output_stride 16; received 8.",
            received=8,
        )
    net = figure_18(net, "Mixed_7a", padding)
    with variable_scope(None, "Repeat"):
        for i in range(9):
            with variable_scope(f"block8_{i + 1}"):
                net = figure_19(net, 0.20, activation_fn)
    with variable_scope("Block8"):
        net = figure_19(net, 1.0, None)
    net = conv2d(net, 1536, 1, scope="Conv2d_7b_1x1")
    return end_point("Conv2d_7b_1x1", net), pre_aux_logits


@architecture(
    arg_scope=inception_resnet_v2_arg_scope,
    input_shape=(299, 299, 3),
    preprocessing="inception",
    source="arXiv:1602.07261, Figure 15",
    classes=1001,
    background=True,
)
def inception_resnet_v2(
    inputs: Tensor,
    num_classes: NumClasses = 1001,
    is_training: bool = True,
    dropout_keep_prob: KeepProbability = 0.8,
    create_aux_logits: bool = True,
    activation_fn: ActivationFn = relu,
    output_stride: Later[Literal[8, 16]] = 16,
    align_feature_maps: Later[bool] = False,
    scope: Later[VariableScope] = "InceptionResnetV2",
) -> Tensor:
    """Build Inception-ResNet v2; without classes, return the pooled features.

    `activation_fn` follows each residual sum; with relu6, residuals are clipped to [-6, 6].
    `align_feature_maps` pads wherever the paper does not. An `output_stride` of 8, that of
    PreAuxLogits, needs a `final_endpoint` up to there.

    Shape: (N, H, W, 3) -> (N, num_classes), or (N, 1, 1, 1536) without classes
    """
    with (
        variable_scope(scope),
        arg_scope([batch_norm, dropout], is_training=is_training),
    ):
        with arg_scope([conv2d, max_pool2d, avg_pool2d], stride=1, padding="SAME"):
            net, pre_aux_logits = inception_resnet_v2_base(
                inputs,
                activation_fn,
                output_stride=output_stride,
                align_feature_maps=align_feature_maps,
            )
        if create_aux_logits and num_classes:
            auxiliary_head(
                pre_aux_logits,
                num_classes,
                pool_scope="Conv2d_1a_3x3",  # published name
                conv_scope="Conv2d_2a_5x5",
                logits_scope="Logits",
            )
        with variable_scope("Logits"):
            net = avg_pool2d(net, map_size(net), padding="VALID", scope="AvgPool_1a_8x8")
            end_point("global_pool", net)
            if not num_classes:
                return net
            net = flatten(net)
            net = dropout(net, dropout_keep_prob, is_training=is_training, scope="Dropout")
            end_point("PreLogitsFlatten", net)
            logits = fully_connected(net, num_classes, activation_fn=None, scope="Logits")
            end_point("Logits", logits)
            end_point("Predictions", softmax(logits, scope="Predictions"))
    return logits
