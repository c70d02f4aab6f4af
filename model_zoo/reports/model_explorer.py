"""The graph of a network in the format of Google's Model Explorer, with figures to lay over it.

Source: github.com/google-ai-edge/model-explorer, `graph_builder.py` and `node_data_builder.py` of
its Python package.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.errors import not_accepted
from model_zoo.reports.graph_documents import DTYPE
from model_zoo.reports.network_graph import Box, Layer, NetworkGraph, enclosing
from model_zoo.tables import spell_shape

NodeMetric = Literal["multiply_adds", "parameters", "activation_bytes"]
NODE_METRICS: tuple[NodeMetric, ...] = get_args(NodeMetric)


class KeyValueDocument(TypedDict):
    """An attribute, as Model Explorer shows it."""

    key: str
    value: str


class MetadataDocument(TypedDict):
    """The attributes of an output of a node; ours have one, of id "0"."""

    id: str
    attrs: list[KeyValueDocument]


class IncomingEdgeDocument(TypedDict):
    """A node that this one reads, which output of it, and as which input."""

    sourceNodeId: str
    sourceNodeOutputId: str
    targetNodeInputId: str


class ExplorerNodeDocument(TypedDict):
    """A node; its namespace is the scope that it stands in."""

    id: str
    label: str
    namespace: str
    attrs: list[KeyValueDocument]
    incomingEdges: list[IncomingEdgeDocument]
    outputsMetadata: list[MetadataDocument]


class ExplorerGraphDocument(TypedDict):
    """A graph; the attributes of a group are those of a namespace, "" those of the whole."""

    id: str
    nodes: list[ExplorerNodeDocument]
    groupNodeAttributes: dict[str, dict[str, str]]


class ModelExplorerDocument(TypedDict):
    """A collection of graphs, which is a file that Model Explorer opens; it has one graph."""

    label: str
    graphs: list[ExplorerGraphDocument]


class NodeDataResultDocument(TypedDict):
    """The figure of a node."""

    value: int


class GradientDocument(TypedDict):
    """The color of a share of the largest figure, from 0, the least, to 1."""

    stop: float
    bgColor: str


class NodeDataDocument(TypedDict):
    """A figure of each node by the node's id, and the colors that they are drawn with."""

    name: str
    results: dict[str, NodeDataResultDocument]
    gradient: list[GradientDocument]


_GRADIENT: list[GradientDocument] = [
    {"stop": 0, "bgColor": "#ffffff"},
    {"stop": 1, "bgColor": "#ff8c00"},
]


def model_explorer(network: NetworkGraph) -> ModelExplorerDocument:
    """Return a graph for Model Explorer: scopes are its groups.

    The arguments of a layer, with who set each, are attributes of the group that the layer is, or
    of its last node if it is none.
    """
    groups = {path for box in network.boxes for path in enclosing(box.scope)}
    attributes = {
        path: _spelled(scope["totals"]) for path, scope in network.scopes.items() if path in groups
    }
    attributes[""] = {
        "build": network.spec.digest,
        "architecture": network.spec.architecture,
        **_spelled(network.summary.totals),
    }
    for layer in network.layers:
        if _is_group(layer, groups):
            attributes[layer.row.name] |= _of_layer(network, layer)
    incoming: dict[str, list[IncomingEdgeDocument]] = {box.id: [] for box in network.boxes}
    for edge in network.edges:
        incoming[edge["target"]].append(
            {
                "sourceNodeId": edge["source"],
                "sourceNodeOutputId": "0",
                "targetNodeInputId": str(edge["input"]),
            }
        )
    nodes = [_node(network, box, groups, incoming[box.id]) for box in network.boxes]
    graph: ExplorerGraphDocument = {
        "id": network.spec.digest,
        "nodes": nodes,
        "groupNodeAttributes": attributes,
    }
    return {"label": network.spec.architecture, "graphs": [graph]}


def node_data(network: NetworkGraph, metric: NodeMetric) -> NodeDataDocument:
    """Return a figure of each node, which Model Explorer sums in groups.

    Raises: OptionError for an unknown metric.
    """
    if metric not in NODE_METRICS:
        raise not_accepted("metric", metric, NODE_METRICS)
    figures = ((box.id, box.to_dict()) for box in network.boxes)
    return {
        "name": metric,
        "results": {box_id: {"value": node[metric]} for box_id, node in figures},
        "gradient": _GRADIENT,
    }


def _node(
    network: NetworkGraph,
    box: Box,
    groups: Collection[str],
    incoming: list[IncomingEdgeDocument],
) -> ExplorerNodeDocument:
    node = box.to_dict()
    attributes = _spelled({name: node[name] for name in NODE_METRICS})
    attributes |= {name: json.dumps(value) for name, value in node["attributes"].items()}
    for variable in node["variables"]:
        attributes[variable["role"]] = f"{variable['name']} {spell_shape(variable['shape'])}"
    layer = box.layer
    if layer is not None and layer.nodes[-1] in box.nodes and not _is_group(layer, groups):
        attributes |= _of_layer(network, layer)
    if box.end_points:
        attributes["end points"] = ", ".join(box.end_points)
    shape = ["?" if size is None else str(size) for size in box.output_shape]
    return {
        "id": box.id,
        "label": box.op or box.id.rpartition("/")[2],
        "namespace": box.scope,
        "attrs": [{"key": name, "value": value} for name, value in attributes.items()],
        "incomingEdges": incoming,
        "outputsMetadata": [
            {
                "id": "0",
                "attrs": [
                    {"key": "tensor_name", "value": box.id},
                    {"key": "tensor_shape", "value": "x".join(shape)},
                    {"key": "dtype", "value": DTYPE},
                ],
            }
        ],
    }


def _is_group(layer: Layer, groups: Collection[str]) -> bool:
    """Return whether a layer is a scope that is drawn as a group."""
    return layer.row.name == layer.scope and layer.scope in groups


def _of_layer(network: NetworkGraph, layer: Layer) -> dict[str, str]:
    """Return a layer's op, and its arguments with who set each."""
    call = network.call_of(layer)
    if call is None:
        return {}
    return {
        "layer": layer.row.name,
        "op": f"{call.op}, called at {call.called_at}",
        **{argument.name: argument.to_text() for argument in call.arguments},
    }


def _spelled(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return figures by their names in words, grouped by thousands."""
    return {name.replace("_", " "): f"{value:,}" for name, value in figures.items()}
