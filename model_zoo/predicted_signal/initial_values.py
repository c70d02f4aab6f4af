"""Mean and variance of a variable's initial values, as `model_zoo.weights.random` draws them."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from model_zoo.values import Initializer, fans

Moments = tuple[float, float]  # mean, variance
# Of a normal variable that is drawn again beyond two standard deviations:
# 1 - 4 * phi(2) / (2 * Phi(2) - 1).
TRUNCATED_VARIANCE = 0.7737413035


@lru_cache(1024)
def initial_moments(initializer: Initializer, shape: tuple[int, ...]) -> Moments | None:
    """Return the mean and the variance of one value of a variable; None if nobody knows them.

    >>> from model_zoo.values import random_uniform_initializer
    >>> initial_moments(random_uniform_initializer(-3.0, 3.0), (5, 5))
    (0.0, 3.0)
    """
    rule = MOMENTS.get(initializer.name)
    return None if rule is None else rule(initializer, shape)


def _truncated_normal(initializer: Initializer, _shape: tuple[int, ...]) -> Moments:
    return initializer["mean"], TRUNCATED_VARIANCE * initializer["stddev"] ** 2


def _normal(initializer: Initializer, _shape: tuple[int, ...]) -> Moments:
    return initializer["mean"], initializer["stddev"] ** 2


def _uniform(initializer: Initializer, _shape: tuple[int, ...]) -> Moments:
    low, high = initializer["minval"], initializer["maxval"]
    return (low + high) / 2, (high - low) ** 2 / 12


def _scaled(factor: float, mode: str, uniform: bool, shape: tuple[int, ...]) -> Moments:
    fan_in, fan_out = fans(shape)
    n = {"FAN_IN": fan_in, "FAN_OUT": fan_out, "FAN_AVG": (fan_in + fan_out) / 2}[mode]
    # TF-Slim's 1.3 is a rounded 1 / TRUNCATED_VARIANCE.
    return 0.0, factor / n * (1.0 if uniform else 1.3 * TRUNCATED_VARIANCE)


# center_initializer is missing: its values depend on their places (see `propagation`).
MOMENTS: Mapping[str, Callable[[Initializer, tuple[int, ...]], Moments]] = {
    "zeros_initializer": lambda i, shape: (0.0, 0.0),
    "ones_initializer": lambda i, shape: (1.0, 0.0),
    "constant_initializer": lambda i, shape: (i["value"], 0.0),
    "truncated_normal_initializer": _truncated_normal,
    "random_normal_initializer": _normal,
    "random_uniform_initializer": _uniform,
    "xavier_initializer": lambda i, shape: _scaled(1.0, "FAN_AVG", i["uniform"], shape),
    "variance_scaling_initializer": lambda i, shape: _scaled(
        i["factor"], i["mode"], i["uniform"], shape
    ),
}
