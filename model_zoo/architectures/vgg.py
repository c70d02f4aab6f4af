"""VGG: 3x3 convolutions in five groups, each followed by pooling.

Source: arXiv:1409.1556, Table 1, columns A, D and E. Differs, as in TF-Slim: the fully connected
layers are convolutions.
"""

from collections.abc import Sequence

from model_zoo.activations import relu
from model_zoo.architectures.registry import Network, NumClasses, VariableScope, architecture
from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Tensor, end_point, scoped_end_point, variable_scope
from model_zoo.layers import conv2d, dropout, fully_connected, max_pool2d
from model_zoo.layers.arguments import KeepProbability, Padding
from model_zoo.primitives import reduce_mean, squeeze
from model_zoo.scope_chain import ArgScope
from model_zoo.values import Later, NonNegative, l2_regularizer, zeros_initializer


def vgg_arg_scope(weight_decay: NonNegative = 0.0005) -> ArgScope:
    """Return TF-Slim's default scope of the VGG networks."""
    with (
        arg_scope(
            [conv2d, fully_connected],
            activation_fn=relu,
            weights_regularizer=l2_regularizer(weight_decay),
            biases_initializer=zeros_initializer(),
        ),
        arg_scope([conv2d], padding="SAME") as scope,
    ):
        return scope


DEPTHS = (64, 128, 256, 512, 512)

# convolutions in each of the five groups
VGG_A = (1, 1, 2, 2, 2)
VGG_16 = (2, 2, 3, 3, 3)
VGG_19 = (2, 2, 4, 4, 4)


def _vgg(name: str, column: str, groups: Sequence[int]) -> Network:
    def network(
        inputs: Tensor,
        num_classes: NumClasses = 1000,
        is_training: bool = True,
        dropout_keep_prob: KeepProbability = 0.5,
        spatial_squeeze: bool = True,
        fc_conv_padding: Padding = "VALID",
        global_pool: bool = False,
        scope: Later[VariableScope] = name,
    ) -> Tensor:
        net = inputs
        with variable_scope(scope):
            for group, (depth, count) in enumerate(zip(DEPTHS, groups, strict=True), 1):
                with variable_scope(f"conv{group}"):
                    for layer in range(1, count + 1):
                        net = conv2d(net, depth, [3, 3], scope=f"conv{group}_{layer}")
                        scoped_end_point(f"conv{group}_{layer}", net)
                net = max_pool2d(net, [2, 2], scope=f"pool{group}")
                scoped_end_point(f"pool{group}", net)
            net = conv2d(net, 4096, [7, 7], padding=fc_conv_padding, scope="fc6")
            scoped_end_point("fc6", net)
            net = dropout(net, dropout_keep_prob, is_training=is_training, scope="dropout6")
            net = scoped_end_point("fc7", conv2d(net, 4096, [1, 1], scope="fc7"))
            if global_pool:
                net = end_point("global_pool", reduce_mean(net, [1, 2], "global_pool"))
            if not num_classes:
                return net
            net = dropout(net, dropout_keep_prob, is_training=is_training, scope="dropout7")
            net = conv2d(
                net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None, scope="fc8"
            )
            if spatial_squeeze:
                net = squeeze(net, [1, 2], "fc8/squeezed")
            return scoped_end_point("fc8", net)

    network.__name__ = name
    network.__doc__ = f"Build VGG of {sum(groups) + 3} layers; without classes, stop at fc7."
    register = architecture(
        arg_scope=vgg_arg_scope,
        input_shape=(224, 224, 3),
        preprocessing="vgg",
        source=f"arXiv:1409.1556, Table 1, column {column}",
        classes=1000,
    )
    return register(network)


vgg_a = _vgg("vgg_a", "A", VGG_A)
vgg_16 = _vgg("vgg_16", "D", VGG_16)
vgg_19 = _vgg("vgg_19", "E", VGG_19)
