"""Reads the bodies of `:predict` and `:classify`; a reader process does so where they are large."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from app.arrays import IMAGES, Buffer
from app.documents import MalformedJsonError, parse_tensors
from app.protocols.tensorflow_serving.examples import read_examples
from app.protocols.tensorflow_serving.instances import read_instances
from app.protocols.tensorflow_serving.refusals import refused
from app.protocols.tensorflow_serving.signatures import Inputs, Values
from app.protocols.tensorflow_serving.tensors import decoded, float32_rows, is_base64, spelled
from app.settings import variable


@dataclass(frozen=True, slots=True)
class Question:
    """What a body is read for, and within which limits."""

    action: str
    shape: tuple[int, ...]
    takes_images: bool
    max_rows: int
    max_values: int

    def arguments(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return asdict(self)


class Contents(NamedTuple):
    """What a body holds: rows of numbers in one buffer, or an image file in each."""

    rows: int
    places: Sequence[str]  # of the images, as pointers; none where there are numbers
    is_column: bool


def read(
    arguments: Mapping[str, Any], buffers: Sequence[Buffer]
) -> tuple[dict[str, Any], Sequence[Buffer]]:
    """Return the `Contents` of a body, by field, and the buffers.

    Raises: MalformedJsonError, InputError
    """
    question = Question(**{**arguments, "shape": tuple(arguments["shape"])})
    body = bytes(buffers[0])
    if not body:
        raise MalformedJsonError("The body is empty; it must be a JSON object.")
    document = parse_tensors(body, max_nodes=question.max_values)
    if not isinstance(document, dict):
        raise refused("", "The body must be a JSON object.", document)
    inputs = Inputs(question.shape, question.takes_images)
    read_values = read_examples if question.action == "classify" else read_instances
    contents, found = _contents(read_values(document, inputs), question)
    return contents._asdict(), found


def _contents(values: Values, question: Question) -> tuple[Contents, Sequence[Buffer]]:
    rows, shape = values.rows, question.shape
    if len(rows) > question.max_rows:
        message = (
            f"The request has {len(rows)} rows; the limit is {question.max_rows} "
            f"({variable('max_batch')})."
        )
        raise refused("", message, len(rows))
    if values.input == IMAGES or is_base64(rows[0]):
        if not question.takes_images:
            rule = f"The model takes no images; its input has shape {spelled((-1, *shape))}."
            raise refused(values.place(0), rule, rows[0])
        places = [values.place(index) for index in range(len(rows))]
        images = [decoded(row, place) for row, place in zip(rows, places, strict=True)]
        return Contents(len(rows), places, values.is_column), images
    row_shape = (math.prod(shape),) if values.is_flat else shape
    data = float32_rows(rows, row_shape, values.place, values.level)
    return Contents(len(rows), (), values.is_column), [data]
