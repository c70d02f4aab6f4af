"""What the ends of several networks share."""

from model_zoo.graph import Tensor


def reduced_kernel_size(x: Tensor, kernel_size: tuple[int, int]) -> tuple[int, int]:
    """Return the kernel, cut to the size of the input where that is smaller."""
    _, height, width, _ = x.shape
    return min(height or kernel_size[0], kernel_size[0]), min(
        width or kernel_size[1], kernel_size[1]
    )
