"""Stacks of units with a chosen output stride: what ResNets and Xceptions share.

Source: arXiv:1606.00915 (rates in place of strides).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from model_zoo.architectures.atrous import OutputStride, strides_and_rates
from model_zoo.graph import Tensor, scoped_end_point, variable_scope
from model_zoo.layers import conv2d, max_pool2d, register_op
from model_zoo.primitives import fixed_padding
from model_zoo.values import OfOneCall


@dataclass(frozen=True, slots=True)
class Block:
    """Units under one variable scope, as TF-Slim's `Block`: their op, and its arguments for each.

    `strides` has the stride of each unit; `arguments` are the others, the same for all.
    """

    scope: str
    unit_fn: Callable[..., Tensor]
    strides: tuple[int, ...]
    arguments: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"{self.scope}: {len(self.strides)} x {self.unit_fn.__name__}"


Blocks = Annotated[Sequence[Block], OfOneCall()]


def subsample(net: Tensor, stride: int, scope: str) -> Tensor:
    """Keep every `stride`-th row and column."""
    return net if stride == 1 else max_pool2d(net, [1, 1], stride=stride, scope=scope)


def conv2d_same(
    net: Tensor, num_outputs: int, kernel_size: int, stride: int, rate: int = 1, *, scope: str
) -> Tensor:
    """Convolve with padding that, under a stride, does not depend on the size of the input.

    Shape: (N, H, W, C) -> (N, ceil(H / stride), ceil(W / stride), num_outputs)
    """
    if stride == 1:
        return conv2d(
            net, num_outputs, kernel_size, stride=1, rate=rate, padding="SAME", scope=scope
        )
    net = fixed_padding(net, kernel_size, rate)
    return conv2d(
        net, num_outputs, kernel_size, stride=stride, rate=rate, padding="VALID", scope=scope
    )


def stride_after_root(
    blocks: Sequence[Block], output_stride: int | None, root_stride: int
) -> int | None:
    """Return the output stride that is left for the blocks after layers of `root_stride`.

    Raises: BuildError unless `output_stride` is a multiple of `root_stride` that the blocks reach.
    """
    strides_and_rates(_strides(blocks), output_stride, root_stride)
    return None if output_stride is None else output_stride // root_stride


@register_op
def stack_blocks_dense(
    net: Tensor,
    blocks: Blocks,
    output_stride: OutputStride = None,
    store_non_strided_activations: bool = False,
) -> Tensor:
    """Stack the units of all blocks; past `output_stride`, strides become rates.

    With `store_non_strided_activations` a block's last unit does not stride, and what follows its
    end point does.

    Shape: (N, H, W, C) -> (N, H / output_stride, W / output_stride, D)
    Raises: BuildError if the strides do not reach `output_stride`.
    """
    dense = iter(strides_and_rates(_strides(blocks), output_stride))
    for block in blocks:
        with variable_scope(block.scope):
            after = 1
            for unit in range(1, len(block.strides) + 1):
                stride, rate = next(dense)
                if store_non_strided_activations and unit == len(block.strides):
                    stride, after = 1, stride
                with variable_scope(f"unit_{unit}"):
                    net = block.unit_fn(net, stride=stride, rate=rate, **block.arguments)
        net = subsample(scoped_end_point(block.scope, net), after, "MaxPool2D")
    return net


def _strides(blocks: Sequence[Block]) -> list[int]:
    return [stride for block in blocks for stride in block.strides]
