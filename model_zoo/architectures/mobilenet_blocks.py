"""What MobileNets v2 and v3 share: their blocks, the rule of depths, output stride, scope and head.

Source: arXiv:1801.04381, Figure 4 (bottlenecks); arXiv:1905.02244, Figure 4 (squeeze and excite).
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Gt

from model_zoo.activations import relu, relu6, sigmoid
from model_zoo.architectures.atrous import strides_and_rates
from model_zoo.architectures.registry import DepthMultiplier, NumClasses
from model_zoo.arg_scope import arg_scope
from model_zoo.errors import BuildError
from model_zoo.graph import Tensor, end_point, layer_scope, scoped_end_point, variable_scope
from model_zoo.layers import (
    batch_norm,
    conv2d,
    dropout,
    fully_connected,
    register_op,
    separable_conv2d,
    softmax,
)
from model_zoo.layers.arguments import (
    ActivationFn,
    Count,
    Decay,
    KeepProbability,
    NormalizerFn,
    Padding,
    Size,
)
from model_zoo.primitives import (
    add,
    avg_pool,
    concat,
    fixed_padding,
    multiply,
    pair,
    reduce_mean,
    rescale,
    resize_bilinear,
    slice_channels,
    squeeze,
)
from model_zoo.scope_chain import ArgScope
from model_zoo.values import (
    NonNegative,
    OfOneCall,
    l2_regularizer,
    truncated_normal_initializer,
    xavier_initializer,
    zeros_initializer,
)


def training_scope(
    is_training: bool | None = True,
    weight_decay: NonNegative = 0.00004,
    stddev: float = 0.09,
    dropout_keep_prob: KeepProbability | None = 0.8,
    bn_decay: Decay | None = 0.997,
) -> ArgScope:
    """Return TF-Slim's default scope of MobileNets v2 and v3.

    None leaves an argument to the ops' own defaults; a negative `stddev` asks for Xavier's
    initializer.
    """
    initializer = (
        xavier_initializer() if stddev < 0 else truncated_normal_initializer(stddev=stddev)
    )
    with (
        arg_scope(
            [conv2d, fully_connected, separable_conv2d],
            weights_initializer=initializer,
            normalizer_fn=batch_norm,
        ),
        arg_scope([batch_norm], **given(decay=bn_decay, is_training=is_training)),
        arg_scope([dropout], **given(is_training=is_training, keep_prob=dropout_keep_prob)),
        arg_scope([conv2d], weights_regularizer=l2_regularizer(weight_decay)),
        arg_scope([separable_conv2d], weights_regularizer=None) as scope,
    ):
        return scope


def given(**arguments: float | bool | None) -> Mapping[str, float | bool]:
    """Return the arguments that are not None: for those, the ops' own defaults hold."""
    return {name: value for name, value in arguments.items() if value is not None}


def make_divisible(value: float, divisor: int, minimum: int | None = None) -> int:
    """Return the nearest multiple of the divisor, but never below the minimum or 90% of the value.

    >>> make_divisible(33.6, 8), make_divisible(11.2, 8), make_divisible(3, 8)
    (32, 16, 8)
    """
    rounded = max(minimum or divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


@register_op
def depth_multiplier(
    num_outputs: Annotated[float, Gt(0)],
    multiplier: DepthMultiplier,
    divisible_by: Count = 8,
    min_depth: Count = 8,
) -> int:
    """Return the channels of a thinned layer; `divisible_by` and `min_depth` come from scopes."""
    return make_divisible(num_outputs * multiplier, divisible_by, min_depth)


def dense_strides(strides: Iterable[int], output_stride: int | None) -> list[tuple[int, int]]:
    """Return each layer's stride and rate: past `output_stride`, strides become rates.

    An output stride that the strides never reach changes nothing, as in TF-Slim.

    Raises: BuildError if `output_stride` is odd and not 1.
    Source: arXiv:1606.00915.
    """
    if output_stride is not None and output_stride > 1 and output_stride % 2:
        raise BuildError(
            f"output_stride must be 1, a multiple of 2 or null; received {output_stride}.",
            received=output_stride,
        )
    return strides_and_rates(strides, output_stride, must_reach=False)


def check_final_endpoint(name: str | None, layers: int) -> None:
    """Check that a name is a layer of the base; TF-Slim takes any other name for the last layer.

    Raises: BuildError unless the name is null or one of the layers'.
    """
    if name is not None and name not in [f"layer_{number}" for number in range(1, layers + 1)]:
        raise BuildError(
            f"final_endpoint must be null or one of layer_1 to layer_{layers}; received {name!r}.",
            received=name,
        )


@register_op(layer="expanded_conv")
def expanded_conv(
    inputs: Tensor,
    num_outputs: Count,
    expansion_size: Count | None = None,
    stride: Count = 1,
    rate: Count = 1,
    kernel_size: Size = (3, 3),
    residual: bool = True,
    normalizer_fn: NormalizerFn = None,
    split_projection: Count = 1,
    split_expansion: Count = 1,
    split_divisible_by: Count = 8,
    expansion_transform: ActivationFn = None,
    depthwise_location: Literal["input", "expansion", "output"] | None = "expansion",
    depthwise_channel_multiplier: Count = 1,
    use_explicit_padding: bool = False,
    padding: Padding = "SAME",
    inner_activation_fn: ActivationFn = None,
    depthwise_activation_fn: ActivationFn = None,
    project_activation_fn: ActivationFn = None,
    expansion_kernel_size: Size = 1,
    expansion_stride: Size = 1,
    scope: str | None = None,
) -> dict[str, Tensor]:
    """Widen the input, convolve each channel, and project to `num_outputs`: a bottleneck.

    Returns the tensors that TF-Slim publishes, by name: `expansion_output` unless the input is wide
    enough already, `depthwise_output` unless `depthwise_location` is None, and `output`. An
    `expansion_size` of None is six times the input's channels. `expansion_transform` acts on the
    widened tensor. The input is added to the output where stride and channels allow it.

    `split_expansion` and `split_projection` split a 1x1 convolution by channels into as many parts,
    of multiples of `split_divisible_by` channels, unless a part would have fewer.

    Shape: (N, H, W, C) -> (N, H / stride, W / stride, num_outputs)
    Raises: BuildError for `use_explicit_padding` together with padding VALID, and for channels that
    do not divide into parts.
    Source: arXiv:1801.04381, Figure 4d.
    """
    depthwise_activation_fn = depthwise_activation_fn or inner_activation_fn
    parts: dict[str, Tensor] = {}
    with (
        layer_scope(scope),
        arg_scope([conv2d], **_activation(inner_activation_fn)),
        arg_scope([separable_conv2d], **_activation(depthwise_activation_fn)),
    ):
        if use_explicit_padding and padding != "SAME":
            raise BuildError(
                f"use_explicit_padding stands in for padding SAME; received padding {padding!r}.",
                received=padding,
            )

        def depthwise(net: Tensor, convolve: Callable[..., Tensor] = separable_conv2d) -> Tensor:
            if use_explicit_padding:
                net = fixed_padding(net, pair(kernel_size, "kernel_size")[0], rate)
            parts["depthwise_output"] = convolve(
                net,
                num_outputs=None,
                kernel_size=kernel_size,
                depth_multiplier=depthwise_channel_multiplier,
                stride=stride,
                rate=rate,
                normalizer_fn=normalizer_fn,
                padding="VALID" if use_explicit_padding else padding,
                scope="depthwise",
            )
            return parts["depthwise_output"]

        linear = functools.partial(separable_conv2d, activation_fn=None)
        net = inputs
        if depthwise_location == "input":
            net = depthwise(net, linear)
        size = expansion_size or make_divisible(6 * inputs.channels, 8)
        if size > net.channels:
            kernel = pair(expansion_kernel_size, "expansion_kernel_size")
            if kernel == pair(expansion_stride, "expansion_stride") == (1, 1):
                net = split_conv(
                    net,
                    size,
                    split_expansion,
                    split_divisible_by,
                    parts,
                    normalizer_fn=normalizer_fn,
                    scope="expand",
                )
            else:
                net = conv2d(
                    net,
                    size,
                    expansion_kernel_size,
                    stride=expansion_stride,
                    normalizer_fn=normalizer_fn,
                    scope="expand",
                )
            parts["expansion_output"] = net
        if depthwise_location == "expansion":
            net = depthwise(net)
        if expansion_transform is not None:
            net = expansion_transform(net)
        net = split_conv(
            net,
            num_outputs,
            split_projection,
            split_divisible_by,
            parts,
            normalizer_fn=normalizer_fn,
            activation_fn=project_activation_fn,
            scope="project",
        )
        if depthwise_location == "output":
            net = depthwise(net, linear)
        if residual and stride == 1 and net.channels == inputs.channels:
            net = add(net, inputs)
    parts["output"] = net
    return parts


def split_conv(
    net: Tensor,
    num_outputs: int,
    num_ways: int,
    divisible_by: int,
    parts: dict[str, Tensor],
    *,
    scope: str,
    **arguments: Any,
) -> Tensor:
    """Convolve by 1x1, or in `num_ways` parts of the channels, each of which sees its own alone.

    The parts' outputs are added to `parts`, as TF-Slim publishes them.

    Shape: (N, H, W, C) -> (N, H, W, num_outputs)
    Raises: BuildError unless `divisible_by` divides the channels that are split.
    """
    channels = net.channels
    if num_ways == 1 or min(channels, num_outputs) // num_ways < divisible_by:
        return conv2d(net, num_outputs, [1, 1], stride=1, scope=scope, **arguments)
    outputs, start = [], 0
    widths = zip(
        split_divisible(channels, num_ways, divisible_by),
        split_divisible(num_outputs, num_ways, divisible_by),
        strict=True,
    )
    for part, (width, depth) in enumerate(widths):
        name = f"{scope}_part_{part}"
        taken = slice_channels(net, start, width, f"split_{scope}")
        output = conv2d(taken, depth, [1, 1], stride=1, scope=name, **arguments)
        outputs.append(output)
        parts[f"{name}_output"] = output
        start += width
    return concat(outputs, f"{scope}_concat")


def split_divisible(channels: int, num_ways: int, divisible_by: int) -> list[int]:
    """Return the sizes of nearly equal parts, each a multiple of `divisible_by`.

    >>> split_divisible(144, 4, 8)
    [40, 32, 40, 32]

    Raises: BuildError unless `divisible_by` divides the channels.
    """
    if channels % divisible_by:
        raise BuildError(
            f"split_divisible_by (={divisible_by}) must divide the {channels} channels that are "
            "split.",
            received=divisible_by,
        )
    sizes: list[int] = []
    for part in range(1, num_ways + 1):
        size = channels // num_ways // divisible_by * divisible_by
        while sum(sizes) + size < channels * part / num_ways:
            size += divisible_by
        sizes.append(size)
    return sizes


def _activation(activation_fn: ActivationFn) -> Mapping[str, ActivationFn]:
    return {} if activation_fn is None else {"activation_fn": activation_fn}


@register_op(layer=lambda given: "separable" if given.get("scope") is None else None)
def split_separable_conv2d(
    inputs: Tensor,
    num_outputs: Count,
    normalizer_fn: NormalizerFn = None,
    stride: Count = 1,
    rate: Count = 1,
    use_explicit_padding: bool = False,
    scope: str | None = None,
) -> Tensor:
    """Convolve each channel by 3x3, then across channels, as two layers: MobileNet v1's block.

    The layers are `scope`_depthwise and `scope`_pointwise, or lie in `separable` without a scope.

    Shape: (N, H, W, C) -> (N, H / stride, W / stride, num_outputs)
    Source: arXiv:1704.04861, Figure 3.
    """
    if scope is None:
        with layer_scope(None):
            return _split(inputs, num_outputs, normalizer_fn, stride, rate, use_explicit_padding)
    return _split(
        inputs, num_outputs, normalizer_fn, stride, rate, use_explicit_padding, f"{scope}_"
    )


def _split(
    net: Tensor,
    num_outputs: int,
    normalizer_fn: NormalizerFn,
    stride: int,
    rate: int,
    use_explicit_padding: bool,
    prefix: str = "",
) -> Tensor:
    net = separable_conv2d(
        fixed_padding(net, 3, rate) if use_explicit_padding else net,
        None,
        [3, 3],
        depth_multiplier=1,
        stride=stride,
        rate=rate,
        normalizer_fn=normalizer_fn,
        padding="VALID" if use_explicit_padding else "SAME",
        scope=f"{prefix}depthwise",
    )
    return conv2d(
        net, num_outputs, [1, 1], stride=1, normalizer_fn=normalizer_fn, scope=f"{prefix}pointwise"
    )


@register_op(layer="squeeze_excite")
def squeeze_excite(
    inputs: Tensor,
    divisible_by: Count = 8,
    squeeze_factor: Count = 3,
    inner_activation_fn: ActivationFn = relu,
    gating_fn: ActivationFn = sigmoid,
    pool: Count | None = None,
    publish: Annotated[bool, OfOneCall()] = False,
) -> Tensor:
    """Weigh the channels by what two 1x1 convolutions make of their means.

    `publish` makes end points of the convolutions' outputs, as Xception does.

    With `pool` the means are those of windows of that size, of the whole map if it is lower, and
    the weights are resized to the map, bilinearly.

    Shape: (N, H, W, C) -> (N, H, W, C)
    Source: arXiv:1709.01507, Figure 3.
    """
    with layer_scope("squeeze_excite"):
        net = conv2d(
            window_means(inputs, pool),
            kernel_size=(1, 1),
            num_outputs=make_divisible(inputs.channels / squeeze_factor, divisible_by),
            normalizer_fn=None,
            activation_fn=inner_activation_fn,
        )
        if publish:
            scoped_end_point("Conv", net)
        net = conv2d(
            net,
            num_outputs=inputs.channels,
            kernel_size=[1, 1],
            normalizer_fn=None,
            activation_fn=gating_fn,
        )
        if publish:
            scoped_end_point("Conv_1", net)
        if pool is not None:
            _, height, width, _ = inputs.shape
            net = resize_bilinear(net, (height or 1, width or 1))
        return multiply(inputs, net)


def window_means(net: Tensor, window: int | None) -> Tensor:
    """Take the means of square windows, or of the whole map.

    Shape: (N, H, W, C) -> (N, H / window, W / window, C), or (N, 1, 1, C)
    """
    _, height, width, _ = net.shape
    if window is None:
        return reduce_mean(net, [1, 2])
    if height is not None and height < window:
        return avg_pool(net, (height, width or 1), strides=(1, 1), padding="VALID")
    return avg_pool(net, (window, window), strides=(window, window), padding="VALID")


def hard_sigmoid(x: Tensor) -> Tensor:
    """Return `relu6(x + 3) * 0.16667`; published weights were trained with the rounded factor."""
    return rescale(relu6(rescale(x, 1.0, 3.0, "add")), 0.16667)


def global_pool(net: Tensor, use_reduce_mean_for_pooling: bool = False) -> Tensor:
    """Shape: (N, H, W, C) -> (N, 1, 1, C)."""
    _, height, width, _ = net.shape
    if use_reduce_mean_for_pooling or height is None or width is None:
        return reduce_mean(net, [1, 2], "ReduceMean")
    return avg_pool(net, (height, width), strides=(1, 1), padding="VALID")


def classify(
    net: Tensor,
    num_classes: NumClasses,
    *,
    is_training: bool,
    use_reduce_mean_for_pooling: bool,
) -> Tensor:
    """Pool and classify; without classes, return the pooled features.

    Shape: (N, H, W, C) -> (N, num_classes)
    """
    with variable_scope("Logits"):
        net = end_point("global_pool", global_pool(net, use_reduce_mean_for_pooling))
        if not num_classes:
            return net
        net = dropout(net, is_training=is_training, scope="Dropout")
        logits = conv2d(
            net,
            num_classes,
            [1, 1],
            activation_fn=None,
            normalizer_fn=None,
            biases_initializer=zeros_initializer(),
            scope="Conv2d_1c_1x1",
        )
        logits = squeeze(logits, [1, 2])
    end_point("Logits", logits)
    end_point("Predictions", softmax(logits, scope="Predictions"))
    return logits
