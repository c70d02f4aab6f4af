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
