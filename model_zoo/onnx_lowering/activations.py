"""Activations, as TensorFlow computes them."""

import math
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
        return _gelu(lowering, x, is_approximate=function["approximate"])
    if function.name not in _OPERATORS:
        known = [*_OPERATORS, "relu6", "swish", "leaky_relu", "gelu"]
        raise BuildError(
            f"{node.output.name}: there is no ONNX rule for the activation {function.name!r}. "
            f"{suggest(function.name, known)}",
            received=function.name,
        )
    op, attributes = _OPERATORS[function.name]
    return lowering.emit(op, [x], **attributes)


def _gelu(lowering: Lowering, x: str, *, is_approximate: bool) -> str:
    """Emit the operator, or before opset 20 the formula by which it is defined.

    Exact: x/2 (1 + erf(x / sqrt 2)). Approximate: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
    """
    if lowering.opset >= 20:
        return lowering.emit("Gelu", [x], approximate="tanh" if is_approximate else "none")

    def times(value: str, factor: float | str) -> str:
        other = factor if isinstance(factor, str) else lowering.floats(factor)
        return lowering.emit("Mul", [value, other])

    if is_approximate:
        cube = times(times(x, x), x)
        inner = lowering.emit("Add", [x, times(cube, 0.044715)])
        gate = lowering.emit("Tanh", [times(inner, math.sqrt(2 / math.pi))])
    else:
        gate = lowering.emit("Erf", [times(x, math.sqrt(0.5))])
    return times(times(x, 0.5), lowering.emit("Add", [gate, lowering.floats(1)]))
