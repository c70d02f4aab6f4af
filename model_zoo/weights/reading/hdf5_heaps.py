"""The heaps of an HDF5 file, checked before its C library reads them.

Names of links lie in local heaps, strings of any length in global ones, such as the name of a Keras
layer. Up to version 1.14.6 the library follows what they say without end: a list of free blocks
that comes back to itself (taking memory at each), objects of no size, and sizes near 2**64, by
which it walks backwards out of its memory.
"""

import mmap
import struct
from collections.abc import Iterator
from typing import IO

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_GLOBAL_HEAP = b"GCOL\x01"
_GLOBAL_HEADER_BYTES = 16
_OBJECT = struct.Struct("<H6xQ")  # index and size; between them a count of references
_ALIGNMENT = 8
_LOCAL_HEAP = b"HEAP\x00"
_LOCAL_HEADER = struct.Struct("<8xQQQ")  # bytes of data, first free block, address of the data
_FREE_BLOCK = struct.Struct("<QQ")  # next free block, and size
_LAST_FREE_BLOCK = 1


def check_heaps(stream: IO[bytes]) -> None:
    """Check the beginning of an HDF5 file, and what may be a heap wherever in the file it is.

    What only looks like a heap, in the bytes of weights, is not refused: it ends out of the file.
    Raises: ValueError if the file begins in another way than h5py writes, or a heap leads in
    circles.
    """
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[: len(SIGNATURE)] != SIGNATURE or not _has_eight_byte_sizes(data):
            raise ValueError("The superblock is not one that h5py writes.")
        end = 0
        for start in _places(data, _GLOBAL_HEAP, _GLOBAL_HEADER_BYTES):
            if start < end:
                raise ValueError("A global heap begins inside another one.")
            end = _checked_global_end(data, start)
        # Of all heaps together: they do not overlap, so there can be no more blocks than fit.
        blocks_left = len(data) // _FREE_BLOCK.size
        for start in _places(data, _LOCAL_HEAP, _LOCAL_HEADER.size):
            blocks_left -= _free_blocks(data, start, blocks_left)


def _has_eight_byte_sizes(data: mmap.mmap) -> bool:
    # Where the superblock says how long addresses and sizes are, by its version.
    places = {0: 13, 1: 13, 2: 9, 3: 9}
    place = places.get(data[8]) if len(data) > 16 else None
    return place is not None and data[place : place + 2] == b"\x08\x08"


def _places(data: mmap.mmap, signature: bytes, header_bytes: int) -> Iterator[int]:
    start = data.find(signature)
    while 0 <= start <= len(data) - header_bytes:
        yield start
        start = data.find(signature, start + 1)


def _checked_global_end(data: mmap.mmap, start: int) -> int:
    """Return where the global heap at `start` ends; its start if it is none."""
    end = start + int.from_bytes(data[start + 8 : start + _GLOBAL_HEADER_BYTES], "little")
    if end > len(data):
        return start
    position = start + _GLOBAL_HEADER_BYTES
    while position + _OBJECT.size <= end:
        index, size = _OBJECT.unpack_from(data, position)
        if index:
            size = _OBJECT.size + size + -size % _ALIGNMENT
        if size < _OBJECT.size or position + size > end:
            raise ValueError("An object in a global heap does not end where it can.")
        position += size
    return end


def _free_blocks(data: mmap.mmap, start: int, limit: int) -> int:
    """Return how many free blocks the local heap at `start` has."""
    size, block, address = _LOCAL_HEADER.unpack_from(data, start)
    count = 0
    if address + size > len(data):
        return count
    while block != _LAST_FREE_BLOCK and block + _FREE_BLOCK.size <= size:
        count += 1
        if count > limit:
            raise ValueError("The free blocks of a local heap do not end.")
        block, _ = _FREE_BLOCK.unpack_from(data, address + block)
    return count
