"""A scoped op and an architecture that the model zoo finds where this package is installed."""

from model_zoo import (
    ArgScope,
    Tensor,
    architecture,
    arg_scope,
    end_point,
    layer_scope,
    variable_scope,
)
from model_zoo.layers import batch_norm, conv2d, dropout, register_op, softmax
from model_zoo.layers.arguments import Count
from model_zoo.primitives import add, reduce_mean, squeeze
from model_zoo.values import l2_regularizer


@register_op(layer="residual_unit")
def residual_unit(net: Tensor, kernel_size: Count = 3, scope: str | None = None) -> Tensor:
    """Add a convolution of the input to it. Shape: unchanged."""
    with layer_scope(scope):
        return add(net, conv2d(net, net.channels, kernel_size, scope="conv"))


def tiny_arg_scope(weight_decay: float = 0.0001) -> ArgScope:
    """Return the default scope: normalized, regularized convolutions."""
    with arg_scope(
        [conv2d], normalizer_fn=batch_norm, weights_regularizer=l2_regularizer(weight_decay)
    ) as scope:
        return scope


@architecture(
    arg_scope=tiny_arg_scope,
    input_shape=(32, 32, 3),
    preprocessing="inception",
    source="examples/tiny_zoo",
    classes=10,
)
def tiny_net(
    inputs: Tensor, num_classes: Count = 10, units: Count = 2, is_training: bool = False
) -> Tensor:
    """Build a few residual units. Shape: (N, H, W, 3) -> (N, num_classes)."""
    with variable_scope("TinyNet"), arg_scope([batch_norm, dropout], is_training=is_training):
        net = end_point("stem", conv2d(inputs, 16, 3, stride=2, scope="stem"))
        for unit in range(1, units + 1):
            net = end_point(f"unit_{unit}", residual_unit(net, scope=f"unit_{unit}"))
        net = dropout(reduce_mean(net, [1, 2]), keep_prob=0.8)
        logits = conv2d(net, num_classes, 1, activation_fn=None, normalizer_fn=None, scope="logits")
        logits = end_point("Logits", squeeze(logits, [1, 2]))
        end_point("Predictions", softmax(logits))
    return logits
