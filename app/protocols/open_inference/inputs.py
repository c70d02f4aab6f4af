"""Reads the input of a request: an array of numbers, or image files in its place."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.arrays import IMAGES, INPUT, Buffer
from app.protocols.float32 import spell_dims
from app.protocols.images import starts_as_image
from app.protocols.open_inference.fields import optional, refused, required, unknown
from app.protocols.open_inference.parameters import parameters
from app.protocols.open_inference.signature import DATATYPES, ModelSignature
from app.protocols.open_inference.tensors import bytes_elements, float32_data, images_of_json
from app.settings import variable
from app.wording import clip

_POINTER = "/inputs/0"
_SIZE = f"{_POINTER}/parameters/binary_data_size"


@dataclass(frozen=True, slots=True)
class InputTensor:
    """An input: `input` or `image_bytes`, its number of rows, and whether they follow the JSON."""

    name: str
    rows: int
    is_in_tail: bool


def read_input(
    inputs: list[Any], tail_bytes: int, signature: ModelSignature
) -> tuple[InputTensor, Sequence[Buffer]]:
    """Return the one input, and its data if that is in the JSON: the rows, or each file.

    Raises: InputError for what does not fit the model.
    """
    if len(inputs) != 1:
        message = (
            f"A request has one input, {INPUT!r} (FP32) or {IMAGES!r} (BYTES) in its place; "
            f"this one has {len(inputs)}."
        )
        raise refused("/inputs", message, len(inputs))
    name = required(inputs[0], "name", str, _POINTER)
    tensor: dict[str, Any] = inputs[0]
    if name not in DATATYPES:
        raise unknown(f"{_POINTER}/name", signature.name, "input", name, DATATYPES)
    _check_datatype(tensor, name, signature)
    shape = _shape(tensor, name, signature)
    size = parameters(tensor, _POINTER).get("binary_data_size")
    data = optional(tensor, "data", list, _POINTER)
    if (size is None) == (data is None):
        given = "neither" if size is None else "both"
        message = f"An input has data or parameters.binary_data_size; this one has {given}."
        raise refused(_POINTER, message, None)
    rows = shape[0]
    if data is None:
        assert size is not None
        _check_size(size, tail_bytes, name, shape)
        return InputTensor(name, rows, True), []
    if tail_bytes:
        message = f"unexpected additional input data: {tail_bytes} bytes follow the JSON."
        raise refused(_POINTER, message, tail_bytes)
    values = f"{_POINTER}/data"
    if name == IMAGES:
        return InputTensor(name, rows, False), images_of_json(data, rows, values)
    return InputTensor(name, rows, False), [float32_data(data, shape, values)]


def raw_input(body: Buffer, signature: ModelSignature) -> tuple[InputTensor, Sequence[Buffer]]:
    """Return the input of a body without JSON: one row of numbers, or one image file.

    A body that starts as an image file is one: its first number would be out of any input's range.
    Raises: InputError if it is neither.
    """
    if starts_as_image(body):
        return InputTensor(IMAGES, 1, False), [body]
    if len(body) != signature.row_bytes():
        message = (
            f"A body without JSON is one row of {INPUT!r}, {signature.row_bytes()} bytes for shape "
            f"{spell_dims((1, *signature.input_shape))} of FP32, or an image file; this one has "
            f"{len(body)} bytes."
        )
        raise refused("", message, len(body))
    return InputTensor(INPUT, 1, False), [body]


def tail_buffers(tensor: InputTensor, tail: Buffer) -> Sequence[Buffer]:
    """Return the data of an input that follows the JSON: the rows, not copied, or each file.

    Raises: InputError for image files whose lengths do not add up.
    """
    return [tail] if tensor.name == INPUT else bytes_elements(tail, tensor.rows, _SIZE)


def _check_datatype(tensor: Mapping[str, Any], name: str, signature: ModelSignature) -> None:
    datatype, expected = required(tensor, "datatype", str, _POINTER), DATATYPES[name]
    if datatype != expected:
        message = (
            f"unexpected datatype for input {name!r} for model {signature.name!r}. Expected "
            f"{expected}, got {clip(datatype)}."
        )
        raise refused(f"{_POINTER}/datatype", message, datatype, expected)


def _shape(tensor: Mapping[str, Any], name: str, signature: ModelSignature) -> list[int]:
    """Return the shape, checked against the model and the limits."""
    pointer = f"{_POINTER}/shape"
    shape = required(tensor, "shape", list, _POINTER)
    if not all(type(size) is int and size >= 0 for size in shape):
        raise refused(pointer, "shape must be a list of integers, 0 or more each.", shape)
    row = list(signature.row_shape(name))
    if shape[1:] != row or not shape or shape[0] == 0:
        message = (
            f"unexpected shape for input {name!r} for model {signature.name!r}. Expected "
            f"{spell_dims(signature.shape_of(name))}, got {spell_dims(shape)}. NOTE: the first "
            f"dimension is the batch dimension, for one row it is {spell_dims((1, *row))}."
        )
        raise refused(pointer, message, shape)
    if shape[0] > signature.max_rows:
        message = (
            f"The request has {clip(shape[0])} rows; the limit is {signature.max_rows} "
            f"({variable('max_batch')}). Send several requests."
        )
        raise refused(pointer, message, shape[0])
    return shape


def _check_size(size: int, tail_bytes: int, name: str, shape: Sequence[int]) -> None:
    if size > tail_bytes:
        missing = clip(size - tail_bytes)
        message = (
            f"expecting {missing} additional bytes for input {name!r}: {tail_bytes} "
            "bytes follow the JSON, whose length is Inference-Header-Content-Length."
        )
        raise refused(_SIZE, message, size)
    if size < tail_bytes:
        message = (
            f"unexpected additional input data: {tail_bytes} bytes follow the JSON, and "
            f"{name!r} has {size} of them."
        )
        raise refused(_SIZE, message, size)
    if name == INPUT:
        expected = 4 * math.prod(shape)
        if size != expected:
            message = (
                f"binary_data_size is {size}; shape {spell_dims(shape)} of FP32 has {expected} "
                "bytes."
            )
            raise refused(_SIZE, message, size, str(expected))
