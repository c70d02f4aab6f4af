"""Activations as functions of one number."""

import functools
import math
from collections.abc import Callable, Mapping

from model_zoo.values import Named

Function = Callable[[float], float]


def _relu6(x: float) -> float:
    return 0.0 if x < 0.0 else x if x < 6.0 else 6.0  # min() takes twice as long


def _sigmoid(x: float) -> float:
    # math.exp overflows beyond 709.
    return 1.0 / (1.0 + math.exp(-x)) if x > -700.0 else 0.0


# Klambauer and others, arXiv:1706.02515.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _elu(x: float) -> float:
    return x if x > 0.0 else math.expm1(x)


def _selu(x: float) -> float:
    return _SELU_SCALE * (x if x > 0.0 else _SELU_ALPHA * math.expm1(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _leaky_relu(activation: Named) -> Function:
    alpha = activation["alpha"]
    return lambda x: max(x, alpha * x) if alpha <= 1.0 else (x if x > 0.0 else alpha * x)


def _gelu(activation: Named) -> Function:
    if activation["approximate"]:
        root = math.sqrt(2.0 / math.pi)
        return lambda x: x * 0.5 * (1.0 + math.tanh(root * x * (1.0 + 0.044715 * x * x)))
    return lambda x: x * 0.5 * math.erfc(-x * math.sqrt(0.5))


# By name; TensorFlow's numbers, of which a test has samples.
FUNCTIONS: Mapping[str, Callable[[Named], Function]] = {
    "relu": lambda _: lambda x: x if x > 0.0 else 0.0,
    "relu6": lambda _: _relu6,
    "elu": lambda _: _elu,
    "selu": lambda _: _selu,
    "tanh": lambda _: math.tanh,
    "sigmoid": lambda _: _sigmoid,
    "softplus": lambda _: _softplus,
    "softsign": lambda _: lambda x: x / (1.0 + abs(x)),
    "swish": lambda _: lambda x: x * _sigmoid(x),
    "hard_swish": lambda _: lambda x: x * _relu6(x + 3.0) / 6.0,
    "hard_sigmoid": lambda _: lambda x: _relu6(x + 3.0) / 6.0,
    "leaky_relu": _leaky_relu,
    "gelu": _gelu,
}


@functools.lru_cache(256)
def find_function(activation: Named) -> Function | None:
    """Return what an activation computes, equal ones the same; None if nobody told."""
    make = FUNCTIONS.get(activation.name)
    return None if make is None else make(activation)
