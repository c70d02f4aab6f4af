"""The data of tensors: JSON numbers, nested or flat, and BYTES, which have a length before each."""

import math
import struct
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from app.arrays import Buffer
from app.protocols.float32 import NotFloat32Error, float32_bytes, spell_dims
from app.protocols.images import Base64Error, base64_bytes
from app.protocols.open_inference.fields import refused
from app.wording import clip

Shape = Sequence[int]

_LENGTH = struct.Struct("<I")
_FLOAT32 = np.dtype("<f4")
_PIECE_VALUES = 4096


def float32_data(data: list[Any], shape: Shape, pointer: str) -> bytes:
    """Return JSON numbers as little-endian float32, row-major.

    Raises: InputError for a wrong number of values, or a value that is not a number
    or beyond float32. The tokens NaN and Infinity are numbers.
    """
    values = flattened(data, shape, pointer)
    try:
        return float32_bytes(values)
    except NotFloat32Error as error:
        value = values[error.index]
        is_nested = isinstance(data[0], list)
        place = pointer + (_path(error.index, shape) if is_nested else f"/{error.index}")
        if not error.is_number:
            raise refused(place, f"Expected a number, got {clip(value)!r}.", value) from None
        limit = np.finfo(np.float32).max
        received = str(value)[:40] if type(value) is int else value
        message = f"The number is beyond FP32, which ends at {limit!s}."
        raise refused(place, message, received) from None


def flattened(data: list[Any], shape: Shape, pointer: str) -> list[Any]:
    """Return the values of a list that is flat, or nested as `shape` says.

    Raises: InputError if it is neither.
    """
    count = math.prod(shape)
    if len(shape) == 1 or not isinstance(data[0] if data else None, list):
        if len(data) != count:
            message = f"data has {len(data)} values; shape {spell_dims(shape)} has {count}."
            raise refused(pointer, message, len(data))
        return data
    level: list[Any] = [data]
    for depth, size in enumerate(shape):
        for index, item in enumerate(level):
            if type(item) is not list or len(item) != size:
                got = f"a list of {len(item)}" if type(item) is list else repr(clip(item))
                place = pointer + _path(index, shape[:depth])
                rule = f"Expected a list of {size}, got {got}: shape is {spell_dims(shape)}."
                raise refused(place, rule, len(item) if type(item) is list else item)
        level = list(chain.from_iterable(level))
    return level


def images_of_json(data: list[Any], rows: int, pointer: str) -> list[bytes]:
    """Return the files that JSON strings hold in base64.

    Raises: InputError for another number of them than `rows`, or a string that is not base64.
    """
    images = []
    for index, text in enumerate(flattened(data, (rows,), pointer)):
        try:
            images.append(base64_bytes(text))
        except Base64Error as error:
            message = f"An image in JSON must be a string in base64: {error}. Or send binary data."
            raise refused(f"{pointer}/{index}", message, text) from None
    return images


def bytes_elements(data: Buffer, count: int, pointer: str) -> list[bytes]:
    """Return the elements of a binary BYTES tensor: u32 length, then as many bytes, for each.

    Raises: InputError if they are not `count`, or end before their lengths say.
    """
    elements: list[bytes] = []
    offset = 0
    for index in range(count):
        start = offset + _LENGTH.size
        length = _LENGTH.unpack_from(data, offset)[0] if start <= len(data) else 0
        offset = start + length
        if offset > len(data):
            missing = offset - len(data)
            message = (
                f"Element {index} of {count} ends {missing} bytes after the data does. An element "
                "is its length, an unsigned 32-bit little-endian integer, and as many bytes."
            )
            raise refused(pointer, message, len(data))
        elements.append(bytes(data[start:offset]))
    if offset < len(data):
        message = f"{len(data) - offset} bytes follow the last of {count} elements."
        raise refused(pointer, message, len(data))
    return elements


def bytes_tensor(elements: Iterable[str]) -> bytes:
    """Return strings as a binary BYTES tensor.

    >>> bytes_tensor(["a", "bc"])
    b'\\x01\\x00\\x00\\x00a\\x02\\x00\\x00\\x00bc'
    """
    encoded = [element.encode() for element in elements]
    return b"".join(_LENGTH.pack(len(element)) + element for element in encoded)


def float32_tensor(array: npt.NDArray[np.float32]) -> memoryview:
    """Return an array's bytes as the wire has them, copied only if they are laid out otherwise."""
    return np.ascontiguousarray(array, _FLOAT32).data.cast("B")


def float32_json(array: npt.NDArray[np.float32]) -> str:
    """Return an array's values as JSON numbers between commas, NaN and Infinity bare.

    Nine digits distinguish any two float32 numbers, and are quicker to write than the seventeen
    that float64 numbers need.

    >>> float32_json(np.array([[1, 0.1], [np.nan, -np.inf]], np.float32))
    '1,0.100000001,NaN,-Infinity'
    """
    flat = array.ravel()
    pieces = []
    # A piece takes a millisecond or two; other threads can run between two of them.
    for start in range(0, flat.size, _PIECE_VALUES):
        values = flat[start : start + _PIECE_VALUES]
        text = ",".join(["%.9g"] * values.size) % tuple(values.tolist())
        if not np.isfinite(values).all():
            text = text.replace("nan", "NaN").replace("inf", "Infinity")
        pieces.append(text)
    return ",".join(pieces)


def _path(index: int, shape: Shape) -> str:
    """Return the pointer of a flat index within nested lists."""
    return "".join(f"/{each}" for each in np.unravel_index(index, shape)) if shape else ""
