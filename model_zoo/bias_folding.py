"""Which biases a lowering can give to the operator before them, instead of an addition."""

from collections import Counter
from collections.abc import Collection, Sequence

from model_zoo.graph import Node, Tensor, Variable

# Primitives whose layer in Keras, and whose operator in ONNX, takes biases.
_TAKES_BIASES = ("conv2d", "conv3d", "depthwise_conv2d", "conv2d_transpose", "matmul")


def foldable_biases(nodes: Sequence[Node], outputs: Collection[Tensor]) -> dict[Tensor, Variable]:
    """Return the biases that fold, by the output of the node that takes them.

    The value before the addition is then gone: nothing else may read it, and no output may be it.
    """
    readers = Counter(tensor for node in nodes for tensor in node.inputs)
    producers = {node.output: node.op for node in nodes}
    return {
        node.inputs[0]: node.variables["biases"]
        for node in nodes
        if node.op == "bias_add"
        and producers[node.inputs[0]] in _TAKES_BIASES
        and readers[node.inputs[0]] == 1
        and node.inputs[0] not in outputs
    }
