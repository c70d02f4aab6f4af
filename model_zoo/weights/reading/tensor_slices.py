"""Reads TensorFlow's V1 checkpoints: `model.ckpt`, or its shards `model.ckpt-00000-of-00002`.

A V1 checkpoint is a table. Its first entry lists the tensors, with the slices that each was saved
in; every other entry holds the values of one slice.

Source: tensorflow/core/util/saved_tensor_slice.proto, tensor_slice_writer.h, tensor_slice_reader.h
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from model_zoo.weights.reading.contents import (
    Contents,
    Limits,
    NamedFile,
    StoredTensor,
    check_name,
    check_tensors,
)
from model_zoo.weights.reading.messages import DTYPES, check_version, parse, shape_of
from model_zoo.weights.reading.parts import (
    Extents,
    assembled,
    check_slices,
    extents_of,
    in_shard_order,
    lengths,
    slice_key,
)
from model_zoo.weights.reading.table import Table, refusals

# Where a tensor's values lie, by dtype, and how many bytes each takes: None is 1 to 10, as they
# need. TensorFlow's writer knows no other numbers but complex and quantized ones.
_FIELDS: dict[str, tuple[str, int | None]] = {
    "float32": ("float_val", 4),
    "float64": ("double_val", 8),
    "float16": ("half_val", None),
    "bool": ("bool_val", None),
    "int64": ("int64_val", None),
    **dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16"), ("int_val", None)),
}
_MAX_VARINT_BYTES = 10
_MAX_LIST_BYTES = 8 * 2**20  # 20,000 tensors of 400 bytes: a name, a shape and some slices
# What the entry of a slice holds beside its values: the name, the slice, tags and lengths.
_MAX_OVERHEAD_BYTES = 4096
# How much is unpacked at a time: on the way it takes some 30 times as much memory.
_WINDOW_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class _Slice:
    """A slice of a tensor, and the table that holds its values."""

    file: NamedFile
    table: Table
    extents: Extents


@dataclass(slots=True)
class _Sliced:
    """A tensor as the list declares it, with its slices in all the shards."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    slices: list[_Slice] = field(default_factory=list)


def read_tensor_slices(files: Sequence[NamedFile], limits: Limits) -> Contents:
    """Return the tensors of a V1 checkpoint: one file, or all of its shards in any order.

    Raises: WeightsError if a shard is missing, or a file is damaged or declares too much.
    """
    listed: dict[str, _Sliced] = {}
    for file in in_shard_order(files):
        with refusals(file):
            _list_slices(file, listed, limits)
    where = files[0]
    numbers, left_out = [], []
    # In the order of the tables, so that a compressed block is unpacked once for all it holds.
    for name in sorted(listed):
        if DTYPES.get(listed[name].dtype) in _FIELDS:
            numbers.append(listed[name])
        else:
            check_name(where.name, name)
            left_out.append(name)
    tensors = [
        StoredTensor(sliced.name, DTYPES[sliced.dtype], sliced.shape, partial(_read, sliced))
        for sliced in numbers
    ]
    check_tensors(where.name, tensors, limits)
    for sliced in numbers:
        with refusals(where):
            check_slices(sliced.name, sliced.shape, [part.extents for part in sliced.slices])
        for part in sliced.slices:
            with refusals(part.file):
                _check_size(sliced, part)
    return Contents("TensorFlow V1 checkpoint", tensors, left_out)


def _list_slices(file: NamedFile, tensors: dict[str, _Sliced], limits: Limits) -> None:
    """Add to `tensors` what the first entry of a file lists, which must be what the file holds."""
    table = Table(file, 4 * limits.max_tensors)
    if b"" not in table or table.size(b"") > _MAX_LIST_BYTES:
        raise ValueError("It has no list of tensors as its first entry, or one that is too long.")
    saved = parse("SavedSlices", table.value(b""))
    if not saved.HasField("meta"):
        raise ValueError("Its first entry is not a list of tensors, as in a V1 checkpoint.")
    check_version(saved.meta.versions)
    if len(saved.meta.tensor) > limits.max_tensors:
        raise ValueError(
            f"It lists {len(saved.meta.tensor)} tensors; the limit is {limits.max_tensors}."
        )
    names: set[str] = set()
    count = 0
    for data in saved.meta.tensor:
        meta = parse("SavedSliceMeta", data)
        shape = shape_of(meta.shape)
        sliced = tensors.setdefault(meta.name, _Sliced(meta.name, meta.type, shape))
        if meta.name in names:
            raise ValueError(f"It lists {meta.name!r} twice.")
        if (sliced.dtype, sliced.shape) != (meta.type, shape):
            raise ValueError(f"It lists {meta.name!r} with other sizes than another shard.")
        names.add(meta.name)
        # Before they are made objects, as a few bytes list a slice.
        count += len(meta.slice)
        if count >= len(table):
            raise ValueError(f"It lists {count} slices or more, and holds {len(table) - 1}.")
        for message in meta.slice:
            extents = extents_of(message, shape)
            if slice_key(meta.name, extents) not in table:
                raise ValueError(f"It lists a slice of {meta.name!r} that is not there.")
            sliced.slices.append(_Slice(file, table, extents))
    if count != len(table) - 1:
        raise ValueError(f"It lists {count} slices, and holds {len(table) - 1}.")


def _check_size(sliced: _Sliced, part: _Slice) -> None:
    """Check, before it is parsed, that an entry is as large as the values of its slice must be."""
    count = math.prod(lengths(part.extents, sliced.shape))
    _, width = _FIELDS[DTYPES[sliced.dtype]]
    least, most = (width or 1) * count, (width or _MAX_VARINT_BYTES) * count + _MAX_OVERHEAD_BYTES
    size = part.table.size(slice_key(sliced.name, part.extents))
    if not least <= size <= most:
        raise ValueError(
            f"A slice of {sliced.name!r} has {count} values and takes {size} bytes; they would "
            f"take {least} to {most}."
        )


def _read(sliced: _Sliced) -> NDArray[Any]:
    values = ((part.extents, _read_slice(sliced, part)) for part in sliced.slices)
    return assembled(sliced.shape, DTYPES[sliced.dtype], values)


def _read_slice(sliced: _Sliced, part: _Slice) -> NDArray[Any]:
    shape = lengths(part.extents, sliced.shape)
    dtype = DTYPES[sliced.dtype]
    name, width = _FIELDS[dtype]
    with refusals(part.file):
        saved = parse("SavedSlices", part.table.value(slice_key(sliced.name, part.extents))).data
        if saved.name != sliced.name or extents_of(saved.slice, sliced.shape) != part.extents:
            raise ValueError(f"The entry of a slice of {sliced.name!r} holds another one.")
        packed: bytes = getattr(saved.data, name)
        # The message holds them too: it goes before they are there a third time.
        del saved
        if width is None:
            as_stored = "uint16" if dtype == "float16" else dtype
            return unpacked(packed, as_stored, math.prod(shape)).view(dtype).reshape(shape)
        # TensorFlow's own reader takes no fewer either, and does not repeat the last.
        if len(packed) != width * math.prod(shape):
            raise ValueError(
                f"A slice of {sliced.name!r} has the shape {list(shape)} and {len(packed)} bytes; "
                f"each value takes {width}."
            )
        values = np.frombuffer(packed, np.dtype(dtype).newbyteorder("<"))
        return values.astype(dtype, copy=False).reshape(shape)


def unpacked(packed: bytes, dtype: DTypeLike, count: int) -> NDArray[Any]:
    """Return `count` integers that were packed in seven bits a byte.

    Raises: ValueError if there are more or fewer, or if one of them has no end.
    """
    result = np.empty(count, dtype)
    data = np.frombuffer(packed, np.uint8)
    done = position = 0
    while position < len(data):
        window = data[position : position + _WINDOW_BYTES]
        ends = np.flatnonzero(window < 0x80)
        if len(ends) == 0 or done + len(ends) > count:
            raise ValueError(f"A slice does not have the {count} values of its shape.")
        starts = np.concatenate(([0], ends[:-1] + 1))
        sizes = ends - starts + 1
        if sizes.max() > _MAX_VARINT_BYTES:
            raise ValueError(f"A value takes more than {_MAX_VARINT_BYTES} bytes.")
        values = np.zeros(len(ends), np.uint64)
        for index in range(sizes.max()):
            those = sizes > index
            bits = window[starts[those] + index] & 0x7F
            values[those] |= bits.astype(np.uint64) << np.uint64(7 * index)
        result[done : done + len(ends)] = values.astype(dtype)
        done += len(ends)
        position += int(ends[-1]) + 1
    if done != count:
        raise ValueError(f"A slice has {done} values, and {count} in its shape.")
    return result
