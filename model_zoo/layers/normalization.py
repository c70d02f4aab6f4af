"""The normalizers: scoped ops, called by name from other layers, where scopes reach them too."""

from collections.abc import Sequence

from model_zoo import primitives
from model_zoo.errors import BuildError, suggest
from model_zoo.graph import Tensor, Variable, current_graph, layer_scope
from model_zoo.layers.arguments import (
    ActivationFn,
    Axes,
    Axis,
    Count,
    Decay,
    Epsilon,
    ParamInitializers,
    ParamRegularizers,
)
from model_zoo.layers.epilogue import activate
from model_zoo.layers.registry import register_normalizer
from model_zoo.values import ones_initializer, zeros_initializer

_INITIALIZERS = {
    "beta": zeros_initializer(),
    "gamma": ones_initializer(),
    "moving_mean": zeros_initializer(),
    "moving_variance": ones_initializer(),
}


def _parameters(
    names: Sequence[str],
    shape: tuple[int, ...],
    trainable: bool,
    initializers: ParamInitializers = None,
    regularizers: ParamRegularizers = None,
) -> dict[str, Variable]:
    """Create a normalizer's variables by role; the moving averages are never trained."""
    initializers, regularizers = initializers or {}, regularizers or {}
    for name in (*initializers, *regularizers):
        if name not in _INITIALIZERS:
            raise BuildError(
                f"param_initializers and param_regularizers have no entry {name!r}. "
                f"{suggest(name, _INITIALIZERS)}",
                received=name,
            )
    graph = current_graph()
    return {
        name: graph.variable(
            name,
            shape,
            initializers.get(name, _INITIALIZERS[name]),
            regularizers.get(name),
            trainable=trainable and not name.startswith("moving_"),
        )
        for name in names
    }


def _affine(center: bool, scale: bool, *, gamma_first: bool = False) -> list[str]:
    names = [name for name, included in (("beta", center), ("gamma", scale)) if included]
    return names[::-1] if gamma_first else names


@register_normalizer(layer="BatchNorm")
def batch_norm(
    inputs: Tensor,
    decay: Decay = 0.999,
    center: bool = True,
    scale: bool = False,
    epsilon: Epsilon = 0.001,
    activation_fn: ActivationFn = None,
    param_initializers: ParamInitializers = None,
    param_regularizers: ParamRegularizers = None,
    is_training: bool = True,
    reuse: bool | None = None,
    trainable: bool = True,
    fused: bool | None = None,
    scope: str | None = None,
) -> Tensor:
    """Normalise over all but channels; by the moving averages unless `is_training`.

    Variables: `gamma` (with `scale`), `beta` (with `center`), `moving_mean`, `moving_variance`.
    `decay` is the share that the moving averages keep at a step. With rank 2, 4 or 5,
    `moving_variance` moves by the unbiased variance unless `fused` is False. Without `trainable`
    they stay as they are, but in a fused norm of rank 2, as TF-Slim computes it.

    Shape: (N, ..., C) -> (N, ..., C)
    Source: arXiv:1502.03167.
    """
    with layer_scope(scope, reuse=reuse):
        is_fused = inputs.rank in (2, 4, 5) and fused is not False
        # TF-Slim computes this one itself. tf.layers.BatchNormalization, which computes the others,
        # creates gamma first (the order of checkpoints), and moves no averages of a frozen norm.
        is_own = is_fused and inputs.rank == 2
        names = _affine(center, scale, gamma_first=not is_own)
        variables = _parameters(
            [*names, "moving_mean", "moving_variance"],
            (inputs.channels,),
            trainable,
            param_initializers,
            param_regularizers,
        )
        outputs = primitives.batch_norm(
            inputs,
            variables,
            epsilon=epsilon,
            decay=decay,
            is_training=is_training,
            fused=is_fused,
            updates=trainable or is_own,
        )
        return activate(outputs, activation_fn)


@register_normalizer(layer="LayerNorm")
def layer_norm(
    inputs: Tensor,
    center: bool = True,
    scale: bool = True,
    activation_fn: ActivationFn = None,
    reuse: bool | None = None,
    trainable: bool = True,
    begin_norm_axis: Axis = 1,
    begin_params_axis: Axis = -1,
    scope: str | None = None,
) -> Tensor:
    """Normalise each example over the axes from `begin_norm_axis` on.

    Variables: `beta` (with `center`) and `gamma` (with `scale`), of the shape of the axes from
    `begin_params_axis` on.

    Shape: (N, ..., C) -> (N, ..., C)
    Source: arXiv:1607.06450.
    """
    with layer_scope(scope, reuse=reuse):
        norm_axis = begin_norm_axis + inputs.rank if begin_norm_axis < 0 else begin_norm_axis
        params_axis = (
            begin_params_axis + inputs.rank if begin_params_axis < 0 else begin_params_axis
        )
        for name, axis in (("begin_norm_axis", norm_axis), ("begin_params_axis", params_axis)):
            if not 1 <= axis < inputs.rank:
                raise BuildError(
                    f"{name} must name a dimension after the batch of a tensor of rank "
                    f"{inputs.rank}; it comes to {axis}.",
                    received=axis,
                )
        shape = tuple(size or 1 for size in inputs.shape[params_axis:])
        variables = _parameters(_affine(center, scale), shape, trainable)
        # TF-Slim's constant for float32; it has no argument for it.
        outputs = primitives.layer_norm(inputs, variables, begin_norm_axis=norm_axis, epsilon=1e-12)
        return activate(outputs, activation_fn)


@register_normalizer(layer="GroupNorm")
def group_norm(
    inputs: Tensor,
    groups: Count = 32,
    reduction_axes: Axes = (-3, -2),
    center: bool = True,
    scale: bool = True,
    epsilon: Epsilon = 1e-6,
    activation_fn: ActivationFn = None,
    param_initializers: ParamInitializers = None,
    reuse: bool | None = None,
    trainable: bool = True,
    scope: str | None = None,
) -> Tensor:
    """Normalise each group of channels of each example over `reduction_axes`.

    Variables: `beta` (with `center`), `gamma` (with `scale`), of shape (C,).

    Shape: (N, H, W, C) -> (N, H, W, C)
    Raises: BuildError unless `groups` divides the channels.
    Source: arXiv:1803.08494.
    """
    with layer_scope(scope, reuse=reuse):
        channels = inputs.channels
        if groups > channels or channels % groups:
            raise BuildError(
                f"groups (={groups}) must divide the channels (={channels}) of {inputs.name}.",
                received=groups,
            )
        axes = tuple(axis + inputs.rank if axis < 0 else axis for axis in reduction_axes)
        if len(set(axes)) < len(axes) or not all(1 <= axis < inputs.rank - 1 for axis in axes):
            raise BuildError(
                f"reduction_axes {reduction_axes} must name dimensions between the batch and "
                f"the channels, each once; {inputs.name} has shape {inputs.shape}.",
                received=reduction_axes,
            )
        variables = _parameters(_affine(center, scale), (channels,), trainable, param_initializers)
        outputs = primitives.group_norm(
            inputs, variables, groups=groups, reduction_axes=axes, epsilon=epsilon
        )
        return activate(outputs, activation_fn)


@register_normalizer(layer="InstanceNorm")
def instance_norm(
    inputs: Tensor,
    center: bool = True,
    scale: bool = True,
    epsilon: Epsilon = 1e-6,
    activation_fn: ActivationFn = None,
    param_initializers: ParamInitializers = None,
    reuse: bool | None = None,
    trainable: bool = True,
    scope: str | None = None,
) -> Tensor:
    """Normalise each channel of each example over its positions.

    Variables: `beta` (with `center`), `gamma` (with `scale`), of shape (C,).

    Shape: (N, H, W, C) -> (N, H, W, C)
    Source: arXiv:1607.08022.
    """
    with layer_scope(scope, reuse=reuse):
        variables = _parameters(
            _affine(center, scale), (inputs.channels,), trainable, param_initializers
        )
        outputs = primitives.group_norm(
            inputs,
            variables,
            groups=inputs.channels,
            reduction_axes=tuple(range(1, inputs.rank - 1)),
            epsilon=epsilon,
        )
        return activate(outputs, activation_fn)
