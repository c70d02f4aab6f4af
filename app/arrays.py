"""What arrays are in memory, and what the inputs and outputs of every model are called."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Buffer = bytes | bytearray | memoryview
# The sizes of one row: a shape without the batch.
RowShape = tuple[int, ...]

# The inputs of the signatures in our SavedModels: serving_default and serving_images.
INPUT = "input"
IMAGES = "image_bytes"
OUTPUT = "output"
# The softmax of OUTPUT, where that is one number for each class.
PROBABILITIES = "probabilities"
