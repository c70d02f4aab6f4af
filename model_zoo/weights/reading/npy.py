"""NumPy's .npy: its header from a stream, an array from memory, and this machine's byte order.

The header's errors are ValueErrors that lack a subject: a caller knows what the array is called.
"""

import io
import math
import warnings
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from model_zoo.errors import InputError, Problem
from model_zoo.weights.reading.pickles import WINDOW_BYTES, is_pickle

# NumPy's own limit, above which its parser is not safe; the header of an array of numbers has 128.
_MAX_HEADER_BYTES = 10_000
_MAX_RANK = 32
# The most of a size, and of an array's bytes; of an empty array, of the bytes without its 0s.
_MAX_NUMBER = 2**63 - 1
_RUNS = "which runs code when it is read and is never loaded: save arrays of numbers instead."


class PickleError(ValueError):
    """What should be an array of numbers is a pickle, or holds one."""


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What a header says; `dtype` has the byte order of the content, of `content_bytes`."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    content_bytes: int


def read_header(stream: IO[bytes], length: int) -> NpyHeader:
    """Return the header of an .npy file of `length` bytes; the stream then stands at the content.

    Reads the header only, of version 1.0, 2.0 or 3.0, and nothing that is pickled.
    Raises: ValueError if it is no header, or if its shape takes more or fewer bytes than follow it;
    PickleError, one of these, for a pickle.
    """
    prefix = stream.read(npy_format.MAGIC_LEN)
    version = tuple(prefix[-2:])
    if not prefix.startswith(npy_format.MAGIC_PREFIX) or version not in ((1, 0), (2, 0), (3, 0)):
        head = prefix + stream.read(WINDOW_BYTES)
        if is_pickle(head, is_whole=len(head) >= length):
            raise PickleError(f"is a pickle, {_RUNS}")
        raise ValueError("is not an .npy array of version 1.0, 2.0 or 3.0.")
    # Bounded here: NumPy reads as many bytes as the length says before it looks at its own limit.
    prefix_length = stream.read(2 if version == (1, 0) else 4)
    header_bytes = int.from_bytes(prefix_length, "little")
    if header_bytes > _MAX_HEADER_BYTES:
        raise ValueError(
            f"has an .npy header of {header_bytes} bytes; the limit is {_MAX_HEADER_BYTES}."
        )
    header = stream.read(header_bytes)
    shape, fortran_order, dtype = _parsed(prefix_length + header, long=version != (1, 0))
    if dtype.hasobject:
        raise PickleError(f"holds a pickle of Python objects, {_RUNS}")
    if len(shape) > _MAX_RANK or not all(0 <= size <= _MAX_NUMBER for size in shape):
        raise ValueError("has a shape that no array has.")
    content_bytes = length - len(prefix) - len(prefix_length) - len(header)
    # Python's integers do not overflow: a header may claim any shape.
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != content_bytes:
        raise ValueError(
            f"says shape {list(shape)} of {dtype.name}, which is {claimed} bytes; "
            f"{content_bytes} bytes follow its header."
        )
    if math.prod(size or 1 for size in shape) * max(1, dtype.itemsize) > _MAX_NUMBER:
        raise ValueError("has a shape that no array has.")
    return NpyHeader(shape, dtype, fortran_order, content_bytes)


def read_npy(data: bytes, pointer: str = "") -> NDArray[Any]:
    """Return the array of floats or integers that an .npy file holds, as a view of `data`.

    Raises: InputError, with the pointer, for other data, or a header that does not fit its content.
    """
    try:
        header = read_header(io.BytesIO(data), len(data))
    except ValueError as error:
        raise InputError(Problem(f"The data {error}", pointer)) from error
    if header.dtype.kind not in "fiu":
        message = f"The array has dtype {header.dtype}; it must be a float or an integer."
        raise InputError(Problem(message, pointer, str(header.dtype)))
    flat = np.frombuffer(data, header.dtype, offset=len(data) - header.content_bytes)
    return flat.reshape(header.shape, order="F" if header.fortran_order else "C")


def _parsed(header: bytes, *, long: bool) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    # Version 3.0 is 2.0 in UTF-8, for names of fields: an array with fields is refused anyway.
    parse = npy_format.read_array_header_2_0 if long else npy_format.read_array_header_1_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on headers that Python 2 wrote
            shape, fortran_order, dtype = parse(io.BytesIO(header))
        if any(isinstance(size, bool) for size in shape):
            raise ValueError("a size is no number")  # for NumPy, True is an integer
    # Whatever a literal, a tokenizer and a dtype raise on text from outside.
    except Exception as error:
        raise ValueError("has an .npy header that is malformed.") from error
    return shape, fortran_order, dtype


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in this machine's byte order.

    Raises: ValueError for a bool that is neither 0 nor 1: what it means is not defined.
    """
    if array.dtype == bool and array.view(np.uint8).max(initial=0) > 1:
        raise ValueError("holds a bool that is neither 0 nor 1.")
    return array.astype(array.dtype.newbyteorder("="), copy=False)
