"""The bytes between the API and its child processes: a small message, then raw buffers."""

import asyncio
import struct
from collections.abc import Sequence
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


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """Read one frame.

    Raises: asyncio.IncompleteReadError if the other side is gone.
    """
    length, count = _PREFIX.unpack(await reader.readexactly(_PREFIX.size))
    sizes = _sizes(await reader.readexactly(count * _SIZE_BYTES))
    message = await reader.readexactly(length)
    return Frame(message, [await reader.readexactly(size) for size in sizes])


def read_frame_blocking(stream: BinaryIO) -> Frame:
    """Read one frame.

    Raises: EOFError if the other side is gone.
    """
    length, count = _PREFIX.unpack(_read_exactly(stream, _PREFIX.size))
    sizes = _sizes(_read_exactly(stream, count * _SIZE_BYTES))
    message = _read_exactly(stream, length)
    return Frame(message, [_read_exactly(stream, size) for size in sizes])


def _sizes(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(data) // _SIZE_BYTES}Q", data)


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
