"""Layers without windows: matrix products, biases, dropout, and changes of shape."""

from model_zoo import primitives
from model_zoo.activations import relu
from model_zoo.errors import BuildError
from model_zoo.graph import Tensor, current_graph, layer_scope
from model_zoo.layers.arguments import (
    ActivationFn,
    Count,
    InitializerFn,
    KeepProbability,
    NormalizerFn,
    NormalizerParams,
    RegularizerFn,
    Sizes,
)
from model_zoo.layers.epilogue import activate, apply_epilogue
from model_zoo.layers.registry import register_op
from model_zoo.values import xavier_initializer, zeros_initializer


@register_op(layer="fully_connected")
def fully_connected(
    inputs: Tensor,
    num_outputs: Count,
    activation_fn: ActivationFn = relu,
    normalizer_fn: NormalizerFn = None,
    normalizer_params: NormalizerParams = None,
    weights_initializer: InitializerFn = xavier_initializer(),
    weights_regularizer: RegularizerFn = None,
    biases_initializer: InitializerFn | None = zeros_initializer(),
    biases_regularizer: RegularizerFn = None,
    reuse: bool | None = None,
    trainable: bool = True,
    scope: str | None = None,
) -> Tensor:
    """Multiply by a matrix, then normalise or add biases, then activate.

    Variables: `weights` (C, num_outputs), `biases` (num_outputs,) or those of the normalizer.
    Shape: (N, ..., C) -> (N, ..., num_outputs)
    """
    with layer_scope(scope, reuse=reuse):
        if type(num_outputs) is not int or num_outputs < 1:
            raise BuildError(
                f"num_outputs must be an integer of at least 1; received {num_outputs!r}.",
                received=num_outputs,
            )
        weights = current_graph().variable(
            "weights",
            (inputs.channels, num_outputs),
            weights_initializer,
            weights_regularizer,
            trainable=trainable,
        )
        return apply_epilogue(
            primitives.matmul(inputs, weights),
            activation_fn=activation_fn,
            normalizer_fn=normalizer_fn,
            normalizer_params=normalizer_params,
            biases_initializer=biases_initializer,
            biases_regularizer=biases_regularizer,
            trainable=trainable,
        )


@register_op(layer="BiasAdd")
def bias_add(
    inputs: Tensor,
    activation_fn: ActivationFn = None,
    initializer: InitializerFn = zeros_initializer(),
    regularizer: RegularizerFn = None,
    reuse: bool | None = None,
    trainable: bool = True,
    scope: str | None = None,
) -> Tensor:
    """Add one value a channel. Variable: `biases` (C,).

    Shape: (N, ..., C) -> (N, ..., C)
    """
    with layer_scope(scope, reuse=reuse):
        biases = current_graph().variable(
            "biases", (inputs.channels,), initializer, regularizer, trainable=trainable
        )
        return activate(primitives.bias_add(inputs, biases), activation_fn)


@register_op(layer="Dropout")
def dropout(
    inputs: Tensor,
    keep_prob: KeepProbability = 0.5,
    noise_shape: Sizes | None = None,
    is_training: bool = True,
    seed: int | None = None,
    scope: str | None = None,
) -> Tensor:
    """Keep each element with `keep_prob`, scaled by its inverse; identity unless `is_training`.

    `noise_shape` says along which dimensions (size 1) elements are dropped together.
    Shape: unchanged
    """
    with layer_scope(scope):
        if noise_shape is not None and len(noise_shape) != inputs.rank:
            raise BuildError(
                f"noise_shape must have as many dimensions as the input, {inputs.rank}; "
                f"received {tuple(noise_shape)}.",
                received=noise_shape,
            )
        return primitives.dropout(
            inputs,
            keep_prob=keep_prob,
            is_training=is_training,
            noise_shape=None if noise_shape is None else tuple(noise_shape),
            seed=seed,
        )


@register_op(layer="Flatten")
def flatten(inputs: Tensor, scope: str | None = None) -> Tensor:
    """Shape: (N, ...) -> (N, elements)."""
    with layer_scope(scope):
        return primitives.flatten(inputs)


@register_op(layer="softmax")
def softmax(logits: Tensor, scope: str | None = None) -> Tensor:
    """Turn logits into probabilities over the last dimension. Shape: unchanged."""
    with layer_scope(scope):
        return primitives.softmax(logits)
