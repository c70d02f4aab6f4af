"""The primitive computations of a graph: each checks, infers its shape, and counts multiply-adds.

Scoped layers are made of these; `model_zoo.lowering` has one rule for each. All tensors are
(N, spatial..., C), as TF-Slim's networks are by default.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from model_zoo.errors import BuildError, SizeError
from model_zoo.graph import Shape, Tensor, Variable, current_graph

Padding = Literal["SAME", "VALID"]
Pair = tuple[int, int]
Sizes = tuple[int, ...]


def pair(value: int | Sequence[int], what: str) -> Pair:
    """Return (height, width) of one size or two.

    Raises: BuildError unless both are integers of at least 1.
    """
    height, width = sizes(value, 2, what)
    return (height, width)


def sizes(value: int | Sequence[int], count: int, what: str) -> Sizes:
    """Return one size for each spatial dimension, of one for all or one for each.

    Raises: BuildError unless all are integers of at least 1.
    """
    if type(value) is int and value >= 1:
        return (value,) * count
    each = (value,) if isinstance(value, int) else tuple(value)
    if len(each) != count or not all(type(size) is int and size >= 1 for size in each):
        raise BuildError(
            f"{what} takes an integer of at least 1, or {_COUNTS[count]} of them; "
            f"received {value!r}.",
            received=value,
        )
    return each


_COUNTS = {2: "two", 3: "three"}


def _rank(x: Tensor, rank: int, op: str) -> None:
    if x.rank != rank:
        raise BuildError(f"{op} takes a tensor of rank {rank}; received shape {x.shape}.")


def _window(
    size: int | None, kernel: int, stride: int, padding: Padding, rate: int = 1
) -> int | None:
    """Return the output size of one dimension under a sliding window, as TensorFlow rounds it."""
    if padding not in ("SAME", "VALID"):
        raise BuildError(f"padding is 'SAME' or 'VALID'; received {padding!r}.", received=padding)
    if size is None:
        return None
    if padding == "SAME":
        return -(-size // stride)
    reach = rate * (kernel - 1) + 1
    if reach > size:
        raise SizeError(
            f"a window of {reach} with VALID padding does not fit an input of size {size}; "
            "a larger input_shape, padding SAME or a smaller kernel would."
        )
    return (size - reach) // stride + 1


def _windows(
    x: Tensor, kernel: Sizes, strides: Sizes, padding: Padding, rate: Sizes | None = None
) -> tuple[int | None, ...]:
    windows = zip(x.shape[1:-1], kernel, strides, rate or (1,) * len(kernel), strict=True)
    return tuple(
        _window(size, width, stride, padding, dilation) for size, width, stride, dilation in windows
    )


def split_padding(total: int) -> tuple[int, int]:
    """Return how much of a dimension's padding TensorFlow's SAME puts before and after it.

    >>> split_padding(2), split_padding(3)
    ((1, 1), (1, 2))
    """
    return total // 2, total - total // 2


def conv(x: Tensor, weights: Variable, *, strides: Sizes, padding: Padding, rate: Sizes) -> Tensor:
    """Convolve over two or three dimensions, as many as the weights have.

    Shape: (N, H, W, C) and weights (h, w, C, D) -> (N, H', W', D), or
    (N, T, H, W, C) and weights (t, h, w, C, D) -> (N, T', H', W', D)
    """
    *kernel, _, depth = weights.shape
    op = f"conv{len(kernel)}d"
    _rank(x, len(kernel) + 2, op)
    _refuse_stride_and_rate(strides, rate)
    shape = (None, *_windows(x, tuple(kernel), strides, padding, rate), depth)
    return _emit_counted(op, f"Conv{len(kernel)}D", x, shape, weights, strides, padding, rate)


def _refuse_stride_and_rate(strides: Sizes, rate: Sizes) -> None:
    if max(strides) > 1 and max(rate) > 1:
        raise BuildError(
            f"stride (={strides}) and rate (={rate}) cannot both be above 1 in one convolution."
        )


def depthwise_conv2d(
    x: Tensor, weights: Variable, *, strides: Pair, padding: Padding, rate: Pair = (1, 1)
) -> Tensor:
    """Convolve each channel by itself. Shape: (N, H, W, C), (h, w, C, m) -> (N, H', W', C * m)."""
    _rank(x, 4, "depthwise_conv2d")
    _refuse_stride_and_rate(strides, rate)
    if strides[0] != strides[1]:
        raise BuildError(f"a depthwise convolution takes equal strides; received {strides}.")
    height, width, channels, multiplier = weights.shape
    depth = channels * multiplier
    shape = (None, *_windows(x, (height, width), strides, padding, rate), depth)
    return _emit_counted("depthwise_conv2d", "depthwise", x, shape, weights, strides, padding, rate)


def _emit_counted(
    op: str,
    name: str,
    x: Tensor,
    shape: Shape,
    weights: Variable,
    strides: Sizes,
    padding: Padding,
    rate: Sizes,
) -> Tensor:
    # Each weight is used once at each output position. TensorFlow computes a dilated convolution on
    # a map that it pads to multiples of the rate.
    padded = [-(-(size or 1) // step) * step for size, step in zip(shape[1:-1], rate, strict=True)]
    return current_graph().emit(
        op,
        (x,),
        shape,
        name=name,
        attributes={"strides": strides, "padding": padding, "rate": rate},
        variables={"weights": weights},
        multiply_adds=math.prod(padded) * weights.size,
    )


def conv2d_transpose(x: Tensor, weights: Variable, *, strides: Pair, padding: Padding) -> Tensor:
    """Transpose a convolution. Shape: (N, H, W, C) and weights (h, w, D, C) -> (N, H', W', D)."""
    _rank(x, 4, "conv2d_transpose")
    height, width, depth, _ = weights.shape
    spatial = tuple(
        None
        if size is None
        else size * stride + (max(kernel - stride, 0) if padding == "VALID" else 0)
        for size, kernel, stride in zip(x.shape[1:3], (height, width), strides, strict=True)
    )
    return current_graph().emit(
        "conv2d_transpose",
        (x,),
        (None, *spatial, depth),
        attributes={"strides": strides, "padding": padding},
        variables={"weights": weights},
        multiply_adds=(x.shape[1] or 1) * (x.shape[2] or 1) * weights.size,
    )


def matmul(x: Tensor, weights: Variable) -> Tensor:
    """Multiply the last dimension by a matrix. Shape: (N, ..., C) and (C, D) -> (N, ..., D)."""
    if x.rank < 2:
        raise BuildError(f"fully_connected takes a tensor of rank 2 or more; received {x.shape}.")
    return current_graph().emit(
        "matmul",
        (x,),
        (*x.shape[:-1], weights.shape[1]),
        name="MatMul",
        variables={"weights": weights},
        multiply_adds=x.size * weights.shape[1],
    )


def bias_add(x: Tensor, biases: Variable) -> Tensor:
    """Add one value a channel. Shape: (N, ..., C) -> (N, ..., C)."""
    return current_graph().emit(
        "bias_add", (x,), x.shape, name="BiasAdd", variables={"biases": biases}
    )


def batch_norm(
    x: Tensor,
    variables: Mapping[str, Variable],
    *,
    epsilon: float,
    decay: float,
    is_training: bool,
    fused: bool,
    updates: bool = True,
) -> Tensor:
    """Normalise over all but channels: by the moving averages, or the batch's own when training.

    `variables`: moving_mean, moving_variance, and beta and gamma where there are any. A fused one
    moves `moving_variance` by the unbiased variance, n / (n - 1), as TensorFlow's kernel does. With
    `is_training` but without `updates`, neither moves.
    Shape: (N, ..., C) -> (N, ..., C)
    """
    return current_graph().emit(
        "batch_norm",
        (x,),
        x.shape,
        name="FusedBatchNorm" if fused else "batchnorm",
        attributes={
            "epsilon": epsilon,
            "decay": decay,
            "is_training": is_training,
            "fused": fused,
            "updates": updates,
        },
        variables=variables,
    )


def group_norm(
    x: Tensor,
    variables: Mapping[str, Variable],
    *,
    groups: int,
    reduction_axes: tuple[int, ...],
    epsilon: float,
) -> Tensor:
    """Normalise each group of channels of each example over `reduction_axes` (batch counted as 0).

    Shape: (N, ..., C) -> (N, ..., C)
    """
    return current_graph().emit(
        "group_norm",
        (x,),
        x.shape,
        name="groupnorm",
        attributes={"groups": groups, "reduction_axes": reduction_axes, "epsilon": epsilon},
        variables=variables,
    )


def layer_norm(
    x: Tensor, variables: Mapping[str, Variable], *, begin_norm_axis: int, epsilon: float
) -> Tensor:
    """Normalise each example over the axes from `begin_norm_axis` on.

    Shape: (N, ..., C) -> (N, ..., C)
    """
    return current_graph().emit(
        "layer_norm",
        (x,),
        x.shape,
        name="layernorm",
        attributes={"begin_norm_axis": begin_norm_axis, "epsilon": epsilon},
        variables=variables,
    )


def max_pool(x: Tensor, kernel: Sizes, *, strides: Sizes, padding: Padding) -> Tensor:
    """Take each window's maximum. Shape: (N, H, W, C) -> (N, H', W', C), or with time before H."""
    return _pool("max", "Max", x, kernel, strides, padding)


def avg_pool(x: Tensor, kernel: Sizes, *, strides: Sizes, padding: Padding) -> Tensor:
    """Take each window's mean; padding does not count. Shape: as max_pool's."""
    return _pool("avg", "Avg", x, kernel, strides, padding)


def _pool(
    kind: str, name: str, x: Tensor, kernel: Sizes, strides: Sizes, padding: Padding
) -> Tensor:
    dimensions = len(kernel)
    op = f"{kind}_pool{dimensions}d"
    _rank(x, dimensions + 2, op)
    return current_graph().emit(
        op,
        (x,),
        (None, *_windows(x, kernel, strides, padding), x.shape[-1]),
        name=f"{name}Pool3D" if dimensions == 3 else f"{name}Pool",
        attributes={"kernel": kernel, "strides": strides, "padding": padding},
    )


def dropout(
    x: Tensor,
    *,
    keep_prob: float,
    is_training: bool,
    noise_shape: tuple[int | None, ...] | None = None,
    seed: int | None = None,
) -> Tensor:
    """Keep each element with `keep_prob` and scale it by its inverse; identity unless training."""
    return current_graph().emit(
        "dropout",
        (x,),
        x.shape,
        attributes={
            "keep_prob": keep_prob,
            "is_training": is_training,
            "noise_shape": noise_shape,
            "seed": seed,
        },
    )


def softmax(x: Tensor) -> Tensor:
    """Normalise the exponentials of the last dimension to sum 1."""
    return current_graph().emit("softmax", (x,), x.shape, name="Softmax")


def flatten(x: Tensor) -> Tensor:
    """Shape: (N, ...) -> (N, elements)."""
    if x.rank < 2:
        raise BuildError(f"flatten takes a tensor of rank 2 or more; received shape {x.shape}.")
    return current_graph().emit("flatten", (x,), (None, x.size), name="Reshape")


def _axes(x: Tensor, axes: Sequence[int], op: str) -> tuple[int, ...]:
    """Return dimensions after the batch, counted from the first one.

    Raises: BuildError if they are not such.
    """
    given: list[Any] = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    positive = tuple(axis + x.rank if type(axis) is int and axis < 0 else axis for axis in given)
    if not all(type(axis) is int and 1 <= axis < x.rank for axis in positive):
        raise BuildError(
            f"axes of {op} must be a list of integers from 1 to {x.rank - 1}, the dimensions of "
            f"{x.name} after the batch; received {axes!r}.",
            received=axes,
        )
    return positive


def squeeze(x: Tensor, axes: Sequence[int], name: str = "squeeze") -> Tensor:
    """Drop dimensions of size 1; negative axes count from the last one.

    Raises: BuildError if one of them is not of size 1, or is no dimension after the batch.
    """
    axes = _axes(x, axes, "squeeze")
    for axis in axes:
        if x.shape[axis] != 1:
            raise SizeError(
                f"cannot squeeze dimension {axis} of {x.name}, which has size {x.shape[axis]} and "
                "not 1; a smaller input_shape, global_pool or no spatial_squeeze would avoid that."
            )
    shape = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
    return current_graph().emit("squeeze", (x,), shape, name=name, attributes={"axes": axes})


def reduce_mean(x: Tensor, axes: Sequence[int], name: str = "Mean") -> Tensor:
    """Take the mean over dimensions, which stay as size 1; negative axes count from the last one.

    Raises: BuildError if one of them is no dimension after the batch.
    """
    axes = _axes(x, axes, "reduce_mean")
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    return current_graph().emit("reduce_mean", (x,), shape, name=name, attributes={"axes": axes})


def concat(tensors: Sequence[Tensor], name: str = "concat") -> Tensor:
    """Join tensors on channels. Shape: (N, H, W, C1), (N, H, W, C2), ... -> (N, H, W, C1 + ...)."""
    first = tensors[0]
    for tensor in tensors[1:]:
        if tensor.shape[:-1] != first.shape[:-1]:
            raise BuildError(
                f"cannot join {first.name} {first.shape} and {tensor.name} {tensor.shape}: "
                "all but the channels must be equal."
            )
    channels = sum(tensor.channels for tensor in tensors)
    return current_graph().emit("concat", tensors, (*first.shape[:-1], channels), name=name)


def pad(x: Tensor, before: Sequence[int], after: Sequence[int], name: str = "Pad") -> Tensor:
    """Pad the spatial dimensions with zeros. Shape: (N, H, W, C) -> (N, H + ..., W + ..., C)."""
    _rank(x, len(before) + 2, "pad")
    spatial = tuple(
        None if size is None else size + low + high
        for size, low, high in zip(x.shape[1:-1], before, after, strict=True)
    )
    return current_graph().emit(
        "pad",
        (x,),
        (None, *spatial, x.shape[-1]),
        name=name,
        attributes={"before": tuple(before), "after": tuple(after)},
    )


def fixed_padding(x: Tensor, kernel_size: int, rate: int = 1) -> Tensor:
    """Pad as a convolution of stride 1 with padding SAME would, whatever the stride.

    Shape: (N, H, W, C) -> (N, H + (kernel_size - 1) * rate, W + (kernel_size - 1) * rate, C)
    """
    total = (kernel_size - 1) * rate
    if not total:
        return x
    before, after = split_padding(total)
    return pad(x, (before, before), (after, after))


def crop(x: Tensor, before: Pair, after: Pair, name: str = "strided_slice") -> Tensor:
    """Cut rows and columns off the sides. Shape: (N, H, W, C) -> (N, H - ..., W - ..., C).

    Raises: BuildError if nothing is left.
    """
    _rank(x, 4, "crop")
    spatial = []
    for size, low, high in zip(x.shape[1:3], before, after, strict=True):
        if size is not None and size <= low + high:
            raise BuildError(f"cannot cut {low + high} off {x.name}, which has shape {x.shape}.")
        spatial.append(None if size is None else size - low - high)
    return current_graph().emit(
        "crop",
        (x,),
        (None, *spatial, x.shape[-1]),
        name=name,
        attributes={"before": before, "after": after},
    )


def resize_bilinear(x: Tensor, size: Pair, name: str = "ResizeBilinear") -> Tensor:
    """Resize a map so that its corners stay where they are, as `align_corners` does.

    Shape: (N, H, W, C) -> (N, *size, C)
    """
    _rank(x, 4, "resize_bilinear")
    if None in x.shape[1:3]:
        raise BuildError(f"cannot resize {x.name}, which has shape {x.shape}: its size is unknown.")
    return current_graph().emit(
        "resize_bilinear", (x,), (None, *size, x.shape[-1]), name=name, attributes={"size": size}
    )


def slice_channels(x: Tensor, start: int, size: int, name: str = "split") -> Tensor:
    """Take `size` channels from `start` on. Shape: (N, ..., C) -> (N, ..., size)."""
    if start < 0 or size < 1 or start + size > x.channels:
        raise BuildError(
            f"cannot take {size} channels from {start} on of {x.name}, which has {x.channels}."
        )
    return current_graph().emit(
        "slice_channels",
        (x,),
        (*x.shape[:-1], size),
        name=name,
        attributes={"start": start, "size": size},
    )


def add(x: Tensor, y: Tensor, name: str = "add") -> Tensor:
    """Add two tensors of one shape.

    Raises: BuildError if the shapes differ.
    """
    if x.shape != y.shape:
        raise BuildError(f"cannot add {x.name} {x.shape} and {y.name} {y.shape}: shapes differ.")
    return current_graph().emit("add", (x, y), x.shape, name=name)


def multiply(x: Tensor, y: Tensor, name: str = "mul") -> Tensor:
    """Multiply elementwise; a dimension of `y` that is 1 counts for all of that of `x`.

    Raises: BuildError if the shapes do not fit.
    """
    if x.rank != y.rank or any(b not in (1, a) for a, b in zip(x.shape, y.shape, strict=True)):
        raise BuildError(f"cannot multiply {x.name} {x.shape} by {y.name} {y.shape}.")
    return current_graph().emit("multiply", (x, y), x.shape, name=name)


def rescale(x: Tensor, scale: float, offset: float = 0.0, name: str = "mul") -> Tensor:
    """Return `x * scale + offset`. Shape: unchanged."""
    return current_graph().emit(
        "rescale", (x,), x.shape, name=name, attributes={"scale": scale, "offset": offset}
    )


def clip(x: Tensor, low: float, high: float, name: str = "clip_by_value") -> Tensor:
    """Limit each element to [low, high]. Shape: unchanged."""
    return current_graph().emit(
        "clip", (x,), x.shape, name=name, attributes={"low": low, "high": high}
    )


def local_response_normalization(
    x: Tensor, *, depth_radius: int, bias: float, alpha: float, beta: float, name: str = "LRN"
) -> Tensor:
    """Divide by `(bias + alpha * sum of squares over 2 * depth_radius + 1 channels) ** beta`.

    Source: Krizhevsky, Sutskever, Hinton 2012, section 3.3. Shape: (N, H, W, C) -> (N, H, W, C)
    """
    return current_graph().emit(
        "local_response_normalization",
        (x,),
        x.shape,
        name=name,
        attributes={"depth_radius": depth_radius, "bias": bias, "alpha": alpha, "beta": beta},
    )
