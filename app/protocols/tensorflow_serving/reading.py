"""Reads the bodies of `:predict` and `:classify`; large ones are read in a reader process."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.arrays import IMAGES, Buffer
from app.documents import MalformedJsonError, parse_tensors
from app.protocols.float32 import spell_dims
from app.protocols.images import is_base64
from app.protocols.tensorflow_serving.examples import read_examples
from app.protocols.tensorflow_serving.instances import read_instances
from app.protocols.tensorflow_serving.paths import Action
from app.protocols.tensorflow_serving.refusals import refused
from app.protocols.tensorflow_serving.signatures import Inputs, Values
from app.protocols.tensorflow_serving.tensors import decoded, float32_rows
from app.settings import variable


@dataclass(frozen=True, slots=True)
class ExpectedBody:
    """The body that an action of a model takes, and its limits."""

    action: Action
    shape: tuple[int, ...]
    takes_images: bool
    max_rows: int
    max_values: int


class BodyContents(NamedTuple):
    """What a body holds: rows of numbers in one buffer, or an image file in each."""

    rows: int
    places: tuple[str, ...]  # the pointers of the images; none if there are numbers
    is_column: bool


def parse_body(body: bytes, expected: ExpectedBody) -> tuple[BodyContents, Sequence[Buffer]]:
    """Return the contents of a body, and the buffers.

    Raises: MalformedJsonError, InputError
    """
    if not body:
        raise MalformedJsonError("The body is empty; it must be a JSON object.")
    document = parse_tensors(body, max_nodes=expected.max_values)
    if not isinstance(document, dict):
        raise refused("", "The body must be a JSON object.", document)
    inputs = Inputs(expected.shape, expected.takes_images)
    read_values = read_examples if expected.action == "classify" else read_instances
    return _contents(read_values(document, inputs), expected)


def _contents(values: Values, expected: ExpectedBody) -> tuple[BodyContents, Sequence[Buffer]]:
    rows, shape = values.rows, expected.shape
    if len(rows) > expected.max_rows:
        message = (
            f"The request has {len(rows)} rows; the limit is {expected.max_rows} "
            f"({variable('max_batch')})."
        )
        raise refused("", message, len(rows))
    if values.input == IMAGES or is_base64(rows[0]):
        if not expected.takes_images:
            rule = f"The model takes no images; its input has shape {spell_dims((-1, *shape))}."
            raise refused(values.place(0), rule, rows[0])
        places = tuple(values.place(index) for index in range(len(rows)))
        images = [decoded(row, place) for row, place in zip(rows, places, strict=True)]
        return BodyContents(len(rows), places, values.is_column), images
    row_shape = (math.prod(shape),) if values.is_flat else shape
    data = float32_rows(rows, row_shape, values.place, values.level)
    return BodyContents(len(rows), (), values.is_column), [data]
