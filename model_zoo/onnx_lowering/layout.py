"""Where dimensions stand: channels last in our graphs, second inside an ONNX model."""

from typing import Literal

from model_zoo.errors import BuildError
from model_zoo.graph import Tensor

Layout = Literal["channels_first", "channels_last"]


def order(layout: Layout, rank: int) -> tuple[int, ...]:
    """Return the permutation that brings a tensor of the other layout into this one.

    >>> order("channels_first", 4), order("channels_last", 4), order("channels_first", 2)
    ((0, 3, 1, 2), (0, 2, 3, 1), (0, 1))
    """
    if rank < 3:
        return tuple(range(rank))
    if layout == "channels_first":
        return (0, rank - 1, *range(1, rank - 1))
    return (0, *range(2, rank), 1)


def axis_channels_first(axis: int, rank: int) -> int:
    """Return where a dimension of a graph's tensor stands inside the model.

    >>> [axis_channels_first(axis, 4) for axis in (0, 1, 2, 3, -1)]
    [0, 2, 3, 1, 1]
    """
    return order("channels_first", rank).index(axis % rank)


def example_shape(tensor: Tensor) -> tuple[int, ...]:
    """Return a tensor's shape without the batch.

    Raises: BuildError if a size is not known.
    """
    sizes = tuple(size for size in tensor.shape[1:] if size is not None)
    if len(sizes) < tensor.rank - 1:
        raise BuildError(
            f"{tensor.name} has shape {tensor.shape}: every size but the batch's must be known, "
            "which an input_shape of integers gives."
        )
    return sizes
