"""The bytes between the API and its child processes: a small message, then raw buffers."""

import itertools
import mmap
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from app.arrays import Buffer

# The bytes of the message, the number of buffers, and whether they lie in shared memory; the size
# of each buffer follows.
_PREFIX = struct.Struct(">II?")
_SIZE_BYTES = 8


class Frame(NamedTuple):
    """A message, encoded, and its buffers."""

    message: bytes
    buffers: Sequence[Buffer] = ()


def pieces(frame: Frame, outbox: mmap.mmap | None = None) -> list[Buffer]:
    """Return the pieces to write; buffers are not copied.

    Buffers that fit into the outbox are put there, because a socket takes longer for them: the
    other side reads them when it gets the frame, and must have it before the next one is made.
    """
    sizes = struct.pack(f">{len(frame.buffers)}Q", *map(len, frame.buffers))
    is_shared = outbox is not None and sum(map(len, frame.buffers)) <= len(outbox)
    head = _PREFIX.pack(len(frame.message), len(frame.buffers), is_shared) + sizes + frame.message
    if not is_shared:
        return [head, *frame.buffers]
    assert outbox is not None
    outbox.seek(0)
    for buffer in frame.buffers:
        outbox.write(buffer)
    return [head]


class FrameReader:
    """Puts frames together from data as it arrives."""

    def __init__(self, outbox: mmap.mmap | None = None) -> None:
        """`outbox` is the memory that the other side shares."""
        self._data = bytearray()
        self._outbox = outbox
        self._sizes: list[int] | None = None  # of the pieces of the frame that has begun
        self._shared: list[int] = []  # of its buffers in the outbox

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete now."""
        self._data += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if self._sizes is None and not self._begin():
            return None
        sizes = self._sizes or []
        if len(self._data) < sum(sizes):
            return None
        message, *buffers = _cut(self._data, sizes)
        del self._data[: sum(sizes)]
        if self._outbox is not None:
            buffers += _cut(self._outbox, self._shared)
        self._sizes = None
        return Frame(message, buffers)

    def _begin(self) -> bool:
        if len(self._data) < _PREFIX.size:
            return False
        length, count, is_shared = _PREFIX.unpack_from(self._data)
        end = _PREFIX.size + count * _SIZE_BYTES
        if len(self._data) < end:
            return False
        sizes = list(_sizes(self._data[_PREFIX.size : end]))
        self._sizes, self._shared = ([length], sizes) if is_shared else ([length, *sizes], [])
        del self._data[:end]
        return True


def _cut(data: Buffer | mmap.mmap, sizes: Sequence[int]) -> list[bytes]:
    ends = itertools.accumulate(sizes, initial=0)
    with memoryview(data) as view:
        return [bytes(view[start:end]) for start, end in itertools.pairwise(ends)]


def read_frame_blocking(stream: BinaryIO) -> Frame:
    """Read one frame.

    Raises: EOFError if the other side is gone.
    """
    length, count, _ = _PREFIX.unpack(_read_exactly(stream, _PREFIX.size))
    sizes = _sizes(_read_exactly(stream, count * _SIZE_BYTES))
    message = _read_exactly(stream, length)
    return Frame(message, [_read_exactly(stream, size) for size in sizes])


def _sizes(data: Buffer) -> tuple[int, ...]:
    return struct.unpack(f">{len(data) // _SIZE_BYTES}Q", data)


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
