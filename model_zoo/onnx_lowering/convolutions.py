"""Convolutions and matrix products, with the biases that follow them."""

from collections.abc import Sequence
from typing import Any

from model_zoo.graph import Node
from model_zoo.onnx_lowering.rules import Lowering, rule
from model_zoo.onnx_lowering.windows import pads, window
from model_zoo.primitives import split_padding


def _weighted(lowering: Lowering, node: Node, op: str, weights: str, **attributes: Any) -> str:
    inputs = [lowering.value(node.inputs[0]), weights]
    biases = lowering.biases.get(node.output)
    if biases is not None:
        inputs.append(lowering.weight(biases))
    return lowering.emit(op, inputs, **attributes)


@rule("conv2d")
@rule("conv3d")
def conv(lowering: Lowering, node: Node) -> str:
    weights = node.variables["weights"]
    *kernel, _, _ = weights.shape
    channels, depth = len(kernel), len(kernel) + 1
    kernels = lowering.weight(weights, (depth, channels, *range(channels)))
    return _weighted(lowering, node, "Conv", kernels, **window(node, kernel))


@rule("depthwise_conv2d")
def depthwise_conv2d(lowering: Lowering, node: Node) -> str:
    weights = node.variables["weights"]
    height, width, channels, multiplier = weights.shape
    kernels = lowering.weight(weights, (2, 3, 0, 1), (channels * multiplier, 1, height, width))
    attributes = window(node, (height, width))
    return _weighted(lowering, node, "Conv", kernels, group=channels, **attributes)


@rule("conv2d_transpose")
def conv2d_transpose(lowering: Lowering, node: Node) -> str:
    weights, strides = node.variables["weights"], node.attributes["strides"]
    kernel = weights.shape[:2]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides}
    # A window shorter than its stride leaves the last positions to the output's padding.
    attributes["output_padding"] = _above(strides, kernel)
    if node.attributes["padding"] == "SAME":
        attributes["pads"] = pads([split_padding(total) for total in _above(kernel, strides)])
    kernels = lowering.weight(weights, (3, 2, 0, 1))
    return _weighted(lowering, node, "ConvTranspose", kernels, **attributes)


def _above(sizes: Sequence[int], others: Sequence[int]) -> list[int]:
    return [max(size - other, 0) for size, other in zip(sizes, others, strict=True)]


@rule("matmul")
def matmul(lowering: Lowering, node: Node) -> str:
    weights, x = node.variables["weights"], node.inputs[0]
    if x.rank == 2:
        return _weighted(lowering, node, "Gemm", lowering.weight(weights))
    # At each position by itself: a convolution whose window is one position.
    ones = (1,) * (x.rank - 2)
    kernels = lowering.weight(weights, (1, 0), (*weights.shape[::-1], *ones))
    return _weighted(lowering, node, "Conv", kernels, kernel_shape=ones)
