"""LeNet, in TF-Slim's variant: two convolutions and two fully connected layers.

Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-Based Learning Applied to Document
Recognition", section II. Differs from the paper: ReLU, max pooling, more channels, dropout and
softmax.
"""

from model_zoo.activations import relu
from model_zoo.architectures.registry import NumClasses, VariableScope, architecture
from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Tensor, end_point, variable_scope
from model_zoo.layers import conv2d, dropout, flatten, fully_connected, max_pool2d, softmax
from model_zoo.layers.arguments import KeepProbability
from model_zoo.scope_chain import ArgScope
from model_zoo.values import Later, NonNegative, l2_regularizer, truncated_normal_initializer


def lenet_arg_scope(weight_decay: NonNegative = 0.0) -> ArgScope:
    """Return TF-Slim's default scope of LeNet."""
    with arg_scope(
        [conv2d, fully_connected],
        weights_regularizer=l2_regularizer(weight_decay),
        weights_initializer=truncated_normal_initializer(stddev=0.1),
        activation_fn=relu,
    ) as scope:
        return scope


@architecture(
    arg_scope=lenet_arg_scope,
    input_shape=(28, 28, 1),
    preprocessing="lenet",
    source="LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition",
    classes=10,
)
def lenet(
    images: Tensor,
    num_classes: NumClasses = 10,
    is_training: bool = False,
    dropout_keep_prob: KeepProbability = 0.5,
    scope: Later[VariableScope] = "LeNet",
) -> Tensor:
    """Build LeNet; without classes, return the features of fc3.

    Shape: (N, 28, 28, 1) -> (N, num_classes)
    """
    with variable_scope(scope):
        net = end_point("conv1", conv2d(images, 32, [5, 5], scope="conv1"))
        net = end_point("pool1", max_pool2d(net, [2, 2], 2, scope="pool1"))
        net = end_point("conv2", conv2d(net, 64, [5, 5], scope="conv2"))
        net = end_point("pool2", max_pool2d(net, [2, 2], 2, scope="pool2"))
        net = end_point("Flatten", flatten(net))
        net = end_point("fc3", fully_connected(net, 1024, scope="fc3"))
        if not num_classes:
            return net
        net = dropout(net, dropout_keep_prob, is_training=is_training, scope="dropout3")
        net = end_point("dropout3", net)
        logits = fully_connected(net, num_classes, activation_fn=None, scope="fc4")
        end_point("Logits", logits)
    end_point("Predictions", softmax(logits, scope="Predictions"))
    return logits
