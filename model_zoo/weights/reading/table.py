"""TensorFlow's sorted-string tables: the index of a V2 checkpoint, and a whole V1 checkpoint.

The format is LevelDB's: data blocks of prefix-compressed entries, an index block of their places,
a footer of fixed size. Every block has a CRC-32C, and all of them are checked when a table is
opened. Values stay in the mapped file until they are asked for.

Source: https://github.com/google/leveldb/blob/main/doc/table_format.md, and format_description.txt
of https://github.com/google/snappy
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import NamedFile

Bytes = NDArray[np.uint8]

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5  # the compression's type, and the checksum
_UNCOMPRESSED, _SNAPPY = 0, 1
# A name of 512 characters, each of four bytes, and the bounds of a slice in eight dimensions.
_MAX_KEY_BYTES = 4096
# Prefix compression makes long keys of a few bytes: what all of them may take.
_MAX_KEYS_BYTES = 32 * 2**20
# TensorFlow ends a block after 256 KiB and one value. The largest of TF-Slim's is 411 MB (VGG's
# fc6).
_MAX_UNCOMPRESSED_BYTES = 2**29
# Snappy's best tag says 64 bytes with three.
_MAX_SNAPPY_RATIO = 22


@contextmanager
def refusals(file: NamedFile) -> Iterator[None]:
    """Turn what reading raises, whatever the file holds, into a WeightsError that names the file.

    In here, a ValueError is a sentence about the bytes.
    """
    try:
        yield
    except OSError as exc:
        # Its own text shows the path.
        raise WeightsError(f"{file.name} cannot be read: {exc.strerror or 'I/O error'}.") from exc
    except (ValueError, IndexError, OverflowError) as exc:
        raise WeightsError(f"{file.name} is not an intact TensorFlow checkpoint: {exc}") from exc


def masked_crc32c(data: Bytes) -> int:
    """Return the CRC-32C of data as TensorFlow and LevelDB store it."""
    return masked(google_crc32c.value(data))


def masked(crc: int) -> int:
    """Return a CRC-32C as TensorFlow and LevelDB store it: rotated, plus a constant."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Block:
    """Where a block's contents lie in the file, and whether they are compressed."""

    start: int
    stop: int
    compressed: bool


class Table:
    """The entries of a table, by key in ascending order.

    Raises: ValueError for anything that TensorFlow would not write; OSError.
    """

    def __init__(self, file: NamedFile, max_entries: int) -> None:
        with file.path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < _FOOTER_BYTES:
                raise ValueError(f"It has {size} bytes; a table has at least {_FOOTER_BYTES}.")
            mapped = mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)
        self._data: Bytes = np.frombuffer(mapped, np.uint8)
        self._blocks: list[_Block] = []
        self._places: dict[bytes, tuple[int, int, int]] = {}
        self._unpacked: tuple[_Block | None, Bytes] = (None, self._data[:0])
        self._index(max_entries)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def value(self, key: bytes) -> Bytes:
        """Return an entry's value; a compressed block is unpacked once for neighbouring keys."""
        block, start, stop = self._places[key]
        return self._contents(self._blocks[block])[start:stop]

    def size(self, key: bytes) -> int:
        """Return the number of bytes in an entry's value."""
        _, start, stop = self._places[key]
        return stop - start

    def _index(self, max_entries: int) -> None:
        footer = self._data[-_FOOTER_BYTES:].data
        if footer[-len(_MAGIC) :] != _MAGIC:
            raise ValueError("It does not end with the mark of a table; it may have been cut off.")
        # The metaindex comes first. TensorFlow writes it empty, and does not read it.
        _, _, position = _handle(footer, 0)
        offset, size, _ = _handle(footer, position)
        index = self._contents(self._block(offset, size)).data
        end, previous, keys_bytes = 0, None, 0
        for separator, start, stop in _entries(index):
            offset, size, _ = _handle(index[start:stop], 0)
            # In the order of the file and apart, so that no byte is looked at twice.
            if offset < end:
                raise ValueError(
                    f"The block at {offset} begins before the last one ends, at {end}."
                )
            block = self._block(offset, size)
            end = block.stop + _TRAILER_BYTES
            for key, first, last in _entries(self._contents(block).data):
                if previous is not None and key <= previous:
                    raise ValueError(f"The key {shown(key)} is there twice, or out of order.")
                previous = key
                self._places[key] = (len(self._blocks), first, last)
                keys_bytes += len(key)
                if len(self._places) > max_entries:
                    raise ValueError(f"It has more than {max_entries} entries.")
                if keys_bytes > _MAX_KEYS_BYTES:
                    raise ValueError(f"Its keys take more than {_MAX_KEYS_BYTES} bytes.")
            # TensorFlow finds a key's block by these separators: both readers must see one table.
            if previous is None or separator < previous:
                raise ValueError(f"The key {shown(previous or b'')} is outside its block's range.")
            previous = separator
            self._blocks.append(block)

    def _block(self, offset: int, size: int) -> _Block:
        """Return a block once its place and its checksum have been verified."""
        stop = offset + size
        if stop + _TRAILER_BYTES > len(self._data) - _FOOTER_BYTES:
            raise ValueError(
                f"A block of {size} bytes at {offset} does not fit into {len(self._data)} bytes."
            )
        kind = int(self._data[stop])
        stored = int.from_bytes(self._data[stop + 1 : stop + _TRAILER_BYTES].tobytes(), "little")
        if masked_crc32c(self._data[offset : stop + 1]) != stored:
            raise ValueError(f"The block at {offset} does not match its checksum.")
        if kind not in (_UNCOMPRESSED, _SNAPPY):
            raise ValueError(f"The block at {offset} has compression {kind}; 0 and 1 are known.")
        return _Block(offset, stop, kind == _SNAPPY)

    def _contents(self, block: _Block) -> Bytes:
        data = self._data[block.start : block.stop]
        if not block.compressed:
            return data
        if self._unpacked[0] != block:
            self._unpacked = (block, np.frombuffer(uncompress(data.data), np.uint8))
        return self._unpacked[1]


def shown(key: bytes) -> str:
    """Return a key for a message: short, and in ASCII."""
    return ascii(key.decode("utf-8", "replace")[:80])


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, and the position after it."""
    value = 0
    for index, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError(f"The number at {position} of {len(data)} bytes has no end.")


def _handle(data: memoryview, position: int) -> tuple[int, int, int]:
    """Return the offset and the size of a block, and the position after them."""
    offset, position = varint(data, position)
    size, position = varint(data, position)
    return offset, size, position


def _entries(block: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Yield the key of each entry, and where its value starts and stops in the block.

    A block ends with its restart points, where keys are written whole, and their count. A reader
    needs them only to search; they are checked so that a search finds what is found here.
    """
    count = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * count
    if count == 0 or end < 0:
        raise ValueError(f"A block of {len(block)} bytes has {count} restart points.")
    restarts = np.frombuffer(block[end:-4], "<u4")
    key, position, restart = b"", 0, 0
    while position < end:
        start = position
        shared, position = varint(block, position)
        unshared, position = varint(block, position)
        size, position = varint(block, position)
        if restart < count and restarts[restart] == start:
            restart += 1
            if shared:
                raise ValueError(f"The entry at {start} of a block begins with no whole key.")
        if shared > len(key) or shared + unshared > _MAX_KEY_BYTES:
            raise ValueError(
                f"The entry at {start} of a block has {shared + unshared} bytes of key, {shared} "
                f"of them from the last; it has {len(key)}, and {_MAX_KEY_BYTES} are allowed."
            )
        value = position + unshared
        if value + size > end:
            raise ValueError(f"The entry at {start} of a block ends after the block, at {end}.")
        key = key[:shared] + bytes(block[position:value])
        position = value + size
        yield key, value, position
    if restart != count:
        raise ValueError(f"A block has {count} restart points, and {restart} are at entries.")


def uncompress(data: memoryview) -> bytearray:
    """Return what Snappy compressed; no more is allocated than the length that `data` declares.

    Raises: ValueError if that length cannot be true, or if anything does not fit it.
    """
    length, position = varint(data, 0)
    if length > min(_MAX_UNCOMPRESSED_BYTES, _MAX_SNAPPY_RATIO * len(data)):
        raise ValueError(f"A compressed block of {len(data)} bytes declares {length} bytes.")
    result = bytearray()
    while position < len(data):
        tag = data[position]
        position += 1
        kind = tag & 3
        # A literal's length follows the tag if it is above 60; a copy's offset always does.
        extra = max(0, (tag >> 2) - 59) if kind == 0 else (1, 2, 4)[kind - 1]
        operand = int.from_bytes(data[position : position + extra], "little")
        position += extra
        if kind == 0:
            size = (operand if extra else tag >> 2) + 1
            chunk: Any = data[position : position + size]
            position += size
        else:
            size = (tag >> 2 & 7) + 4 if kind == 1 else (tag >> 2) + 1
            offset = (tag >> 5 << 8 | operand) if kind == 1 else operand
            if not 0 < offset <= len(result):
                raise ValueError(f"A compressed block copies from {offset} before its beginning.")
            start = len(result) - offset
            source = result[start : start + size]
            # What a copy overlaps of itself is repeated.
            chunk = (source * (size // len(source) + 1))[:size]
        if position > len(data) or len(result) + size > length:
            raise ValueError(f"A compressed block does not hold the {length} bytes declared.")
        result += chunk
    if len(result) != length:
        raise ValueError(f"A compressed block holds {len(result)} bytes and declares {length}.")
    return result
