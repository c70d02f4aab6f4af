"""CifarNet, in TF-Slim's variant of cuda-convnet's CIFAR-10 network.

Source: Krizhevsky, Sutskever, Hinton 2012 (NIPS), section 3.3 for the response
normalization; the layers are those of the TensorFlow CIFAR-10 tutorial.
"""

from model_zoo.activations import relu
from model_zoo.architectures.registry import NumClasses, VariableScope, architecture
from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Tensor, end_point, variable_scope
from model_zoo.layers import conv2d, dropout, flatten, fully_connected, max_pool2d, softmax
from model_zoo.layers.arguments import KeepProbability
from model_zoo.primitives import local_response_normalization
from model_zoo.scope_chain import ArgScope
from model_zoo.values import (
    Later,
    NonNegative,
    constant_initializer,
    l2_regularizer,
    truncated_normal_initializer,
    zeros_initializer,
)


def cifarnet_arg_scope(weight_decay: NonNegative = 0.004) -> ArgScope:
    """Return TF-Slim's default scope of CifarNet."""
    with (
        arg_scope(
            [conv2d],
            weights_initializer=truncated_normal_initializer(stddev=0.05),
            activation_fn=relu,
        ),
        arg_scope(
            [fully_connected],
            biases_initializer=constant_initializer(0.1),
            weights_initializer=truncated_normal_initializer(stddev=0.04),
            weights_regularizer=l2_regularizer(weight_decay),
            activation_fn=relu,
        ) as scope,
    ):
        return scope


@architecture(
    arg_scope=cifarnet_arg_scope,
    input_shape=(32, 32, 3),
    preprocessing="cifarnet",
    source="Krizhevsky et al. 2012, ImageNet Classification with Deep CNNs, section 3.3",
    classes=10,
)
def cifarnet(
    images: Tensor,
    num_classes: NumClasses = 10,
    is_training: bool = False,
    dropout_keep_prob: KeepProbability = 0.5,
    scope: Later[VariableScope] = "CifarNet",
) -> Tensor:
    """Build CifarNet; without classes, return the features of fc4.

    Shape: (N, 32, 32, 3) -> (N, num_classes)
    """
    with variable_scope(scope):
        net = end_point("conv1", conv2d(images, 64, [5, 5], scope="conv1"))
        net = end_point("pool1", max_pool2d(net, [2, 2], 2, scope="pool1"))
        net = _norm(net, "norm1")
        net = end_point("conv2", conv2d(net, 64, [5, 5], scope="conv2"))
        net = _norm(net, "norm2")
        net = end_point("pool2", max_pool2d(net, [2, 2], 2, scope="pool2"))
        net = end_point("Flatten", flatten(net))
        net = end_point("fc3", fully_connected(net, 384, scope="fc3"))
        net = dropout(net, dropout_keep_prob, is_training=is_training, scope="dropout3")
        net = end_point("fc4", fully_connected(net, 192, scope="fc4"))
        if not num_classes:
            return net
        logits = fully_connected(
            net,
            num_classes,
            biases_initializer=zeros_initializer(),
            weights_initializer=truncated_normal_initializer(stddev=1 / 192.0),
            weights_regularizer=None,
            activation_fn=None,
            scope="logits",
        )
        end_point("Logits", logits)
        end_point("Predictions", softmax(logits, scope="Predictions"))
    return logits


def _norm(x: Tensor, name: str) -> Tensor:
    return local_response_normalization(
        x, depth_radius=4, bias=1.0, alpha=0.001 / 9.0, beta=0.75, name=name
    )
