"""Types of arrays in memory, and the names of the inputs and outputs of every model."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Buffer = bytes | bytearray | memoryview
# The shape of one row, without the batch dimension.
RowShape = tuple[int, ...]

# The inputs of the signatures in our SavedModels: serving_default and serving_images.
INPUT = "input"
IMAGES = "image_bytes"
OUTPUT = "output"
# The softmax of OUTPUT, if OUTPUT has one number for each class.
PROBABILITIES = "probabilities"
# How far the outputs of two engines may be apart, as `relative_difference` measures it.
AGREEMENT = 1e-4


def relative_difference(one: Array, other: Array) -> float:
    """Return the largest difference, in units of the largest value of `other`."""
    scale = max(float(np.abs(other).max(initial=0)), 1e-30)
    return float(np.abs(one - other).max(initial=0)) / scale
