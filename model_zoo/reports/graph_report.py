"""The graph of a trace in its formats: JSON, Graphviz's dot, and Google's Model Explorer's."""

from dataclasses import dataclass

from model_zoo.reports.graph_documents import GraphDocument, GraphLayerDocument
from model_zoo.reports.graph_dot import graph_dot
from model_zoo.reports.model_explorer import (
    ModelExplorerDocument,
    NodeDataDocument,
    NodeMetric,
    model_explorer,
    node_data,
)
from model_zoo.reports.network_graph import Layer, NetworkGraph


@dataclass(frozen=True, slots=True)
class GraphReport:
    """The nodes and edges of a network, its layers with their arguments, and its scopes."""

    network: NetworkGraph

    def to_dict(self) -> GraphDocument:
        """Return the graph, JSON-ready."""
        network = self.network
        box_of = network.box_of
        return {
            "build": network.spec.digest,
            "architecture": network.spec.architecture,
            "depth": network.depth,
            "input": box_of[network.graph.input],
            "output": box_of[network.graph.output],
            "nodes": [box.to_dict() for box in network.boxes],
            "edges": list(network.edges),
            "layers": [self._layer(layer) for layer in network.layers],
            "scopes": list(network.scopes.values()),
            "end_points": {name: box_of[end] for name, end in network.graph.end_points.items()},
        }

    def _layer(self, layer: Layer) -> GraphLayerDocument:
        call = self.network.call_of(layer)
        nodes = dict.fromkeys(self.network.box_of[node.output] for node in layer.nodes)
        return {
            **layer.row.to_dict(),
            "scope": layer.scope,
            "nodes": list(nodes),
            "called_at": None if call is None else call.called_at,
            "arguments": [] if call is None else [each.to_dict() for each in call.arguments],
        }

    def to_dot(self) -> str:
        """Return the graph for Graphviz, with a frame around each scope."""
        return graph_dot(self.network)

    def to_model_explorer(self) -> ModelExplorerDocument:
        """Return the graph as a file that Google's Model Explorer opens."""
        return model_explorer(self.network)

    def to_node_data(self, metric: NodeMetric) -> NodeDataDocument:
        """Return a figure of each node as a file of node data for Model Explorer.

        Raises: OptionError for an unknown metric.
        """
        return node_data(self.network, metric)
