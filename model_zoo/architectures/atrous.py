"""Atrous convolution: strides become rates to reach an output stride (arXiv:1606.00915)."""

from collections.abc import Iterable
from typing import Annotated

from annotated_types import Ge

from model_zoo.errors import BuildError

OutputStride = Annotated[int, Ge(1)] | None


def strides_and_rates(
    strides: Iterable[int],
    output_stride: int | None,
    root_stride: int = 1,
    *,
    must_reach: bool = True,
) -> list[tuple[int, int]]:
    """Return the stride and the rate of each unit of a network.

    `strides` are the units' own, and `root_stride` is that of the layers before them. Once
    `output_stride` is reached, a unit keeps its resolution, and its stride multiplies the rate of
    the units after it.

    >>> strides_and_rates([1, 2, 2, 1], 8, 4)
    [(1, 1), (2, 1), (1, 1), (1, 2)]

    Raises: BuildError unless `output_stride` is a multiple of `root_stride` that the strides reach;
    without `must_reach`, one that they do not reach changes nothing.
    """
    if output_stride is not None and output_stride % root_stride:
        raise BuildError(
            f"output_stride must be a multiple of {root_stride}; received {output_stride}.",
            received=output_stride,
        )
    reached, rate = root_stride, 1
    pairs, possible = [], [root_stride]
    for stride in strides:
        if reached == output_stride:
            pairs.append((1, rate))
            rate *= stride
        else:
            pairs.append((stride, 1))
            reached *= stride
            possible.append(reached)
    if must_reach and output_stride not in (None, reached):
        valid = ", ".join(str(stride) for stride in dict.fromkeys(possible))
        raise BuildError(
            f"output_stride must be one of {valid}; received {output_stride}.",
            received=output_stride,
        )
    return pairs
