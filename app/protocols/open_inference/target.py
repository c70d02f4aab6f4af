"""What a request is checked against: a model, and the limits of the service."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.arrays import IMAGES, INPUT

# The datatypes of the two inputs that every model has, one to be sent instead of the other.
DATATYPES = {INPUT: "FP32", IMAGES: "BYTES"}


@dataclass(frozen=True, slots=True)
class Target:
    """A model, as far as a request must fit it."""

    name: str
    input_shape: tuple[int, ...]  # of one row
    # What can be asked for, and the values of one row; the first is answered where nothing is.
    outputs: Mapping[str, int]
    max_rows: int
    max_values: int

    @property
    def default_output(self) -> str:
        """The output that is answered where none is asked for."""
        return next(iter(self.outputs))

    def document(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Target":
        """Return what `document` told."""
        return cls(**{**document, "input_shape": tuple(document["input_shape"])})

    def shape_of(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of an input, with -1 for the number of its rows."""
        return (-1, *self.row_shape(tensor))

    def row_shape(self, tensor: str) -> tuple[int, ...]:
        """Return the shape of one row of an input; an image file is a row by itself."""
        return self.input_shape if tensor == INPUT else ()

    def row_bytes(self) -> int:
        """Return the bytes of one row of numbers."""
        return 4 * math.prod(self.input_shape)
