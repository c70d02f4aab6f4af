"""The rules by which primitives become Keras layers: the registry, and what a rule is given."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from model_zoo.bias_folding import foldable_biases
from model_zoo.errors import BuildError
from model_zoo.graph import Graph, Node, Tensor, Variable
from model_zoo.values import Regularizer

KerasTensor = Any
Rule = Callable[["Lowering", Node, Sequence[KerasTensor]], KerasTensor]
RULES: dict[str, Rule] = {}


def rule(op: str) -> Callable[[Rule], Rule]:
    """Register the rule of a primitive.

    Raises: ValueError if it has one.
    """

    def register(function: Rule) -> Rule:
        if op in RULES:
            raise ValueError(f"There is already a rule for {op}.")
        RULES[op] = function
        return function

    return register


class Lowering:
    """What the rules share while one graph is lowered: layers, and each weight's Keras variable.

    Keras has no layer that only adds biases, so a convolution's layer takes those that follow it.
    """

    def __init__(self, graph: Graph) -> None:
        self.variables: dict[str, Any] = {}
        self._layers: dict[tuple[str, ...], tuple[dict[str, Any], Any]] = {}
        ends = {graph.output, *graph.end_points.values()}
        self.biases = foldable_biases(graph.nodes, ends)

    def layer(
        self, make: type[Any], node: Node, roles: dict[str, Variable], **arguments: Any
    ) -> Any:
        """Return a Keras layer for a node's variables: a new one, or the one that shares them.

        `roles` names the layer's attribute for each variable; they are bound once it is built.
        Raises: BuildError if layers of different arguments share variables.
        """
        key = tuple(variable.name for variable in roles.values())
        shared = self._layers.get(key)
        if shared is not None:
            known, layer = shared
            if known != {"make": make, **arguments}:
                raise BuildError(
                    f"{node.output.name} shares {', '.join(key)} with a layer of other arguments; "
                    "Keras can share them only between equal layers."
                )
            return layer
        layer = make(name=layer_name(node), **arguments)
        if not any(variable.trainable for variable in roles.values()):
            layer.trainable = False
        if key:
            self._layers[key] = ({"make": make, **arguments}, layer)
        return layer

    def bind(self, layer: Any, roles: dict[str, Variable]) -> None:
        """Remember which Keras variable holds each of the graph's."""
        for attribute, variable in roles.items():
            self.variables[variable.name] = getattr(layer, attribute)


def layer_name(node: Node) -> str:
    """Return the node's name as Keras allows it: unique, without slashes."""
    return node.output.name.replace("/", ".")


def regularizer(value: Regularizer | None) -> Any:
    """Return Keras's regularizer; TF-Slim halves the sum of squares, Keras does not."""
    if value is None or not value.active:
        return None
    return keras.regularizers.L1L2(l1=value.l1, l2=value.l2 / 2)


def apply_rules(lowering: Lowering, graph: Graph, inputs: KerasTensor) -> dict[Tensor, KerasTensor]:
    """Run each node's rule in order and return every tensor's Keras counterpart."""
    tensors: dict[Tensor, KerasTensor] = {graph.input: inputs}
    for node in graph.nodes:
        if node.op == "input":
            continue
        arguments = [tensors[tensor] for tensor in node.inputs]
        try:
            tensors[node.output] = RULES[node.op](lowering, node, arguments)
        except Exception as error:
            error.add_note(f"while lowering {node.output.name} ({node.op})")
            raise
    return tensors
