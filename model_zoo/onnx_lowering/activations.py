"""Activations, as TensorFlow computes them."""

from collections.abc import Mapping
from typing import Any

from model_zoo.errors import BuildError, suggest
from model_zoo.graph import Node
from model_zoo.onnx_lowering.rules import Lowering, rule

# Operators that compute an activation by themselves, with their attributes.
_OPERATORS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "relu": ("Relu", {}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "hard_swish": ("HardSwish", {}),
    # ONNX's default slope is 0.2.
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
}


@rule("activation")
def activation(lowering: Lowering, node: Node) -> str:
    function, x = node.attributes["function"], lowering.value(node.inputs[0])
    if function.name == "relu6":
        return lowering.emit("Clip", [x, lowering.floats(0), lowering.floats(6)])
    if function.name == "swish":
        return lowering.emit("Mul", [x, lowering.emit("Sigmoid", [x])])
    if function.name == "leaky_relu":
        return lowering.emit("LeakyRelu", [x], alpha=function["alpha"])
    if function.name == "gelu":
        approximate = "tanh" if function["approximate"] else "none"
        return lowering.emit("Gelu", [x], approximate=approximate)
    if function.name not in _OPERATORS:
        known = [*_OPERATORS, "relu6", "swish", "leaky_relu", "gelu"]
        raise BuildError(
            f"{node.output.name}: there is no ONNX rule for the activation {function.name!r}. "
            f"{suggest(function.name, known)}",
            received=function.name,
        )
    op, attributes = _OPERATORS[function.name]
    return lowering.emit(op, [x], **attributes)
