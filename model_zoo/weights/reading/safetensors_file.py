"""safetensors: a length of eight bytes, a header in JSON, and the bytes of the tensors.

Read here rather than by the format's own library, which takes a header of 100 MB and the last of
two equal keys; written here because the library wants all tensors in memory at once.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import SpecError, WeightsError
from model_zoo.strict_json import read_json
from model_zoo.weights.reading import npy
from model_zoo.weights.reading.contents import (
    Contents,
    Limits,
    NamedFile,
    StoredTensor,
    check_name,
    check_tensors,
)

# In the order that the library writes them, the largest first: then every tensor lies aligned.
_DTYPES = {
    "U64": "uint64",
    "I64": "int64",
    "F64": "float64",
    "F32": "float32",
    "U32": "uint32",
    "I32": "int32",
    "BF16": "float32",  # the upper half of a float32, and read as one
    "F16": "float16",
    "U16": "uint16",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
_CODES = {dtype: code for code, dtype in _DTYPES.items() if code != "BF16"}
_METADATA = "__metadata__"
_LENGTH_BYTES = 8
_ALIGNMENT = 8
_MAX_HEADER_BYTES = 10_000_000
_MAX_HEADER_DEPTH = 3
_VALUES_PER_TENSOR = 14  # in the header: an object, a dtype, two lists, 8 dimensions, 2 offsets
_MAX_METADATA = 10_000
# For our own files, of which only the header is read, and that has its limit.
_ANY_SIZE = Limits(sys.maxsize, _MAX_HEADER_BYTES)

Header = dict[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A tensor as the header has it; the offsets count from the header's end."""

    name: str
    code: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        name = "uint16" if self.code == "BF16" else _DTYPES[self.code]
        return np.dtype(name).newbyteorder("<")


def read_safetensors(file: NamedFile, limits: Limits) -> Contents:
    """Return the tensors of a safetensors file, mapped from it when they are read.

    Raises: WeightsError if the header is not one that only one reading has, or does not fit the
    file to the byte.
    """
    _, tensors = _read(file, limits)
    return Contents("safetensors", tensors)


def read_header(path: Path, limits: Limits = _ANY_SIZE) -> tuple[Header, dict[str, str]]:
    """Return dtype and shape of each tensor, and the metadata, as `read_safetensors` checks them.

    Raises: WeightsError as `read_safetensors` does.
    """
    metadata, tensors = _read(NamedFile(path.name, path), limits)
    return {tensor.name: (tensor.dtype, tensor.shape) for tensor in tensors}, metadata


def _read(file: NamedFile, limits: Limits) -> tuple[dict[str, str], list[StoredTensor]]:
    where = file.name
    size = file.path.stat().st_size
    with file.path.open("rb") as stream:
        prefix = stream.read(_LENGTH_BYTES)
        length = int.from_bytes(prefix, "little")
        if len(prefix) < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
            raise WeightsError(
                f"{where} is not a safetensors file, or is truncated: it has {size} bytes, and its "
                f"header should end at byte {_LENGTH_BYTES + length}."
            )
        if length > _MAX_HEADER_BYTES:
            raise WeightsError(
                f"{where} has a header of {length} bytes; the limit is {_MAX_HEADER_BYTES}."
            )
        header = stream.read(length)
    return _checked(file, header, size - _LENGTH_BYTES - length, limits)


def _checked(
    file: NamedFile, header: bytes, data_bytes: int, limits: Limits
) -> tuple[dict[str, str], list[StoredTensor]]:
    """Return what a header says once all of it is found to be true of `data_bytes` that follow."""
    where = file.name
    document = _parsed(where, header, limits)
    metadata = document.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise WeightsError(f"{where}: {_METADATA} must be an object of strings.")
    entries = [_entry(where, name, value) for name, value in document.items()]
    start = _LENGTH_BYTES + len(header)
    tensors = [
        StoredTensor(
            entry.name, _DTYPES[entry.code], entry.shape, partial(_value, file, start, entry)
        )
        for entry in entries
    ]
    check_tensors(where, tensors, limits)
    position = 0
    for entry, tensor in sorted(
        zip(entries, tensors, strict=True), key=lambda pair: (pair[0].begin, pair[0].end)
    ):
        if entry.begin != position:
            raise WeightsError(
                f"{where}: {entry.name!r} begins at byte {entry.begin} of the data; the tensor "
                f"before it ends at {position}, and none may overlap or leave a gap."
            )
        needed = tensor.size_bytes if entry.code != "BF16" else tensor.size_bytes // 2
        if entry.end - entry.begin != needed:
            raise WeightsError(
                f"{where}: {entry.name!r} of {entry.code} and shape {list(entry.shape)} takes "
                f"{needed} bytes; its data_offsets are [{entry.begin}, {entry.end}]."
            )
        position = entry.end
    if position != data_bytes:
        raise WeightsError(
            f"{where}: the tensors take {position} bytes; {data_bytes} bytes follow the header."
        )
    return metadata, tensors


def _parsed(where: str, header: bytes, limits: Limits) -> dict[str, Any]:
    try:
        document = read_json(
            header,
            max_depth=_MAX_HEADER_DEPTH,
            max_nodes=_VALUES_PER_TENSOR * limits.max_tensors + _MAX_METADATA,
        )
    except SpecError as error:
        raise WeightsError(f"{where} has a header that is refused. {error}") from error
    # The format wants the brace first: a reader may look there to tell the file's kind.
    if not isinstance(document, dict) or not header.startswith(b"{"):
        raise WeightsError(f"{where} has a header that does not begin with a JSON object.")
    return document


def _entry(where: str, name: str, value: Any) -> _Entry:
    check_name(where, name)
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise WeightsError(
            f"{where}: {name!r} must be an object of dtype, shape and data_offsets, and no more."
        )
    code, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(code, str) or code not in _DTYPES:
        shown = code[:20] if isinstance(code, str) else type(code).__name__
        raise WeightsError(
            f"{where}: {name!r} has dtype {shown!r}; it must be one of {', '.join(_DTYPES)}."
        )
    if not _are_counts(shape):
        raise WeightsError(f"{where}: the shape of {name!r} must be a list of integers from 0 on.")
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise WeightsError(
            f"{where}: the data_offsets of {name!r} must be two integers, begin and end."
        )
    return _Entry(name, code, tuple(shape), *offsets)


def _are_counts(value: Any) -> bool:
    # A bool is an int to Python, not to JSON.
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _value(file: NamedFile, start: int, entry: _Entry) -> NDArray[Any]:
    dtype = entry.stored_dtype
    if entry.begin == entry.end:  # nothing can be mapped
        array: NDArray[Any] = np.empty(entry.shape, dtype)
    else:
        mapped = np.memmap(file.path, dtype, "r", start + entry.begin, entry.shape)
        array = np.asarray(mapped)
    if entry.code == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    try:
        return npy.native(array)
    except ValueError as error:
        raise WeightsError(f"{file.name}: {entry.name!r} {error}") from error


def write_safetensors(
    path: Path, tensors: Iterable[StoredTensor], metadata: Mapping[str, str]
) -> None:
    """Write a new file, tensor by tensor: only one is in memory at a time.

    They are ordered by dtype, then by name, as the format's library does: the same tensors give the
    same bytes. When this returns, the file is on the disk.
    Raises: WeightsError if the file would not be read again, or a tensor is not what it declares.
    """
    where = path.name
    ranks = {dtype: rank for rank, dtype in enumerate(_CODES)}
    tensors = sorted(tensors, key=lambda tensor: (ranks.get(tensor.dtype, -1), tensor.name))
    limits = Limits(sys.maxsize, len(tensors))
    check_tensors(where, tensors, limits)
    size = sum(tensor.size_bytes for tensor in tensors)
    header = _header(tensors, metadata)
    # What is written is what can be read: a name `__metadata__` or a long string cannot.
    again, read_again = _checked(NamedFile(where, path), header, size, limits)
    if again != metadata or len(read_again) != len(tensors) or len(header) > _MAX_HEADER_BYTES:
        raise WeightsError(f"{where} would have a header that cannot be read again.")
    with path.open("wb") as stream:
        stream.write(len(header).to_bytes(_LENGTH_BYTES, "little"))
        stream.write(header)
        for tensor in tensors:
            _write_value(where, stream, tensor)
        stream.flush()
        os.fsync(stream.fileno())


def _header(tensors: Iterable[StoredTensor], metadata: Mapping[str, str]) -> bytes:
    document: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    position = 0
    for tensor in tensors:
        end = position + tensor.size_bytes
        document[tensor.name] = {
            "dtype": _CODES[tensor.dtype],
            "shape": tensor.shape,
            "data_offsets": (position, end),
        }
        position = end
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % _ALIGNMENT)


def _write_value(where: str, stream: IO[bytes], tensor: StoredTensor) -> None:
    # A function of its own, so that a value is gone before the next is read.
    value = tensor.read()
    if value.dtype.name != tensor.dtype or value.shape != tensor.shape:
        raise WeightsError(
            f"{where}: {tensor.name!r} was declared as {tensor.dtype} of shape "
            f"{list(tensor.shape)}, and is {value.dtype} of shape {list(value.shape)}."
        )
    little = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
    stream.write(little.reshape(-1).view(np.uint8).data)
