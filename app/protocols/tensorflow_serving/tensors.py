"""The values of requests: nested lists of numbers, and files in base64."""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from app.protocols.float32 import NotFloat32Error, float32_bytes, spell_dims
from app.protocols.images import Base64Error, base64_bytes, is_base64
from app.protocols.tensorflow_serving.refusals import refused
from app.protocols.tensorflow_serving.signatures import Place
from app.wording import clip


def decoded(value: Any, place: str) -> bytes:
    """Return the bytes that a value stands for.

    Raises: InputError
    """
    if not is_base64(value):
        rule = 'Expected an image as {"b64": "<base64>"}, alone.'
        raise refused(place, rule, value)
    try:
        return base64_bytes(value["b64"])
    except Base64Error as error:
        message = f"b64 must be a string in base64: {error}."
        raise refused(f"{place}/b64", message, value["b64"]) from None


def float32_rows(rows: Sequence[Any], shape: tuple[int, ...], place: Place, level: int) -> bytes:
    """Return rows of numbers as little-endian float32, row-major; `level` is that of a row's lists.

    Raises: InputError for a list of another length than `shape` has there, a list where a number
    must stand or the other way round, or a number beyond float32. NaN and Infinity are numbers.
    """
    values = list(rows)
    for depth, size in enumerate(shape):
        # One pass each in C: an image is hundreds of thousands of values.
        if set(map(type, values)) != {list} or set(map(len, values)) != {size}:
            raise _misfit(values, shape, depth, place, level)
        values = list(chain.from_iterable(values))
    try:
        return float32_bytes(values)
    except NotFloat32Error as error:
        value, where = values[error.index], _place(error.index, shape, place)
        if not error.is_number:
            raise _no_number(value, shape, where, level) from None
        message = f"The number is beyond DT_FLOAT, which ends at {np.finfo(np.float32).max!s}."
        raise refused(where, message, str(value)[:40]) from None


def _misfit(
    values: Sequence[Any], shape: tuple[int, ...], depth: int, place: Place, level: int
) -> Exception:
    size = shape[depth]
    index, value = next(
        (i, value)
        for i, value in enumerate(values)
        if type(value) is not list or len(value) != size
    )
    is_list = type(value) is list
    got = f"a list of size {len(value)}" if is_list else repr(clip(value))
    return refused(
        _place(index, shape[:depth], place),
        f"At level {level + depth}, expected a list of size {size}, got {got}. "
        f"The input has shape {spell_dims((-1, *shape))}; -1 is the number of rows.",
        len(value) if is_list else value,
    )


def _no_number(value: object, shape: tuple[int, ...], place: str, level: int) -> Exception:
    got = "a list" if type(value) is list else repr(clip(value))
    return refused(
        place,
        f"At level {level + len(shape)}, expected a number (DT_FLOAT), got {got}. "
        f"The input has shape {spell_dims((-1, *shape))}; -1 is the number of rows.",
        value,
    )


def _place(index: int, shape: tuple[int, ...], place: Place) -> str:
    """Return the pointer of the item of an index, where each row has as many as `shape` says."""
    row, within = divmod(index, math.prod(shape))
    return place(row) + "".join(
        f"/{each}" for each in np.unravel_index(within, shape or (1,))[: len(shape)]
    )
