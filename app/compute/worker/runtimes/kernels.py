"""Which of our nodes a kernel of ONNX Runtime computes.

ONNX Runtime fuses: a convolution with the norm, the addition and the activation after it is one
kernel, under the name of any of them or of its value, with a prefix or a suffix. So the nodes of a
model are numbered before it is optimised, and the names of the kernels hold these numbers.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_zoo import Graph, Node, Tensor

_PRODUCTS = frozenset(("conv2d", "conv3d", "depthwise_conv2d", "conv2d_transpose", "matmul"))
_PRODUCT_KERNELS = frozenset(("Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul"))
# Ops that are computed in the kernel of the product before them, if they have no kernel.
_FOLDED = frozenset(("batch_norm", "bias_add", "activation", "rescale", "add", "multiply", "clip"))
# Ops that compute nothing, or only a copy that is left out.
_SILENT = frozenset(("dropout", "flatten", "squeeze"))

_NUMBER = re.compile(r"\bnode(\d+)(_bn_nchwc)?")
_LAYOUT = re.compile(r":channels_(first|last)(:\d+)?")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel as the profiler names it."""

    name: str
    op: str


@dataclass(frozen=True, slots=True)
class Placement:
    """The node that each kernel computes, if it is one of ours; and the kernel of each node.

    A node that is computed in another's kernel has that one's; one without any computes nothing.
    """

    nodes: tuple[Node | None, ...]
    kernels: Mapping[Tensor, int]


def number_nodes(model: Any, graph: Graph) -> list[Node | None]:
    """Number the nodes of an ONNX model and their values; return which of ours each computes.

    None stands for a change of layout, which is no part of our graph.
    """
    known = {node.output.name: node for node in graph.nodes}
    ends = {output.name for output in model.graph.output}
    numbered: list[Node | None] = []
    names: dict[str, str] = {}
    for index, proto in enumerate(model.graph.node):
        numbered.append(_node_of(proto, known))
        proto.name = f"node{index}"
        (value,) = proto.output
        if value not in ends:
            names[value] = proto.output[0] = proto.name
        proto.input[:] = [names.get(name, name) for name in proto.input]
    return numbered


def _node_of(proto: Any, known: Mapping[str, Node]) -> Node | None:
    name = proto.name
    if proto.op_type == "Transpose" and _LAYOUT.search(name):
        return None
    # The intermediate values of a node have its name, a colon and the operator.
    while name not in known:
        name, colon, _ = name.rpartition(":")
        if not colon:
            return None
    return known[name]


def place(graph: Graph, numbered: Sequence[Node | None], kernels: Sequence[Kernel]) -> Placement:
    """Return what kernels compute; they stand in the order of their execution."""
    nodes: list[Node | None] = []
    behind: list[int] = []  # kernels of products, named after a later node
    for index, kernel in enumerate(kernels):
        match = _NUMBER.search(kernel.name)
        node = numbered[int(match[1])] if match else None
        # A norm that stands alone becomes a convolution as well.
        is_product = kernel.op in _PRODUCT_KERNELS and not (match and match[2])
        if node is not None and is_product and node.op not in _PRODUCTS:
            behind.append(index)
        nodes.append(node)
    placed = {node.output: i for i, node in enumerate(nodes) if node and i not in behind}
    producers = {node.output: node for node in graph.nodes}
    for index in behind:
        named = nodes[index]
        assert named is not None
        path = _path_to_product(named, producers, placed)
        placed.update(dict.fromkeys((node.output for node in path), index))
        nodes[index] = path[-1]
    _fold(graph, placed)
    return Placement(tuple(nodes), placed)


def _path_to_product(
    named: Node, producers: Mapping[Tensor, Node], taken: Mapping[Tensor, int]
) -> list[Node]:
    """Return the nodes from one back to the nearest product that no other kernel computes."""
    paths = [[named]]
    for path in paths:
        for tensor in path[-1].inputs:
            node = producers[tensor]
            if node.op in _PRODUCTS and tensor not in taken:
                return [*path, node]
            if node.op in _FOLDED and tensor not in taken:
                paths.append([*path, node])
    return [named]


def _fold(graph: Graph, placed: dict[Tensor, int]) -> None:
    """Add the nodes that have no kernel of their own, with the kernel that computes them."""
    latest = dict(placed)  # for a tensor that nothing computes: the kernel of what it is a view of
    equal = _equal_tensors(graph)
    for tensor, first in equal.items():
        if tensor in placed:  # computed once for all that are equal
            latest.setdefault(first, placed[tensor])
    for node in graph.nodes:
        if node.output in placed:
            continue
        before = [latest[tensor] for tensor in node.inputs if tensor in latest]
        if equal[node.output] in latest:
            placed[node.output] = latest[node.output] = latest[equal[node.output]]
        elif before and node.op in _FOLDED:
            placed[node.output] = latest[node.output] = max(before)
        elif before and node.op in _SILENT:
            latest[node.output] = max(before)
    pads = {node.output for node in graph.nodes if node.op == "pad" and node.output not in placed}
    for node in graph.nodes:  # a pad becomes part of what reads it
        for tensor in pads.intersection(node.inputs):
            if node.output in placed:
                placed.setdefault(tensor, placed[node.output])


def _equal_tensors(graph: Graph) -> dict[Tensor, Tensor]:
    """Return, for each tensor, the first one that is computed alike."""
    firsts: dict[tuple[Any, ...], Tensor] = {}
    equal: dict[Tensor, Tensor] = {}
    for node in graph.nodes:
        inputs = tuple(equal[tensor] for tensor in node.inputs)
        variables = tuple(variable.name for variable in node.variables.values())
        key = (node.op, inputs, variables, repr(sorted(node.attributes.items())))
        equal[node.output] = firsts.setdefault(key, node.output)
    return equal
