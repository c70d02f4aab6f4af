"""What the ends of several networks share."""

from model_zoo.graph import Tensor
from model_zoo.layers import conv2d
from model_zoo.primitives import squeeze


def reduced_kernel_size(x: Tensor, kernel_size: tuple[int, int]) -> tuple[int, int]:
    """Return the kernel, cut to the size of the input where that is smaller."""
    _, height, width, _ = x.shape
    return min(height or kernel_size[0], kernel_size[0]), min(
        width or kernel_size[1], kernel_size[1]
    )


def conv_logits(net: Tensor, num_classes: int, spatial_squeeze: bool) -> Tensor:
    """Classify each position by a 1x1 convolution.

    Shape: (N, 1, 1, C) -> (N, num_classes), or (N, H, W, C) -> (N, H, W, num_classes) without
    `spatial_squeeze`
    """
    logits = conv2d(
        net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None, scope="Conv2d_1c_1x1"
    )
    return squeeze(logits, [1, 2], "SpatialSqueeze") if spatial_squeeze else logits
