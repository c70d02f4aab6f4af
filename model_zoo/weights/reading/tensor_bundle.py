"""Reads TensorFlow's V2 checkpoints: `model.index` and the shards `model.data-00000-of-00001`.

The index is a table. Its first entry says how many shards there are; every other one says what a
tensor is, and where its bytes lie in which shard.

Source: tensorflow/core/protobuf/tensor_bundle.proto, tensorflow/core/util/tensor_bundle
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import (
    Contents,
    Limits,
    NamedFile,
    StoredTensor,
    check_name,
    check_tensors,
)
from model_zoo.weights.reading.messages import DTYPES, check_version, parse, shape_of
from model_zoo.weights.reading.object_graph import (
    KEY,
    MAX_GRAPH_BYTES,
    read_string,
    variable_names,
)
from model_zoo.weights.reading.parts import (
    Extent,
    Extents,
    assembled,
    check_slices,
    extents_of,
    in_shard_order,
    lengths,
    slice_key,
)
from model_zoo.weights.reading.table import Bytes, Table, masked_crc32c, refusals, shown

_LITTLE_ENDIAN = 0
_STRING = 7  # in tensorflow/core/framework/types.proto
_MAX_ENTRY_BYTES = 2**18  # a shape, and the slices of a partitioned variable
# How a dtype lies in the file, where numpy has none for it or not every byte is a value of it.
_STORED = {"bfloat16": "uint16", "bool": "uint8"}


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the index; a tensor with slices has no bytes, they have entries of their own."""

    key: bytes
    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    slices: tuple[Extents, ...]


_Parts = Sequence[tuple[Extents, _Entry]]


def read_tensor_bundle(index: NamedFile, shards: Sequence[NamedFile], limits: Limits) -> Contents:
    """Return the tensors of a V2 checkpoint: its index, and all of its shards in any order.

    Those of an object-based one are called as its object graph calls their variables.

    Raises: WeightsError if a shard is missing, or a file is damaged or declares too much.
    """
    if not shards:
        raise WeightsError(f"{index.name} was given without the data files it is the index of.")
    shards = in_shard_order(shards)
    with refusals(index):
        entries = {entry.key: entry for entry in _entries(index, len(shards), limits)}
        parts = {key: list(_parts(entry, entries)) for key, entry in entries.items()}
        of_others = {part.key for key in parts for _, part in parts[key] if part.key != key}
        tensors, left_out = [], []
        for key, entry in entries.items():
            if key in of_others:
                continue
            name = _name(key)
            check_name(index.name, name)
            if entry.dtype in DTYPES:
                tensors.append(_stored(name, entry, parts[key], shards))
            else:
                left_out.append(name)
        check_tensors(index.name, tensors, limits)
        for tensor in tensors:
            _check_parts(tensor, parts[tensor.name.encode()])
    for number, file in enumerate(shards):
        with refusals(file):
            _check_places(file, [entry for entry in entries.values() if entry.shard == number])
    kind = "TensorFlow V2 checkpoint"
    if KEY not in entries or KEY in of_others or entries[KEY].dtype != _STRING:
        return Contents(kind, tensors, left_out)
    names = _variable_names(index, entries[KEY], shards, {tensor.name for tensor in tensors})
    named = [replace(tensor, name=names.get(tensor.name, tensor.name)) for tensor in tensors]
    left_out.remove(KEY.decode())
    return Contents(f"{kind}, object-based", named, left_out)


def _variable_names(
    index: NamedFile, entry: _Entry, shards: Sequence[NamedFile], keys: Collection[str]
) -> dict[str, str]:
    if entry.size > MAX_GRAPH_BYTES or entry.shape or entry.slices:
        with refusals(index):
            raise ValueError(
                f"Its object graph has the shape {list(entry.shape)} and {entry.size} bytes; it is "
                f"one string of at most {MAX_GRAPH_BYTES}."
            )
    with refusals(shards[entry.shard]):
        data = _read_bytes(shards[entry.shard], entry.offset, entry.size)
        return variable_names(index.name, read_string(data, entry.crc), keys)


def _entries(index: NamedFile, num_shards: int, limits: Limits) -> Iterator[_Entry]:
    table = Table(index, 4 * limits.max_tensors)
    if b"" not in table:
        raise ValueError("It has no header, as the index of a V2 checkpoint has.")
    slices_left = len(table)
    for key in table:
        if table.size(key) > _MAX_ENTRY_BYTES:
            raise ValueError(f"The entry of {shown(key)} has {table.size(key)} bytes.")
        if key == b"":
            _check_header(parse("BundleHeader", table.value(key)), num_shards)
            continue
        message = parse("BundleEntry", table.value(key))
        # A slice is listed in a few bytes, and has an entry of its own: they are counted before
        # they are made objects.
        slices_left -= len(message.slices)
        if slices_left < 0:
            raise ValueError(f"Its index lists more slices than the {len(table)} entries it has.")
        shape = shape_of(message.shape)
        slices = tuple(extents_of(part, shape) for part in message.slices)
        if not 0 <= message.shard_id < num_shards:
            raise ValueError(f"{shown(key)} is in shard {message.shard_id} of {num_shards}.")
        place = (message.shard_id, message.offset, message.size, message.crc32c)
        yield _Entry(key, message.dtype, shape, *place, slices)


def _check_header(header: Any, num_shards: int) -> None:
    check_version(header.version)
    if header.endianness != _LITTLE_ENDIAN:
        raise ValueError("It was written on a big-endian machine, which is not supported.")
    if header.num_shards != num_shards:
        raise ValueError(f"It is of {header.num_shards} data files; {num_shards} were given.")


def _parts(entry: _Entry, entries: Mapping[bytes, _Entry]) -> Iterator[tuple[Extents, _Entry]]:
    """Yield a tensor's slices with the entries that hold them, or the whole of it with its own."""
    if not entry.slices:
        yield (Extent(0, -1),) * len(entry.shape), entry
    for extents in entry.slices:
        part = entries.get(slice_key(_name(entry.key), extents))
        declared = (entry.dtype, lengths(extents, entry.shape))
        if part is None or part.slices or (part.dtype, part.shape) != declared:
            raise ValueError(f"{shown(entry.key)} has a slice that is not there as declared.")
        yield extents, part


def _name(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as exc:
        raise ValueError(f"The key {shown(key)} is not a tensor's name in UTF-8.") from exc


def _stored(name: str, entry: _Entry, parts: _Parts, shards: Sequence[NamedFile]) -> StoredTensor:
    dtype = DTYPES[entry.dtype].replace("bfloat16", "float32")

    def read() -> NDArray[Any]:
        values = ((extents, _read(name, part, shards[part.shard])) for extents, part in parts)
        return assembled(entry.shape, dtype, values)

    return StoredTensor(name, dtype, entry.shape, read)


def _check_parts(tensor: StoredTensor, parts: _Parts) -> None:
    """Check that a tensor's slices cover it, and that each has as many bytes as its shape."""
    check_slices(tensor.name, tensor.shape, [extents for extents, _ in parts])
    for _, part in parts:
        size = math.prod(part.shape) * _stored_dtype(part).itemsize
        if part.size != size:
            raise ValueError(
                f"{tensor.name!r} has {part.size} bytes, and {size} by its shape "
                f"{list(part.shape)} of {DTYPES[part.dtype]}."
            )


def _check_places(file: NamedFile, entries: Sequence[_Entry]) -> None:
    """Check that the entries of a shard lie within it and apart, whatever their dtype."""
    size = file.path.stat().st_size
    placed = [entry for entry in entries if not entry.slices]
    for entry in placed:
        if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size > size:
            raise ValueError(
                f"It has {size} bytes, and by the index {shown(entry.key)} has {entry.size} from "
                f"{entry.offset} on."
            )
    ranges = sorted((entry.offset, entry.offset + entry.size) for entry in placed if entry.size)
    for (_, stop), (start, _) in pairwise(ranges):
        if start < stop:
            raise ValueError(f"By the index a tensor begins at {start}, where another has bytes.")


def _stored_dtype(entry: _Entry) -> np.dtype[Any]:
    dtype = DTYPES[entry.dtype]
    return np.dtype(_STORED.get(dtype, dtype)).newbyteorder("<")


def _read(name: str, part: _Entry, file: NamedFile) -> NDArray[Any]:
    with refusals(file):
        data = _read_bytes(file, part.offset, part.size)
        if masked_crc32c(data) != part.crc:
            raise ValueError(f"The bytes of {name!r} do not match their checksum.")
    values: NDArray[Any] = data.view(_stored_dtype(part))
    dtype = DTYPES[part.dtype]
    if dtype == "bfloat16":
        # It is the upper half of a float32.
        return (values.astype(np.uint32) << 16).view(np.float32).reshape(part.shape)
    return values.astype(dtype, copy=False).reshape(part.shape)


def _read_bytes(file: NamedFile, offset: int, size: int) -> Bytes:
    data = np.empty(size, np.uint8)
    rest = data.data
    with file.path.open("rb", buffering=0) as stream:
        stream.seek(offset)
        while rest:
            # A system call reads 2 GiB at most.
            count = stream.readinto(rest)
            if not count:
                raise ValueError(f"It ends before {offset + size} bytes.")
            rest = rest[count:]
    return data
