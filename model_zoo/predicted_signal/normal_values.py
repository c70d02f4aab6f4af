"""What functions and maxima make of normally distributed values."""

import math
from operator import mul
from typing import NamedTuple

from model_zoo.predicted_signal.functions import Function


class Normal(NamedTuple):
    """Normal values: mean, variance, and covariances of two of one channel.

    `near` is that of two positions close to each other, `far` the mean over all pairs.
    """

    mean: float
    variance: float
    near: float
    far: float


class Moments(NamedTuple):
    """The means of x, of its square, and of the products of two x of one channel, near and far."""

    mean: float
    square: float
    near: float
    far: float


# Gauss's two points in each cell of half a standard deviation. The sum over all of them is exact
# far beyond float32 for smooth functions, and to 1e-4 for one with a bend at the mean, which is an
# edge of cells.
_CELL = 0.5
_NODES = tuple(
    [_CELL * (index + 0.5 + side / math.sqrt(12)) for index in range(-11, 11) for side in (-1, 1)]
)
_ORDERS = 6
# Of the product, where its sum ends.
_TOLERANCE = 3e-3


def _hermite_rows() -> tuple[tuple[float, ...], ...]:
    """Return the orthonormal Hermite polynomials at the nodes, times the weights of the nodes."""
    weights = [math.exp(-x * x / 2) for x in _NODES]
    total = sum(weights)
    rows = [[1.0] * len(_NODES), list(_NODES)]
    for n in range(1, _ORDERS - 1):
        rows.append(
            [
                (x * last - math.sqrt(n) * before) / math.sqrt(n + 1)
                for x, last, before in zip(_NODES, rows[n], rows[n - 1], strict=True)
            ]
        )
    return tuple(
        tuple(value * weight / total for value, weight in zip(row, weights, strict=True))
        for row in rows
    )


_ROWS = _hermite_rows()


class Passed(NamedTuple):
    """What a function makes of normal values.

    `variation` is the variance of a channel's mean square over its mean squared, where two of its
    values have a given mean squared correlation; `share` is how much of a change of their square
    arrives, as the derivative of the square's logarithm by that of the former.
    """

    moments: Moments
    variation: float
    share: float


def pass_through(function: Function, normal: Normal, likeness: float) -> Passed:
    """Return what a function makes of normal values of which two are so much alike."""
    mean, variance, near, far = normal
    deviation = math.sqrt(variance)
    values = [function(mean + deviation * node) for node in _NODES]
    squares = list(map(mul, values, values))
    average, square = sum(map(mul, _ROWS[0], values)), sum(map(mul, _ROWS[0], squares))
    scale = 1.0 / variance if variance > 0.0 else 0.0
    moments = Moments(
        average, square, *_products(values, average, square, near * scale, far * scale)
    )
    if not square:
        return Passed(moments, 0.0, 0.0)
    variation = 0.0
    if likeness:
        fourth = sum(map(mul, _ROWS[0], map(mul, squares, squares)))
        product, _ = _products(squares, square, fourth, math.sqrt(likeness), 0.0)
        variation = product / (square * square) - 1.0
    # By the logarithm of the square of the normal values, of which the mean is a part.
    whole = 1.0 + mean * mean * scale
    share = sum(map(mul, _ROWS[2], squares)) / square * math.sqrt(0.5) * whole
    return Passed(moments, variation, share)


def _products(
    values: list[float], mean: float, square: float, near: float, far: float
) -> tuple[float, float]:
    """Return the mean products of a function's values at two normal values of two correlations.

    It is Mehler's sum: with a(k) the coefficient of the function's k-th Hermite polynomial and r
    the correlation, a(0)^2 + a(1)^2 r + a(2)^2 r^2 + ... All orders together are the square; those
    after the last one that is computed count as the next one.
    """
    near, far = min(max(near, 0.0), 1.0), min(max(far, 0.0), 1.0)
    first = second = mean * mean
    if near <= 0.0 and far <= 0.0:
        return first, second
    left, power, other = max(square - first, 0.0), near, far
    for row in _ROWS[1:]:
        coefficient = sum(map(mul, row, values)) ** 2
        first += coefficient * power
        second += coefficient * other
        left = max(left - coefficient, 0.0)
        power, other = power * near, other * far
        if left * power * (1.0 - near) <= _TOLERANCE * first:
            break
    return min(first + left * power, square), min(second + left * other, square)


def maximum_of(count: int) -> tuple[float, float]:
    """Return the mean and the variance of the largest of independent standard normal values.

    >>> mean, variance = maximum_of(4)
    >>> round(mean, 3), round(variance, 3)
    (1.029, 0.492)
    """
    if count not in _MAXIMA:
        # Twice the midpoint rule of cells of a hundredth: the density of the maximum.
        nodes = [index / 100 for index in range(-800, 801)]
        densities = [
            count * math.exp(-x * x / 2) * (math.erfc(-x * math.sqrt(0.5)) / 2) ** (count - 1)
            for x in nodes
        ]
        total = sum(densities)
        mean = sum(map(mul, nodes, densities)) / total
        second = sum(x * x * density for x, density in zip(nodes, densities, strict=True)) / total
        _MAXIMA[count] = (mean, second - mean * mean)
    return _MAXIMA[count]


_MAXIMA: dict[int, tuple[float, float]] = {}
