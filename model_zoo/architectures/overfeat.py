"""OverFeat's fast model: AlexNet's layers, wider, on unpooled borders.

Source: arXiv:1312.6229, Table 1. Differs, as in TF-Slim: conv1 has 64 channels, and the fully
connected layers are convolutions.
"""

from model_zoo.activations import relu
from model_zoo.architectures.registry import NumClasses, VariableScope, architecture
from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Tensor, end_point, scoped_end_point, variable_scope
from model_zoo.layers import conv2d, dropout, fully_connected, max_pool2d
from model_zoo.layers.arguments import KeepProbability
from model_zoo.primitives import reduce_mean, squeeze
from model_zoo.scope_chain import ArgScope
from model_zoo.values import (
    Later,
    NonNegative,
    constant_initializer,
    l2_regularizer,
    truncated_normal_initializer,
    zeros_initializer,
)


def overfeat_arg_scope(weight_decay: NonNegative = 0.0005) -> ArgScope:
    """Return TF-Slim's default scope of OverFeat."""
    with (
        arg_scope(
            [conv2d, fully_connected],
            activation_fn=relu,
            weights_regularizer=l2_regularizer(weight_decay),
            biases_initializer=zeros_initializer(),
        ),
        arg_scope([conv2d], padding="SAME"),
        arg_scope([max_pool2d], padding="VALID") as scope,
    ):
        return scope


@architecture(
    arg_scope=overfeat_arg_scope,
    input_shape=(231, 231, 3),
    preprocessing="vgg",
    source="arXiv:1312.6229, Table 1",
    classes=1000,
)
def overfeat(
    inputs: Tensor,
    num_classes: NumClasses = 1000,
    is_training: bool = True,
    dropout_keep_prob: KeepProbability = 0.5,
    spatial_squeeze: bool = True,
    global_pool: bool = False,
    scope: Later[VariableScope] = "overfeat",
) -> Tensor:
    """Build OverFeat; without classes, return the features of fc7.

    Shape: (N, 231, 231, 3) -> (N, num_classes), or (N, H', W', num_classes) without
    `spatial_squeeze`
    """
    with variable_scope(scope):
        net = conv2d(inputs, 64, [11, 11], 4, padding="VALID", scope="conv1")
        scoped_end_point("conv1", net)
        net = scoped_end_point("pool1", max_pool2d(net, [2, 2], scope="pool1"))
        net = conv2d(net, 256, [5, 5], padding="VALID", scope="conv2")
        scoped_end_point("conv2", net)
        net = scoped_end_point("pool2", max_pool2d(net, [2, 2], scope="pool2"))
        net = scoped_end_point("conv3", conv2d(net, 512, [3, 3], scope="conv3"))
        net = scoped_end_point("conv4", conv2d(net, 1024, [3, 3], scope="conv4"))
        net = scoped_end_point("conv5", conv2d(net, 1024, [3, 3], scope="conv5"))
        net = scoped_end_point("pool5", max_pool2d(net, [2, 2], scope="pool5"))
        with arg_scope(
            [conv2d],
            weights_initializer=truncated_normal_initializer(stddev=0.005),
            biases_initializer=constant_initializer(0.1),
        ):
            net = conv2d(net, 3072, [6, 6], padding="VALID", scope="fc6")
            scoped_end_point("fc6", net)
            net = dropout(net, dropout_keep_prob, is_training=is_training, scope="dropout6")
            net = scoped_end_point("fc7", conv2d(net, 4096, [1, 1], scope="fc7"))
            if global_pool:
                net = end_point("global_pool", reduce_mean(net, [1, 2], "global_pool"))
            if not num_classes:
                return net
            net = dropout(net, dropout_keep_prob, is_training=is_training, scope="dropout7")
            net = conv2d(
                net,
                num_classes,
                [1, 1],
                activation_fn=None,
                normalizer_fn=None,
                biases_initializer=zeros_initializer(),
                scope="fc8",
            )
        if spatial_squeeze:
            net = squeeze(net, [1, 2], "fc8/squeezed")
        return scoped_end_point("fc8", net)
