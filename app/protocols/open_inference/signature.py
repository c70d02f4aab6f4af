"""The signature of a model, which requests are checked against."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from app.arrays import IMAGES, INPUT

# The datatypes of the two inputs that every model has; a request has one of them.
DATATYPES = {INPUT: "FP32", IMAGES: "BYTES"}


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """The tensors of a model, and the limits of the service."""

    name: str
    input_shape: tuple[int, ...]  # of one row
    # How many values a row of each output has; the first is the default.
    outputs: Mapping[str, int]
    max_rows: int
    max_values: int

    @property
    def default_output(self) -> str:
        """The output of a request that names none."""
        return next(iter(self.outputs))

    def shape_of(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of an input, with -1 for the number of its rows."""
        return (-1, *self.row_shape(tensor))

    def row_shape(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of one row of an input; an image file is a row."""
        return self.input_shape if tensor == INPUT else ()

    def row_bytes(self) -> int:
        """Return the bytes of one row of numbers."""
        return 4 * math.prod(self.input_shape)
