"""The bytes between the API and its child processes: a small message, then raw buffers."""

import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from app.arrays import Buffer

# The bytes of the message, and the number of buffers; the size of each buffer follows.
_PREFIX = struct.Struct(">II")
_SIZE_BYTES = 8


class Frame(NamedTuple):
    """A message, encoded, and its buffers."""

    message: bytes
    buffers: Sequence[Buffer] = ()


def pieces(frame: Frame) -> list[Buffer]:
    """Return the pieces to write; buffers are not copied."""
    sizes = struct.pack(f">{len(frame.buffers)}Q", *map(len, frame.buffers))
    prefix = _PREFIX.pack(len(frame.message), len(frame.buffers))
    return [prefix + sizes + frame.message, *frame.buffers]


class FrameReader:
    """Puts frames together from data as it arrives."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._sizes: list[int] = []  # of the pieces of the frame that has begun

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete now."""
        self._data += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if not self._sizes:
            if len(self._data) < _PREFIX.size:
                return None
            length, count = _PREFIX.unpack_from(self._data)
            end = _PREFIX.size + count * _SIZE_BYTES
            if len(self._data) < end:
                return None
            self._sizes = [length, *_sizes(self._data[_PREFIX.size : end])]
            del self._data[:end]
        if len(self._data) < sum(self._sizes):
            return None
        ends = list(itertools.accumulate(self._sizes, initial=0))
        with memoryview(self._data) as view:
            message, *buffers = (bytes(view[a:b]) for a, b in itertools.pairwise(ends))
        del self._data[: ends[-1]]
        self._sizes = []
        return Frame(message, buffers)


def read_frame_blocking(stream: BinaryIO) -> Frame:
    """Read one frame.

    Raises: EOFError if the other side is gone.
    """
    length, count = _PREFIX.unpack(_read_exactly(stream, _PREFIX.size))
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
