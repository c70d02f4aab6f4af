"""Writes TensorFlow's checkpoint formats byte by byte: what TensorFlow itself would not write."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import Contents, Limits, NamedFile
from model_zoo.weights.reading.tensor_bundle import read_tensor_bundle
from model_zoo.weights.reading.tensor_slices import read_tensor_slices

MAGIC = bytes.fromhex("57fb808b247547db")
Entries = Sequence[tuple[bytes, bytes]]
Values = dict[str, tuple[str, tuple[int, ...], bytes]]


def checksum(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(number: int) -> bytes:
    digits = []
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def field(number: int, value: bytes | int) -> bytes:
    """Return a field of a protocol buffer: a number, or bytes of any kind."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(entries: Entries, interval: int = 16, restarts: Sequence[int] | None = None) -> bytes:
    """Return a block's contents: entries with shared prefixes, and the restart points."""
    data, points, last = b"", [], b""
    for index, (key, value) in enumerate(entries):
        shared = 0
        if index % interval == 0:
            points.append(len(data))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        sizes = (shared, len(key) - shared, len(value))
        data += b"".join(map(varint, sizes)) + key[shared:] + value
        last = key
    points = list(points or [0]) if restarts is None else list(restarts)
    return data + b"".join(n.to_bytes(4, "little") for n in (*points, len(points)))


def sealed(contents: bytes, kind: int = 0) -> bytes:
    """Return a block as it lies in the file, with its compression's type and its checksum."""
    data = contents + bytes([kind])
    return data + checksum(data).to_bytes(4, "little")


def table_of(
    blocks: Iterable[bytes],
    separators: Iterable[bytes],
    handle: Callable[[int, int], bytes] = lambda offset, size: varint(offset) + varint(size),
) -> bytes:
    """Return a table of blocks that are sealed; `handle` spells their places."""
    data = b""
    index = []
    for contents, separator in zip(blocks, separators, strict=True):
        index.append((separator, handle(len(data), len(contents) - 5)))
        data += contents
    return finished(data, sealed(block(index, interval=1)))


def finished(data: bytes, index: bytes) -> bytes:
    """Return a table that ends with an empty metaindex, this index and the footer."""
    metaindex = sealed(block([]))
    handles = b"".join(
        varint(offset) + varint(size)
        for offset, size in (
            (len(data), len(metaindex) - 5),
            (len(data + metaindex), len(index) - 5),
        )
    )
    return data + metaindex + index + handles.ljust(40, b"\0") + MAGIC


def table(
    entries: Mapping[bytes, bytes] | Entries, per_block: int = 1000, compressed: bool = False
) -> bytes:
    """Return a sound table of entries, which are written in the order given."""
    pairs = list(entries.items()) if isinstance(entries, Mapping) else list(entries)
    groups = [pairs[start : start + per_block] for start in range(0, len(pairs), per_block)]
    blocks = [
        sealed(snappy(block(group)), 1) if compressed else sealed(block(group)) for group in groups
    ]
    return table_of(blocks, [group[-1][0] for group in groups])


def snappy(data: bytes) -> bytes:
    """Return data as Snappy compresses it: literals, and copies with each kind of offset."""
    result, literal, position = varint(len(data)), b"", 0

    def flushed() -> bytes:
        if not literal:
            return b""
        size = len(literal) - 1
        if size < 60:
            return bytes([size << 2]) + literal
        extra = (size.bit_length() + 7) // 8
        return bytes([59 + extra << 2]) + size.to_bytes(extra, "little") + literal

    while position < len(data):
        found = data.rfind(data[position : position + 4], 0, position + 3)
        size = 0
        while (
            found >= 0
            and size < 64
            and position + size < len(data)
            and data[found + size] == data[position + size]
        ):
            size += 1
        if size < 4:
            literal += data[position : position + 1]
            position += 1
            continue
        result, literal, offset = result + flushed(), b"", position - found
        if size < 12 and offset < 2048:
            result += bytes([offset >> 8 << 5 | size - 4 << 2 | 1, offset & 0xFF])
        elif offset < 65536 and size % 2:
            result += bytes([size - 1 << 2 | 2]) + offset.to_bytes(2, "little")
        else:
            result += bytes([size - 1 << 2 | 3]) + offset.to_bytes(4, "little")
        position += size
    return result + flushed()


def shape_message(shape: Sequence[int]) -> bytes:
    return b"".join(field(2, field(1, size)) for size in shape)


def slice_message(extents: Sequence[tuple[int, int] | None]) -> bytes:
    """Return a slice of (start, length) in each dimension; None takes all of one."""
    return b"".join(
        field(1, field(1, extent[0]) + field(2, extent[1]) if extent else b"") for extent in extents
    )


def bundle_entry(
    data: bytes,
    shape: Sequence[int],
    *,
    dtype: int = 1,
    shard: int = 0,
    offset: int = 0,
    size: int | None = None,
    slices: Iterable[bytes] = (),
) -> bytes:
    """Return an entry of a V2 index for these bytes of a shard."""
    crc = varint(6 << 3 | 5) + checksum(data).to_bytes(4, "little")
    numbers = ((3, shard), (4, offset), (5, len(data) if size is None else size))
    return b"".join(
        (
            field(1, dtype),
            field(2, shape_message(shape)),
            *(field(number, value) for number, value in numbers),
            crc,
            *(field(7, one) for one in slices),
        )
    )


def bundle_header(num_shards: int = 1, endianness: int = 0, min_consumer: int = 0) -> bytes:
    versions = field(1, 1) + field(2, min_consumer)
    return field(1, num_shards) + field(2, endianness) + field(3, versions)


def saved_meta(tensors: Iterable[bytes], min_consumer: int = 0) -> bytes:
    """Return the first entry of a V1 checkpoint; `tensors` are made by `saved_tensor`."""
    versions = field(1, 1) + field(2, min_consumer)
    return field(1, b"".join(field(1, tensor) for tensor in tensors) + field(2, versions))


def saved_tensor(name: str, shape: Sequence[int], slices: Iterable[bytes], dtype: int = 1) -> bytes:
    head = field(1, name.encode()) + field(2, shape_message(shape)) + field(3, dtype)
    return head + b"".join(field(4, one) for one in slices)


def saved_slice(name: str, extents: bytes, values: bytes) -> bytes:
    """Return an entry of a V1 checkpoint; `values` are fields of a TensorProto."""
    return field(2, field(1, name.encode()) + field(2, extents) + field(3, values))


def write(directory: Path, name: str, data: bytes) -> NamedFile:
    path = directory / name
    path.write_bytes(data)
    return NamedFile(name, path)


def bundle_of(stem: Path) -> tuple[NamedFile, list[NamedFile]]:
    """Return the index and the shards of a V2 checkpoint that lies at `stem`."""
    index = stem.with_name(f"{stem.name}.index")
    shards = sorted(stem.parent.glob(f"{stem.name}.data-*"))
    return NamedFile(index.name, index), [NamedFile(path.name, path) for path in shards]


def values_of(contents: Contents) -> Values:
    """Return what a checkpoint holds, so that two of them are compared bit by bit."""
    return {tensor.name: exact(tensor.read()) for tensor in contents.tensors}


def exact(value: Any) -> tuple[str, tuple[int, ...], bytes]:
    array: NDArray[Any] = np.asarray(value)
    return array.dtype.name, array.shape, array.tobytes()


def read_bundle(stem: Path, limits: Limits | None = None) -> Values:
    return values_of(read_tensor_bundle(*bundle_of(stem), limits or Limits()))


def read_slices(*files: NamedFile) -> Values:
    return values_of(read_tensor_slices(files, Limits()))


def corruptions(data: bytes) -> Iterator[bytes]:
    """Yield data with one byte changed: one bit low, one bit high, and all of them, everywhere."""
    for position in range(len(data)):
        for bits in (0x01, 0x80, 0xFF):
            yield data[:position] + bytes([data[position] ^ bits]) + data[position + 1 :]


def truncations(data: bytes) -> Iterator[bytes]:
    return (data[:size] for size in range(len(data)))


def outcomes(
    path: Path, variants: Iterable[bytes], read: Callable[[], Values], expected: Values
) -> dict[str, int]:
    """Return how many variants of a file are refused, read rightly, and read wrongly.

    Whatever else is raised is not caught.
    """
    original = path.read_bytes()
    counts = {"refused": 0, "right": 0, "wrong": 0}
    try:
        for variant in variants:
            path.write_bytes(variant)
            try:
                counts["right" if read() == expected else "wrong"] += 1
            except WeightsError:
                counts["refused"] += 1
    finally:
        path.write_bytes(original)
    return counts
