"""Sliding windows: TensorFlow's padding as the numbers that ONNX takes."""

from collections.abc import Sequence
from typing import Any

from model_zoo.graph import Node
from model_zoo.onnx_lowering.layout import example_shape
from model_zoo.primitives import split_padding


def same_padding(size: int, kernel: int, stride: int, rate: int = 1) -> tuple[int, int]:
    """Return how much TensorFlow's SAME adds before and after a dimension.

    >>> same_padding(7, 3, 2), same_padding(8, 3, 2), same_padding(8, 3, 1, 2)
    ((1, 1), (0, 1), (2, 2))
    """
    reach = (kernel - 1) * rate + 1
    return split_padding(max((-(-size // stride) - 1) * stride + reach - size, 0))


def window(node: Node, kernel: Sequence[int]) -> dict[str, Any]:
    """Return the attributes with which an ONNX operator slides the window of a node.

    SAME is written out: ONNX's own SAME_UPPER leaves open how a dilated window is padded.
    """
    strides, rate = node.attributes["strides"], node.attributes.get("rate")
    attributes = {"kernel_shape": kernel, "strides": strides}
    if rate is not None:
        attributes["dilations"] = rate
    if node.attributes["padding"] == "SAME":
        spatial = example_shape(node.inputs[0])[:-1]
        rates = rate or (1,) * len(spatial)
        attributes["pads"] = pads(
            [same_padding(*sizes) for sizes in zip(spatial, kernel, strides, rates, strict=True)]
        )
    return attributes


def pads(sides: Sequence[tuple[int, int]]) -> list[int]:
    """Return what is before and after each dimension in ONNX's order: all before, all after."""
    return [before for before, _ in sides] + [after for _, after in sides]
