"""The names that a build's variables have in Keras's `.weights.h5` files."""

from collections.abc import Mapping

from model_zoo.graph import Graph, Node

# In the order in which Keras's layers create them, which numbers them in the file.
_ROLES = ("weights", "gamma", "beta", "moving_mean", "moving_variance", "biases")


def keras_names(graph: Graph) -> Mapping[str, tuple[str, ...]]:
    """Return the names that each variable may have, by TF-Slim's name: `<layer>/vars/<number>`.

    Biases have two: Keras's convolutions hold those that follow them, unless something else reads
    the tensor between.
    """
    producers = {node.output: node for node in graph.nodes}
    names: dict[str, tuple[str, ...]] = {}
    for node in graph.nodes:
        roles = [role for role in _ROLES if role in node.variables]
        for number, role in enumerate(roles):
            aliases = [_name(node, number)]
            if node.op == "bias_add":
                producer = producers[node.inputs[0]]
                aliases.insert(0, _name(producer, len(producer.variables)))
            # The first node of a variable that several share gives its layer the name.
            names.setdefault(node.variables[role].name, tuple(aliases))
    return names


def _name(node: Node, number: int) -> str:
    return f"{node.output.name.replace('/', '.')}/vars/{number}"
