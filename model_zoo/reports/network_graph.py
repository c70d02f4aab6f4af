"""The graph of a trace as it is drawn: nodes, of which some stand for scopes, edges and scopes."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from model_zoo.errors import OptionError, Problem
from model_zoo.graph import Graph, Node, Shape, Tensor
from model_zoo.reports.activation_memory import BYTES
from model_zoo.reports.explanation import CallReport, Explanation
from model_zoo.reports.graph_documents import (
    DTYPE,
    GraphEdgeDocument,
    GraphNodeDocument,
    GraphScopeDocument,
    ScopeTotals,
)
from model_zoo.reports.summary import Row, Summary, layer_nodes, new_parameters
from model_zoo.signatures import to_wire
from model_zoo.spec import BuildSpec


class Traced(Protocol):
    """What a graph needs of a trace."""

    @property
    def spec(self) -> BuildSpec: ...
    @property
    def graph(self) -> Graph: ...
    def summary(self) -> Summary: ...
    def explanation(self) -> Explanation: ...


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A row of the summary with its nodes."""

    row: Row
    nodes: tuple[Node, ...]

    @property
    def scope(self) -> str:
        """The scope that its output stands in: its own, if it has one."""
        return self.nodes[-1].scope


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """What is drawn as one node: a primitive, or a collapsed scope with the layers that end there.

    `layer` is the one that a primitive is of, or that a scope is, None if it is none.
    """

    id: str
    scope: str
    is_collapsed: bool
    nodes: tuple[Node, ...]
    layer: Layer | None
    output_shape: Shape
    parameters: int
    activation_bytes: int
    end_points: tuple[str, ...]

    @property
    def op(self) -> str | None:
        """The primitive, or the op of the layer that a collapsed scope is."""
        if not self.is_collapsed:
            return self.nodes[0].op
        return None if self.layer is None else self.layer.row.op

    @property
    def multiply_adds(self) -> int:
        """Those of one example."""
        return sum(node.multiply_adds for node in self.nodes)

    def to_dict(self) -> GraphNodeDocument:
        """Return the node, JSON-ready."""
        node = None if self.is_collapsed else self.nodes[0]
        return {
            "id": self.id,
            "op": self.op,
            "layer": None if self.layer is None else self.layer.row.name,
            "scope": self.scope,
            "collapsed": self.is_collapsed,
            "primitives": len(self.nodes),
            "output_shape": list(self.output_shape),
            "dtype": DTYPE,
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "activation_bytes": self.activation_bytes,
            "attributes": {} if node is None else to_wire(node.attributes),
            "variables": [
                {
                    "role": role,
                    "name": variable.name,
                    "shape": list(variable.shape),
                    "dtype": variable.dtype,
                    "trainable": variable.trainable,
                }
                for role, variable in (() if node is None else node.variables.items())
            ],
            "end_points": list(self.end_points),
        }


class NetworkGraph:
    """The nodes and edges of a trace; `depth` draws deeper scopes as one node each."""

    def __init__(self, traced: Traced, depth: int | None = None) -> None:
        """Raises: OptionError if the depth is below 1."""
        if depth is not None and depth < 1:
            message = f"depth is at least 1; received {depth}."
            raise OptionError("depth", Problem(message, received=depth))
        self.spec = traced.spec
        self.graph = traced.graph
        self.depth = depth
        self.summary = traced.summary()
        rows = zip(self.summary.rows, layer_nodes(self.graph), strict=True)
        self.layers = tuple(Layer(row, nodes) for row, nodes in rows)
        self._traced = traced
        # The id of the box that computes each tensor.
        self.box_of: dict[Tensor, str] = {}
        self.boxes = tuple(self._boxes())

    def _boxes(self) -> Iterator[Box]:
        """Yield the boxes in the order of their first nodes."""
        names = {node.output.name for node in self.graph.nodes}
        groups: dict[str, list[Node]] = {}
        collapsed: dict[str, str] = {}
        for node in self.graph.nodes:
            box_id = node.output.name
            parts = node.scope.split("/") if node.scope else []
            if self.depth is not None and len(parts) >= self.depth:
                path = "/".join(parts[: self.depth])
                # A primitive beside a scope may have its name. No name ends with a slash.
                box_id = f"{path}/" if path in names else path
                collapsed[box_id] = path
            groups.setdefault(box_id, []).append(node)
            self.box_of[node.output] = box_id
        layers = {node: layer for layer in self.layers for node in layer.nodes}
        ends: dict[Tensor, list[str]] = {}
        for name, tensor in self.graph.end_points.items():
            ends.setdefault(tensor, []).append(name)
        read_outside = {self.graph.output} | {
            tensor
            for node in self.graph.nodes
            for tensor in node.inputs
            if self.box_of[tensor] != self.box_of[node.output]
        }
        counted: set[str] = set()
        for box_id, nodes in groups.items():
            outputs = [node.output for node in nodes if node.output in read_outside]
            output = outputs[-1] if outputs else nodes[-1].output
            layer: Layer | None = layers[nodes[0]]
            scope, activation_bytes = nodes[0].scope, output.size * BYTES
            if box_id in collapsed:
                path = collapsed[box_id]
                own = [layers[node] for node in nodes if layers[node].nodes[-1] is node]
                activation_bytes = sum(each.row.activation_bytes for each in own)
                named = [each for each in own if each.row.name == path]
                layer = (named or own)[0] if named or len(own) == 1 else None
                scope = path.rpartition("/")[0]
            yield Box(
                id=box_id,
                scope=scope,
                is_collapsed=box_id in collapsed,
                nodes=tuple(nodes),
                layer=layer,
                output_shape=output.shape,
                parameters=new_parameters(nodes, counted),
                activation_bytes=activation_bytes,
                end_points=tuple(name for node in nodes for name in ends.get(node.output, ())),
            )

    @functools.cached_property
    def edges(self) -> tuple[GraphEdgeDocument, ...]:
        """Who reads whom: each input of a primitive, and each node once that a scope reads."""
        edges: list[GraphEdgeDocument] = []
        for box in self.boxes:
            sources = [self.box_of[tensor] for node in box.nodes for tensor in node.inputs]
            if box.is_collapsed:
                sources = [source for source in dict.fromkeys(sources) if source != box.id]
            edges += (
                {"source": source, "target": box.id, "input": number}
                for number, source in enumerate(sources)
            )
        return tuple(edges)

    @functools.cached_property
    def calls(self) -> dict[int, CallReport]:
        """The explanation of each call, by the call's identity."""
        reports = self._traced.explanation().calls
        return {id(call): report for call, report in zip(self.graph.calls, reports, strict=True)}

    def call_of(self, layer: Layer) -> CallReport | None:
        """Return the explanation of the call that a layer is; None outside of any."""
        call = layer.nodes[-1].call
        return None if call is None else self.calls[id(call)]

    @functools.cached_property
    def scopes(self) -> dict[str, GraphScopeDocument]:
        """The scopes by their paths, each after the one it stands in; "" is the whole network."""
        scopes: dict[str, GraphScopeDocument] = {}
        for node in self.graph.nodes:
            for path in enclosing(node.scope):
                if path not in scopes:
                    parent = path.rpartition("/")[0] if path else None
                    scopes[path] = {
                        "path": path,
                        "parent": parent,
                        "children": [],
                        "layers": [],
                        "totals": _no_totals(),
                    }
                    if parent is not None:
                        scopes[parent]["children"].append(path)
        for layer in self.layers:
            scopes[layer.scope]["layers"].append(layer.row.name)
            for path in enclosing(layer.scope):
                totals, row = scopes[path]["totals"], layer.row
                totals["layers"] += 1
                totals["parameters"] += row.parameters
                totals["multiply_adds"] += row.multiply_adds
                totals["weight_bytes"] += row.weight_bytes
                totals["activation_bytes"] += row.activation_bytes
        return scopes


def enclosing(path: str) -> Iterator[str]:
    """Yield "", each scope that a scope stands in from the outermost on, and the scope.

    >>> list(enclosing("a/b"))
    ['', 'a', 'a/b']
    """
    yield ""
    parts = path.split("/") if path else []
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


def _no_totals() -> ScopeTotals:
    return {
        "layers": 0,
        "parameters": 0,
        "multiply_adds": 0,
        "weight_bytes": 0,
        "activation_bytes": 0,
    }
