"""Pooling over windows."""

from model_zoo.graph import Node
from model_zoo.onnx_lowering.rules import Lowering, rule
from model_zoo.onnx_lowering.windows import window


@rule("max_pool2d")
@rule("max_pool3d")
def max_pool(lowering: Lowering, node: Node) -> str:
    return _pool(lowering, node, "MaxPool")


@rule("avg_pool2d")
@rule("avg_pool3d")
def avg_pool(lowering: Lowering, node: Node) -> str:
    return _pool(lowering, node, "AveragePool")


def _pool(lowering: Lowering, node: Node, op: str) -> str:
    value = lowering.value(node.inputs[0])
    return lowering.emit(op, [value], **window(node, node.attributes["kernel"]))
