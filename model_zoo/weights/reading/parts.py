"""What both checkpoint formats share: shards, which are files, and slices, which are of tensors.

A partitioned variable is saved slice by slice. The key of a slice is made of the tensor's name and
of the slice's extent in each dimension.

Source: tensorflow/core/framework/tensor_slice.proto, saved_tensor_slice_util.h and ordered_code.h
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import NamedFile

# A partitioned variable has as many slices as a cluster has servers. Each pair is compared.
_MAX_SLICES = 1024
_SHARD = re.compile(r"(?s)(.*)-([0-9]{5,9})-of-([0-9]{5,9})")


@dataclass(frozen=True, slots=True)
class Extent:
    """A range of one dimension; the length is -1 where a slice takes all of it."""

    start: int
    length: int


Extents = tuple[Extent, ...]


def extents_of(message: Any, shape: tuple[int, ...]) -> Extents:
    """Return the extents of a Slice message, within a tensor of that shape. Raises: ValueError."""
    if len(message.extent) != len(shape):
        raise ValueError(f"A slice of rank {len(message.extent)} is of the shape {list(shape)}.")
    extents = []
    for extent, size in zip(message.extent, shape, strict=True):
        length = extent.length if extent.HasField("length") else -1
        whole = length == -1 and extent.start == 0
        if not whole and not 0 <= extent.start <= extent.start + length <= size:
            raise ValueError(f"A slice takes {length} of {size} elements, from {extent.start} on.")
        extents.append(Extent(extent.start, length))
    return tuple(extents)


def lengths(extents: Extents, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a slice of a tensor."""
    pairs = zip(extents, shape, strict=True)
    return tuple(size if extent.length == -1 else extent.length for extent, size in pairs)


def slice_key(name: str, extents: Extents) -> bytes:
    """Return the key of a slice: 0, the name, the rank, and each extent, coded so that keys sort.

    The code escapes the bytes 0 and 255, which a name that can be shown does not have.

    >>> slice_key("a", (Extent(0, -1), Extent(70, 4))).hex(" ")
    '00 61 00 01 01 02 80 7f c0 46 84'
    """
    rank = bytes([1, len(extents)]) if extents else b"\x00"
    numbers = (number for extent in extents for number in (extent.start, extent.length))
    return b"".join((b"\x00", name.encode(), b"\x00\x01", rank, *map(_coded, numbers)))


def _coded(number: int) -> bytes:
    """Return a number, not below -1, behind as many one bits as it takes bytes."""
    if number < 0:
        return b"\x7f"
    size = number.bit_length() // 7 + 1
    ones = (1 << size) - 1
    return (ones << 7 * size | number).to_bytes(size, "big")


def check_slices(name: str, shape: tuple[int, ...], slices: Sequence[Extents]) -> None:
    """Check that slices cover a tensor, and each element once. Raises: ValueError."""
    if len(slices) > _MAX_SLICES:
        raise ValueError(f"{name!r} has {len(slices)} slices; the limit is {_MAX_SLICES}.")
    sizes = [math.prod(lengths(extents, shape)) for extents in slices]
    if sum(sizes) != math.prod(shape):
        raise ValueError(
            f"{name!r} has {math.prod(shape)} elements, and its {len(slices)} slices {sum(sizes)}."
        )
    filled = [extents for extents, size in zip(slices, sizes, strict=True) if size]
    start = np.array([[extent.start for extent in extents] for extents in filled], np.int64)
    stop = start + np.array([lengths(extents, shape) for extents in filled], np.int64)
    for index in range(len(filled) - 1):
        later = slice(index + 1, None)
        shared = (start[later] < stop[index]) & (start[index] < stop[later])
        if np.all(shared, axis=1).any():
            raise ValueError(f"Slices of {name!r} overlap.")


def assembled(
    shape: tuple[int, ...], dtype: str, values: Iterable[tuple[Extents, NDArray[Any]]]
) -> NDArray[Any]:
    """Return a tensor of its slices, which cover it: `check_slices` has been asked."""
    result: NDArray[Any] | None = None
    for extents, value in values:
        if value.shape == shape:
            return value
        if result is None:
            result = np.empty(shape, dtype)
        ranges = zip(extents, value.shape, strict=True)
        result[tuple(slice(extent.start, extent.start + size) for extent, size in ranges)] = value
    return np.empty(shape, dtype) if result is None else result


def in_shard_order(files: Sequence[NamedFile]) -> list[NamedFile]:
    """Return the files of one checkpoint by number, which their names end with: `-00000-of-00002`.

    A single file needs no number. Raises: WeightsError if one is missing or there twice, or if
    they are not of one checkpoint.
    """
    if not files:
        raise WeightsError("A checkpoint has at least one data file; none was given.")
    matches = [_SHARD.fullmatch(file.name) for file in files]
    first = matches[0]
    if first is None:
        if len(files) == 1:
            return list(files)
        raise WeightsError(
            f"{files[0].name} is one of {len(files)} files, and its name has no number at the end, "
            "as in '-00000-of-00002'."
        )
    stem, count = first[1], int(first[3])
    numbered: dict[int, NamedFile] = {}
    for file, match in zip(files, matches, strict=True):
        if match is None or (match[1], int(match[3])) != (stem, count):
            raise WeightsError(
                f"{file.name} is not a shard of the same checkpoint as {files[0].name}."
            )
        number = int(match[2])
        if number in numbered or number >= count:
            raise WeightsError(
                f"{file.name} is there twice, or has no number from 0 to {count - 1}."
            )
        numbered[number] = file
    if len(numbered) < count:
        missing = next(number for number in range(count) if number not in numbered)
        raise WeightsError(
            f"{stem}-{missing:05d}-of-{count:05d} is missing; {len(files)} of {count} files were "
            "given."
        )
    return [numbered[number] for number in range(count)]
