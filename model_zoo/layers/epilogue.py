"""What follows a layer's product: a normalizer or biases, then an activation."""

from collections.abc import Mapping

from model_zoo import primitives
from model_zoo.arg_scope import has_arg_scope, scoped_op
from model_zoo.errors import BuildError
from model_zoo.graph import Tensor, current_graph
from model_zoo.layers.arguments import (
    ActivationFn,
    InitializerFn,
    NormalizerFn,
    NormalizerParams,
    RegularizerFn,
)
from model_zoo.provenance import Pointer, current_call, describe
from model_zoo.setters import setters
from model_zoo.unknown_arguments import meaningless_argument


def activate(x: Tensor, activation_fn: ActivationFn) -> Tensor:
    """Apply an activation, if there is one."""
    return x if activation_fn is None else activation_fn(x)


def apply_epilogue(
    x: Tensor,
    *,
    activation_fn: ActivationFn,
    normalizer_fn: NormalizerFn,
    normalizer_params: NormalizerParams,
    biases_initializer: InitializerFn | None,
    biases_regularizer: RegularizerFn,
    trainable: bool,
) -> Tensor:
    """Normalise, or else add biases; then activate: how every layer with weights ends."""
    if normalizer_fn is not None:
        params = normalizer_params or {}
        _check_params(normalizer_fn, params)
        x = normalizer_fn(x, **params)
    elif biases_initializer is not None:
        biases = current_graph().variable(
            "biases", (x.channels,), biases_initializer, biases_regularizer, trainable=trainable
        )
        x = primitives.bias_add(x, biases)
    return activate(x, activation_fn)


def _check_params(normalizer_fn: object, params: Mapping[str, object]) -> None:
    if not callable(normalizer_fn):
        raise BuildError(f"normalizer_fn is a function or None; received {normalizer_fn!r}.")
    if not has_arg_scope(normalizer_fn):
        return
    op = scoped_op(normalizer_fn)
    for name in params:
        if name not in op.parameters and not op.accepts_any:
            if (meaningless := meaningless_argument([op.name], name)) is not None:
                raise BuildError(meaningless, received=name)
            raise BuildError(
                f"{op.name} has no argument {name!r}, which normalizer_params {describe(params)} "
                f"passes to it{_where_set()}",
                received=name,
            )


def _where_set() -> str:
    """Return where the running call's normalizer and its arguments come from, and the remedy."""
    call = current_call()
    function, params = (
        setters(call, name) if call is not None else []
        for name in ("normalizer_fn", "normalizer_params")
    )
    if not function or not params:
        return "; set normalizer_params to fit normalizer_fn, or to null."
    places = (
        f": normalizer_fn is from {function[0].source}, normalizer_params from {params[0].source}."
    )
    if not isinstance(function[0].origin, Pointer):
        return f"{places} Set normalizer_params to fit, or to null."
    return (
        f'{places} Add "normalizer_params" to {function[0].origin}: null, or what fits '
        f"{describe(function[0].value)}."
    )
