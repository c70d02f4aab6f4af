"""What a graph keeps in memory for one example, in float32, running its nodes in order.

A tensor lives from the node that makes it to the last that reads it, the output to the end; an
implementation that computes in place needs less.
"""

from collections.abc import Iterator

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.graph import Graph, Node, Tensor

BYTES = 4  # float32, the only type that networks compute in


class AliveDocument(TypedDict):
    """A tensor in memory, by the name of the node that made it."""

    node: str
    bytes: int


class PeakDocument(TypedDict):
    """Where the most bytes are alive at once for the first time: while which node runs, and what.

    The first of `alive` is the oldest; the last is what the node computes.
    """

    layer: str
    node: str
    bytes: int
    alive: list[AliveDocument]


def bytes_alive(graph: Graph) -> Iterator[int]:
    """Yield for each node the bytes that are alive while it runs, its output included."""
    last_use = _last_uses(graph)
    alive = 0
    for index, node in enumerate(graph.nodes):
        alive += node.output.size
        yield alive * BYTES
        for tensor in {*node.inputs, node.output}:
            if last_use.get(tensor, index) <= index:
                alive -= tensor.size


def alive_at(graph: Graph, node: Node) -> list[Tensor]:
    """Return the tensors that are alive while a node runs, in the order in which they are made."""
    last_use = _last_uses(graph)
    alive: list[Tensor] = []
    for index, each in enumerate(graph.nodes):
        alive = [tensor for tensor in alive if last_use.get(tensor, -1) >= index]
        alive.append(each.output)
        if each is node:
            break
    return alive


def _last_uses(graph: Graph) -> dict[Tensor, int]:
    """Return which node is the last to read each tensor that is read."""
    last_use = {tensor: index for index, node in enumerate(graph.nodes) for tensor in node.inputs}
    last_use[graph.output] = len(graph.nodes)
    return last_use
