"""Random values of a network's variables, drawn as TF-Slim's initializers draw them.

Each variable has a stream of its own: SHA-256 of the seed and of what the variable is gives the
key of a Philox generator. So a value depends on no other variable, nor on the order of drawing.

NumPy promises the same stream from a bit generator in every version, and nothing for the
distributions made of it. Uniform values are computed here from the raw bits, and so the promise
covers them. Normal values rely on `Generator.standard_normal` in float32 staying the ziggurat it
is: a transform of the bits written here would need NumPy's logarithm and cosine, whose last bits
change with the processor. A test pins values of every initializer, so a change is noticed.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import WeightsError, unknown_name
from model_zoo.graph import Variable
from model_zoo.values import Initializer, fans

Array = NDArray[np.float32]
# Values that are drawn at once: as many as the processor's cache holds. Even, as a word has two.
_BLOCK = 2**16
Rule = Callable[[np.random.Philox, tuple[int, ...], Initializer], Array]


def random_value(seed: int, variable: Variable) -> Array:
    """Return a variable's value, which is a function of its arguments alone.

    Only the variable's name, shape and initializer count.
    Raises: WeightsError if there is no rule for the initializer.
    """
    initializer = variable.initializer
    rule = RULES.get(initializer.name)
    if rule is None:
        what = f"Variable {variable.name} has no known initializer: {initializer.name!r}."
        raise WeightsError(unknown_name("", what, initializer.name, RULES))
    if variable.size == 0:
        return np.zeros(variable.shape, np.float32)
    text = _canonical_text(seed, variable)
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    return rule(np.random.Philox(key=key), variable.shape, initializer)


def _canonical_text(seed: int, variable: Variable) -> str:
    initializer = variable.initializer
    parts = [seed, variable.name, variable.shape, initializer.name, dict(initializer.arguments)]
    return json.dumps(parts, sort_keys=True, separators=(",", ":"))


def _uniform(bits: np.random.Philox, shape: tuple[int, ...], low: float, high: float) -> Array:
    """Draw from [low, high): 24 bits a value, the lower half of each raw word first."""
    values = np.empty(math.prod(shape), np.float32)
    last = np.nextafter(np.float32(high), np.float32(low))
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        words = bits.random_raw((len(block) + 1) // 2).astype("<u8", copy=False).view("<u4")
        words >>= 8
        block[...] = words[: len(block)]
        block *= np.float32((high - low) / 2**24)
        block += np.float32(low)
        if low < high:  # rounding may reach the bound that is excluded
            np.minimum(block, last, out=block)
    return values.reshape(shape)


def _normal(bits: np.random.Philox, shape: tuple[int, ...], mean: float, stddev: float) -> Array:
    values = np.random.Generator(bits).standard_normal(shape, dtype=np.float32)
    return _scaled(values, mean, stddev)


def _truncated_normal(
    bits: np.random.Philox, shape: tuple[int, ...], mean: float, stddev: float
) -> Array:
    """Draw normal values, and again those beyond two standard deviations."""
    generator = np.random.Generator(bits)
    values = generator.standard_normal(math.prod(shape), dtype=np.float32)
    beyond = np.flatnonzero(np.abs(values) > 2)
    while beyond.size:
        again = generator.standard_normal(beyond.size, dtype=np.float32)
        values[beyond] = again
        beyond = beyond[np.abs(again) > 2]
    return _scaled(values, mean, stddev).reshape(shape)


def _scaled(values: Array, mean: float, stddev: float) -> Array:
    values *= np.float32(stddev)
    if mean:
        values += np.float32(mean)
    return values


def _variance_scaling(
    bits: np.random.Philox, shape: tuple[int, ...], factor: float, mode: str, uniform: bool
) -> Array:
    fan_in, fan_out = fans(shape)
    n = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "FAN_AVG": (fan_in + fan_out) / 2}[mode]
    if uniform:
        limit = math.sqrt(3 * factor / n)
        return _uniform(bits, shape, -limit, limit)
    # TF-Slim's 1.3 makes up for the variance that truncation takes away.
    return _truncated_normal(bits, shape, 0.0, math.sqrt(1.3 * factor / n))


def _center(_bits: np.random.Philox, shape: tuple[int, ...], _initializer: Initializer) -> Array:
    values = np.zeros(shape, np.float32)
    if len(shape) >= 2:
        values[tuple(size // 2 for size in shape[:-2])] = np.eye(shape[-2], shape[-1])
    return values


RULES: Mapping[str, Rule] = {
    "zeros_initializer": lambda bits, shape, _: np.zeros(shape, np.float32),
    "ones_initializer": lambda bits, shape, _: np.ones(shape, np.float32),
    "center_initializer": _center,
    "constant_initializer": lambda bits, shape, i: np.full(shape, i["value"], np.float32),
    "truncated_normal_initializer": lambda bits, shape, i: _truncated_normal(
        bits, shape, i["mean"], i["stddev"]
    ),
    "random_normal_initializer": lambda bits, shape, i: _normal(
        bits, shape, i["mean"], i["stddev"]
    ),
    "random_uniform_initializer": lambda bits, shape, i: _uniform(
        bits, shape, i["minval"], i["maxval"]
    ),
    "xavier_initializer": lambda bits, shape, i: _variance_scaling(
        bits, shape, 1.0, "FAN_AVG", i["uniform"]
    ),
    "variance_scaling_initializer": lambda bits, shape, i: _variance_scaling(
        bits, shape, i["factor"], i["mode"], i["uniform"]
    ),
}
