"""Bilinear resizing as two matrix products, which every backend computes alike."""

import numpy as np
from numpy.typing import NDArray


def bilinear_weights(size: int, resized: int) -> NDArray[np.float32]:
    """Return the matrix that resizes one dimension, with the first and last values kept in place.

    Shape: (resized, size)

    >>> bilinear_weights(2, 3).tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    places = np.arange(resized) * ((size - 1) / max(resized - 1, 1))
    distances = np.abs(places[:, None] - np.arange(size))
    weights: NDArray[np.float32] = np.maximum(1 - distances, 0).astype(np.float32)
    return weights
