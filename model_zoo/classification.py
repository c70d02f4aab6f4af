"""From a network's output to classes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def class_probabilities(logits: NDArray[Any]) -> Array:
    """Return the softmax over all values of each row.

    Shape: (N, ...) -> (N, classes)
    """
    rows = logits.reshape(len(logits), -1).astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinities come out as NaN, which says so
        scaled = np.exp(rows - rows.max(axis=1, keepdims=True))
        probabilities: Array = (scaled / scaled.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def top_classes(probabilities: Array, count: int) -> list[int]:
    """Return the most probable classes of one row, the lower first among equals, NaN last."""
    order = np.argsort(np.where(np.isnan(probabilities), np.inf, -probabilities), kind="stable")
    return [int(index) for index in order[:count]]
