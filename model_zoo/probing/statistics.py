"""Statistics of a tensor over its rows, computed row by row so that memory holds few copies."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_zoo.graph import Node

Bounds = tuple[float | None, float | None]

# What an activation cannot exceed. relu6's zeros are those of relu: `zero_fraction` counts them.
_BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "relu6": (None, 6.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}
# How near a bound a value is saturated, as a share of the range.
_NEAR = 0.01


@dataclass(frozen=True, slots=True)
class Statistics:
    """See `LayerProbeDocument`; what is undefined is None."""

    mean: float | None
    std: float | None
    rms: float | None
    low: float | None
    high: float | None
    zero_fraction: float
    dead_units: float
    saturated: float | None
    non_finite: int
    channel_squared_mean: float | None
    channel_variance: float | None


def bounds_of(node: Node) -> Bounds | None:
    """Return the bounds of a node's output, if it is a bounded activation or a clip."""
    if node.op == "activation":
        return _BOUNDS.get(node.attributes["function"].name)
    if node.op == "clip":
        return node.attributes["low"], node.attributes["high"]
    return None


def statistics(values: NDArray[np.float32], bounds: Bounds | None = None) -> Statistics:
    """Return the statistics of a tensor.

    Shape: (N, ..., C)
    """
    rows = values.reshape(len(values), -1, values.shape[-1])
    positions, channels = rows.shape[0] * rows.shape[1], rows.shape[2]
    size = positions * channels
    is_alive = np.zeros(channels, bool)
    zeros = saturated = non_finite = 0
    with np.errstate(invalid="ignore", over="ignore"):
        # Squares of what is left of the first row's means lose no digits to a large mean.
        shift = rows[0].mean(axis=0, dtype=np.float64)
        sums, squares = np.zeros(channels), np.zeros(channels)
        for row in rows:
            is_zero = row == 0
            zeros += int(np.count_nonzero(is_zero))
            is_alive |= ~is_zero.all(axis=0)
            saturated += _saturated(row, bounds)
            shifted = row - shift
            sums += shifted.sum(axis=0)
            squares += np.einsum("pc,pc->c", shifted, shifted)
        if not (np.isfinite(sums).all() and np.isfinite(squares).all()):
            non_finite = size - int(np.count_nonzero(np.isfinite(rows)))
    share = saturated / size if bounds else None
    dead_units = 1 - int(is_alive.sum()) / channels
    if non_finite:
        undefined = (None,) * 5
        return Statistics(*undefined, zeros / size, dead_units, share, non_finite, None, None)
    offsets = sums / positions
    means = shift + offsets
    variances = np.maximum(squares / positions - offsets * offsets, 0)
    mean, squared_mean = float(means.mean()), float(np.square(means).mean())
    return Statistics(
        mean,
        math.sqrt(float((variances + np.square(means - mean)).mean())),
        math.sqrt(float(variances.mean()) + squared_mean),
        float(values.min()),
        float(values.max()),
        zeros / size,
        dead_units,
        share,
        0,
        squared_mean,
        # As timm's: unbiased.
        float(variances.mean()) * positions / (positions - 1) if positions > 1 else None,
    )


def _saturated(row: NDArray[np.float32], bounds: Bounds | None) -> int:
    if bounds is None:
        return 0
    low, high = bounds
    margin = _NEAR * ((high or 0) - (low or 0))
    count = 0
    if low is not None:
        count += int(np.count_nonzero(row < low + margin))
    if high is not None:
        count += int(np.count_nonzero(row > high - margin))
    return count


def rms(values: NDArray[np.float32]) -> float | None:
    """Return the root of the mean square; None if values are not finite."""
    total = 0.0
    for row in values:
        flat = row.astype(np.float64).ravel()
        total += float(flat @ flat)
    return math.sqrt(total / values.size) if math.isfinite(total) else None
