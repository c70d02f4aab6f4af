"""Pooling over windows."""

from model_zoo import primitives
from model_zoo.graph import Tensor, layer_scope
from model_zoo.layers.arguments import Padding, Size, Size3D
from model_zoo.layers.registry import register_op
from model_zoo.primitives import pair, sizes


@register_op(layer="MaxPool2D")
def max_pool2d(
    inputs: Tensor,
    kernel_size: Size,
    stride: Size = 2,
    padding: Padding = "VALID",
    scope: str | None = None,
) -> Tensor:
    """Take each window's maximum.

    Shape: (N, H, W, C) -> (N, H', W', C)
    Raises: BuildError for a window larger than the input with padding VALID.
    """
    with layer_scope(scope):
        return primitives.max_pool(
            inputs,
            pair(kernel_size, "kernel_size"),
            strides=pair(stride, "stride"),
            padding=padding,
        )


@register_op(layer="AvgPool2D")
def avg_pool2d(
    inputs: Tensor,
    kernel_size: Size,
    stride: Size = 2,
    padding: Padding = "VALID",
    scope: str | None = None,
) -> Tensor:
    """Take each window's mean; with padding SAME, positions outside do not count.

    Shape: (N, H, W, C) -> (N, H', W', C)
    Raises: BuildError for a window larger than the input with padding VALID.
    """
    with layer_scope(scope):
        return primitives.avg_pool(
            inputs,
            pair(kernel_size, "kernel_size"),
            strides=pair(stride, "stride"),
            padding=padding,
        )


@register_op(layer="MaxPool3D")
def max_pool3d(
    inputs: Tensor,
    kernel_size: Size3D,
    stride: Size3D = 2,
    padding: Padding = "VALID",
    scope: str | None = None,
) -> Tensor:
    """Take each window's maximum, over time, height and width.

    Shape: (N, T, H, W, C) -> (N, T', H', W', C)
    Raises: BuildError for a window larger than the input with padding VALID.
    """
    with layer_scope(scope):
        return primitives.max_pool(
            inputs,
            sizes(kernel_size, 3, "kernel_size"),
            strides=sizes(stride, 3, "stride"),
            padding=padding,
        )


@register_op(layer="AvgPool3D")
def avg_pool3d(
    inputs: Tensor,
    kernel_size: Size3D,
    stride: Size3D = 2,
    padding: Padding = "VALID",
    scope: str | None = None,
) -> Tensor:
    """Take each window's mean; with padding SAME, positions outside do not count.

    Shape: (N, T, H, W, C) -> (N, T', H', W', C)
    Raises: BuildError for a window larger than the input with padding VALID.
    """
    with layer_scope(scope):
        return primitives.avg_pool(
            inputs,
            sizes(kernel_size, 3, "kernel_size"),
            strides=sizes(stride, 3, "stride"),
            padding=padding,
        )
