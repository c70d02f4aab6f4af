"""The layers of two networks side by side, and the edges between them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from model_zoo.graph import Graph, Node, Tensor
from model_zoo.reports.alignment import LayerPair
from model_zoo.reports.diff_documents import (
    Compared,
    EdgeDocument,
    EdgeStatus,
    LayerDiffDocument,
    LayerStatus,
)
from model_zoo.reports.summary import Row, layer_nodes

_OF_ROWS: tuple[Compared, ...] = ("name", "op", "output_shape", "parameters", "multiply_adds")


class Network(NamedTuple):
    """A graph, and each row of its summary with the nodes of that layer."""

    graph: Graph
    layers: tuple[tuple[Row, tuple[Node, ...]], ...]

    @classmethod
    def of(cls, graph: Graph, rows: Sequence[Row]) -> "Network":
        """Return a graph with its layers."""
        return cls(graph, tuple(zip(rows, layer_nodes(graph), strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class LayerDiff:
    """A layer on both sides, None where it is missing, and what of it differs."""

    a: Row | None
    b: Row | None
    changes: tuple[Compared, ...]

    @property
    def status(self) -> LayerStatus:
        """How the layer differs; only the name of a renamed one does."""
        if self.a is None:
            return "added"
        if self.b is None:
            return "removed"
        if not self.changes:
            return "same"
        return "renamed" if self.changes == ("name",) else "changed"

    @property
    def row(self) -> Row:
        """The layer in `b`, or in `a` where `b` lacks it."""
        row = self.b or self.a
        assert row is not None
        return row

    def to_dict(self) -> LayerDiffDocument:
        """Return the layer, JSON-ready."""
        return {
            "status": self.status,
            "changes": list(self.changes),
            "a": None if self.a is None else self.a.to_dict(),
            "b": None if self.b is None else self.b.to_dict(),
        }


class EdgeDiff(NamedTuple):
    """A layer whose output another layer reads, in one network or in both."""

    status: EdgeStatus
    source: LayerDiff
    target: LayerDiff

    def to_dict(self) -> EdgeDocument:
        """Return the edge, JSON-ready."""
        return {
            "status": self.status,
            "source": self.source.row.name,
            "target": self.target.row.name,
        }


def diff_layers(
    a: Network, pairs: Sequence[LayerPair], changed_calls: Collection[int]
) -> tuple[LayerDiff, ...]:
    """Return what differs in each pair; `changed_calls` are the ids of `a`'s calls that differ."""
    changed = {id(row) for row, nodes in a.layers if id(nodes[-1].call) in changed_calls}
    return tuple(_layer(pair, changed) for pair in pairs)


def _layer(pair: LayerPair, changed: Collection[int]) -> LayerDiff:
    a, b = pair
    if a is None or b is None:
        return LayerDiff(a, b, ())
    changes = [name for name in _OF_ROWS if getattr(a, name) != getattr(b, name)]
    return LayerDiff(a, b, (*changes, "arguments") if id(a) in changed else tuple(changes))


def diff_edges(a: Network, b: Network, layers: Sequence[LayerDiff]) -> Iterator[EdgeDiff]:
    """Yield the edges of `a`, then those that `b` alone has."""
    in_a = {id(layer.a): layer for layer in layers if layer.a is not None}
    in_b = {id(layer.b): layer for layer in layers if layer.b is not None}
    before = dict.fromkeys((in_a[source], in_a[target]) for source, target in _row_edges(a))
    after = dict.fromkeys((in_b[source], in_b[target]) for source, target in _row_edges(b))
    for edge in before:
        yield EdgeDiff("same" if edge in after else "removed", *edge)
    for edge in after:
        if edge not in before:
            yield EdgeDiff("added", *edge)


def _row_edges(network: Network) -> Iterator[tuple[int, int]]:
    """Yield an edge from each row to each that reads its output, as the rows' identities."""
    row_of: dict[Tensor, int] = {}
    for row, nodes in network.layers:
        row_of.update((node.output, id(row)) for node in nodes)
    for node in network.graph.nodes:
        target = row_of[node.output]
        for tensor in node.inputs:
            if row_of[tensor] != target:
                yield row_of[tensor], target
