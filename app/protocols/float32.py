"""JSON's numbers as float32, and the shapes of arrays in messages."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from app.documents import CONSTANTS

_INFINITIES = (CONSTANTS["Infinity"], CONSTANTS["-Infinity"])


class NotFloat32Error(Exception):
    """A value is not a number, or is beyond float32; `index` is that of the first one."""

    def __init__(self, index: int, *, is_number: bool) -> None:
        self.index = index
        self.is_number = is_number
        super().__init__()


def float32_bytes(values: Sequence[Any]) -> bytes:
    """Return JSON's numbers as little-endian float32; NaN and Infinity are numbers.

    Raises: NotFloat32Error
    """
    # One pass each in C: an image is hundreds of thousands of values.
    if not set(map(type, values)) <= {int, float}:
        index = next(i for i, value in enumerate(values) if type(value) not in (int, float))
        raise NotFloat32Error(index, is_number=False)
    try:
        exact = np.array(values, np.float64)
    except OverflowError:
        index = next(i for i, value in enumerate(values) if _is_beyond_float64(value))
        raise NotFloat32Error(index, is_number=True) from None
    with np.errstate(over="ignore"):
        rounded = exact.astype("<f4")
    for index in np.flatnonzero(np.isinf(rounded)).tolist():
        if not any(values[index] is infinity for infinity in _INFINITIES):
            raise NotFloat32Error(index, is_number=True)
    return rounded.tobytes()


def _is_beyond_float64(value: float) -> bool:
    try:
        float(value)
    except OverflowError:
        return True
    return False


def spell_dims(shape: Iterable[int]) -> str:
    """Return a shape as messages spell it, cut if it is long.

    >>> spell_dims((-1, 28, 28)), spell_dims(range(1000))
    ('[-1,28,28]', '[0,1,2,3,4,5,6,7,...]')
    """
    sizes = [str(size)[:20] for size in shape]
    return f"[{','.join(sizes if len(sizes) <= 8 else [*sizes[:8], '...'])}]"
