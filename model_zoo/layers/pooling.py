"""Pooling over windows."""

from model_zoo import primitives
from model_zoo.graph import Tensor, layer_scope
from model_zoo.layers.arguments import Padding, Size
from model_zoo.layers.registry import register_op
from model_zoo.primitives import pair


@register_op
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
    with layer_scope(scope, "MaxPool2D"):
        return primitives.max_pool2d(
            inputs,
            pair(kernel_size, "kernel_size"),
            strides=pair(stride, "stride"),
            padding=padding,
        )


@register_op
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
    with layer_scope(scope, "AvgPool2D"):
        return primitives.avg_pool2d(
            inputs,
            pair(kernel_size, "kernel_size"),
            strides=pair(stride, "stride"),
            padding=padding,
        )
