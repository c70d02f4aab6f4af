"""The graph of a build as JSON."""

from pydantic import JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.reports.explanation import ArgumentDocument
from model_zoo.reports.summary import LayerDocument

DTYPE = "float32"  # the only type that networks compute in


class GraphVariableDocument(TypedDict):
    """A weight of a node, by the part that it plays there."""

    role: str
    name: str
    shape: list[int]
    dtype: str
    trainable: bool


class GraphNodeDocument(TypedDict):
    """A primitive computation, or a scope that is drawn as one node.

    `primitives` says how many it stands for, and `collapsed` whether it is a scope: then its id is
    the scope's path, `op` and `layer` are those of the layer that the scope is, null if it is none,
    and the shape is that of the last output that is read outside. `scope` is what it stands in, ""
    at the top. Activations are the bytes of its output for one example, or of its layers.
    """

    id: str
    op: str | None
    layer: str | None
    scope: str
    collapsed: bool
    primitives: int
    output_shape: list[int | None]
    dtype: str
    parameters: int
    multiply_adds: int
    activation_bytes: int
    attributes: dict[str, JsonValue]
    variables: list[GraphVariableDocument]
    end_points: list[str]


class GraphEdgeDocument(TypedDict):
    """A node that reads another's output, as its input of this number, from 0.

    The inputs of a collapsed scope are the nodes that it reads, in the order of their first use.
    """

    source: str
    target: str
    input: int


class GraphLayerDocument(LayerDocument):
    """A layer of the summary, the scope it is in, its nodes, and who set each of its arguments.

    A computation outside of any call has no arguments, and null in `called_at`.
    """

    scope: str
    nodes: list[str]
    called_at: str | None
    arguments: list[ArgumentDocument]


class ScopeTotals(TypedDict):
    """The sums of the layers in a scope and in all scopes inside it."""

    layers: int
    parameters: int
    multiply_adds: int
    weight_bytes: int
    activation_bytes: int


class GraphScopeDocument(TypedDict):
    """A variable scope: what is inside it, and the totals of all that is; "" is the whole."""

    path: str
    parent: str | None
    children: list[str]
    layers: list[str]
    totals: ScopeTotals


class GraphDocument(TypedDict):
    """The nodes, edges, layers and scopes of a build. Nodes are in an order of execution.

    Layers, scopes and end points are those of the whole network, whatever is collapsed; the nodes
    that they name are those of this graph.
    """

    build: str
    architecture: str
    depth: int | None
    input: str
    output: str
    nodes: list[GraphNodeDocument]
    edges: list[GraphEdgeDocument]
    layers: list[GraphLayerDocument]
    scopes: list[GraphScopeDocument]
    end_points: dict[str, str]
